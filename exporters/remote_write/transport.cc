// SPDX-License-Identifier: Apache-2.0
#include "exporters/remote_write/transport.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "core/base/log.h"
#include "core/base/strings.h"
#include "exporters/remote_write/request.h"

namespace picket::exporters::remote_write {
namespace {

constexpr size_t kMessageHead = 512;
constexpr uint64_t kMaxAnswer = 8 << 20;
constexpr std::string_view kV1Type = "application/x-protobuf";
constexpr std::string_view kV2Type = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

std::optional<uint32_t> Written(const net::HttpHeaders& headers) {
  const auto text = headers.Get("X-Prometheus-Remote-Write-Samples-Written");
  uint32_t n = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (text.empty() || code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return n;
}

net::HttpClientOptions ClientOptions(const RemoteWriteConfig& config, const std::string& version) {
  net::HttpClientOptions o;
  o.user_agent = "Picket/" + version;
  o.idle_per_origin =
      static_cast<size_t>(std::clamp<int64_t>(config.queue_config.max_shards, 1, 8));
  return o;
}

}  // namespace

spool::SendOutcome OutcomeOf(const net::HttpResponse& response, bool v2, uint32_t samples,
                             bool retry_429, UnixMs now_ms) {
  using spool::SendOutcome;
  std::string message(Trim(response.body.substr(0, kMessageHead)));
  const auto written = v2 ? Written(response.headers) : std::nullopt;
  const uint32_t missing = samples - std::min(written.value_or(0), samples);
  if (response.ok()) {
    if (!v2 || missing == 0) return SendOutcome::Delivered();
    return SendOutcome::Delivered(
        missing, written
                     ? fmt::format("{} of {} samples were written: {}", *written, samples, message)
                     : "the answer does not say that anything was written");
  }
  const int status = response.status;
  if (status / 100 == 5 || (status == 429 && retry_429)) {
    const Milliseconds after = net::RetryAfter(response.headers, now_ms);
    return SendOutcome::Retry(
        std::move(message), status,
        after > Milliseconds(0) ? std::optional<Duration>(after) : std::nullopt);
  }
  if (status == 413) return SendOutcome::TooLarge(std::move(message), status);
  if (v2 && written.value_or(0) > 0)
    return SendOutcome::Delivered(missing, fmt::format("status {}: {}", status, message));
  return SendOutcome::Drop(DropReason::kRejected, std::move(message), status);
}

HttpTransport::HttpTransport(net::Runtime& runtime, const RemoteWriteConfig& config,
                             std::string version, const Clock& clock)
    : config_(config),
      client_(runtime, config.http, ClientOptions(config, version)),
      clock_(clock) {}

net::asio::awaitable<Result<net::HttpResponse>> HttpTransport::Post(std::string_view body,
                                                                    bool v2) {
  net::HttpRequest request;
  request.method = "POST";
  request.url = config_.url;
  request.timeout = config_.remote_timeout;
  request.body_limit = kMaxAnswer;
  request.body.push_back(body);
  for (const auto& [name, value] : config_.headers) request.headers.Add(name, value);
  request.headers.Add("Content-Encoding", "snappy");
  request.headers.Add("Content-Type", std::string(v2 ? kV2Type : kV1Type));
  request.headers.Add("X-Prometheus-Remote-Write-Version", v2 ? "2.0.0" : "0.1.0");
  auto response = co_await client_.Fetch(std::move(request));
  co_return response;
}

net::asio::awaitable<spool::SendOutcome> HttpTransport::Send(spool::Outgoing out) {
  const bool negotiates = config_.protobuf_message == Protocol::kAuto;
  bool v2 = out.info.type == kRecordV2;
  std::string translated;
  std::string_view body = out.body;
  for (;;) {
    // Queued while the backend was thought to know v2, or refused as such just now.
    if (v2 && negotiates && v1_only_) {
      auto request = Uncompress(body);
      auto v1 =
          request ? TranslateToV1(*request) : Result<std::string>(std::unexpected(request.error()));
      if (!v1) co_return spool::SendOutcome::Drop(DropReason::kCorrupt, v1.error().message());
      translated = Compress(*v1);
      body = translated;
      v2 = false;
    }
    auto response = co_await Post(body, v2);
    if (!response) co_return spool::SendOutcome::Retry(response.error().ToString());
    // A 1.x receiver that does not look at the content type takes a v2 body for an empty request:
    // it says yes and writes nothing. One that has never said how much it wrote is taken for such.
    const bool silent = response->ok() && !v2_confirmed_ && !Written(response->headers);
    if (v2 && response->ok() && !silent) v2_confirmed_ = true;
    if (v2 && negotiates && (response->status == 415 || silent)) {
      if (!v1_only_.exchange(true)) {
        log::Info("Remote write goes on with protocol v1: the backend does not know v2",
                  {{"url", config_.url}});
        if (on_fallback_) on_fallback_();
      }
      continue;
    }
    co_return OutcomeOf(*response, v2, out.info.items, config_.queue_config.retry_on_http_429,
                        clock_.NowMs());
  }
}

}  // namespace picket::exporters::remote_write
