// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <libdeflate.h>
#include <zstd.h>

#include "exporters/otlp/client.h"

namespace picket::exporters::otlp {
namespace {

using spool::SendOutcome;

/// Level 1: twice the speed of the usual 6 for a tenth more bytes (ratio 5.5 against 6.0 on spans).
Result<std::string> Gzip(std::string_view body) {
  struct Free {
    void operator()(libdeflate_compressor* c) const { libdeflate_free_compressor(c); }
  };
  static thread_local const std::unique_ptr<libdeflate_compressor, Free> gzip(
      libdeflate_alloc_compressor(1));
  if (!gzip) return Fail(ErrorKind::kOverloaded, "no memory to compress");
  std::string out;
  out.resize(libdeflate_gzip_compress_bound(gzip.get(), body.size()));
  const size_t n =
      libdeflate_gzip_compress(gzip.get(), body.data(), body.size(), out.data(), out.size());
  if (n == 0) return Fail(ErrorKind::kInternal, "gzip bound was too small");
  out.resize(n);
  return out;
}

Result<std::string> Zstd(std::string_view body) {
  std::string out;
  out.resize(ZSTD_compressBound(body.size()));
  const size_t n = ZSTD_compress(out.data(), out.size(), body.data(), body.size(), 1);
  if (ZSTD_isError(n))
    return Fail(ErrorKind::kInternal, fmt::format("zstd: {}", ZSTD_getErrorName(n)));
  out.resize(n);
  return out;
}

class HttpExport final : public Client {
 public:
  HttpExport(const OtlpExporterConfig& config, const Target& target, net::Runtime& runtime,
             const Clock& clock)
      : config_(config), url_(target.url), clock_(clock), client_(runtime, config.http, [&] {
          net::HttpClientOptions options;
          options.idle_per_origin = config.concurrency;
          return options;
        }()) {}

  net::asio::awaitable<SendOutcome> Export(Body body, uint32_t) override {
    net::HttpRequest request;
    std::string packed;
    request.method = "POST";
    request.url = url_;
    request.timeout = config_.timeout;
    request.body_limit = 4 << 20;  // the specification's limit of answers
    request.headers.Set("Content-Type", "application/x-protobuf");
    if (config_.compression != Compression::kNone) {
      std::string joined;
      const std::string_view whole = body.Joined(joined);
      auto result = config_.compression == Compression::kGzip ? Gzip(whole) : Zstd(whole);
      if (!result) co_return SendOutcome::Retry(result.error().ToString());
      packed = *std::move(result);
      request.body.push_back(packed);
      request.headers.Set("Content-Encoding",
                          config_.compression == Compression::kGzip ? "gzip" : "zstd");
    }
    for (const auto& [name, value] : config_.headers) request.headers.Set(name, value.Reveal());
    if (!config_.tenant.empty()) request.headers.Set("X-Scope-OrgID", config_.tenant);
    if (request.body.empty()) request.body = body.pieces;
    auto response = co_await client_.Fetch(std::move(request));
    if (!response) co_return SendOutcome::Retry(response.error().ToString());
    co_return OutcomeOfHttp(*response, clock_.NowMs());
  }

 private:
  const OtlpExporterConfig config_;
  const std::string url_;
  const Clock& clock_;
  net::HttpClient client_;
};

}  // namespace

std::unique_ptr<Client> MakeHttpClient(const OtlpExporterConfig& config, const Target& target,
                                       net::Runtime& runtime, const Clock& clock) {
  return std::make_unique<HttpExport>(config, target, runtime, clock);
}

}  // namespace picket::exporters::otlp
