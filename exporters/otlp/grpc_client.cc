// SPDX-License-Identifier: Apache-2.0
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cctype>
#include <fstream>
#include <iterator>
#include <thread>

#include "core/config/object.h"
#include "core/proto/otlp_traces.h"
#include "exporters/otlp/client.h"

namespace picket::exporters::otlp {

namespace asio = net::asio;
using spool::SendOutcome;

namespace {

/// One call in flight. Ownership: the waiting coroutine and, until the answer is in, the poller.
struct Call {
  explicit Call(asio::any_io_executor e) : executor(std::move(e)), answered(executor) {
    answered.expires_at(asio::steady_timer::time_point::max());
  }
  asio::any_io_executor executor;
  asio::steady_timer answered;  ///< cancelled when the answer is in
  bool done = false;            ///< on the executor only
  grpc::ClientContext context;
  grpc::ByteBuffer response;
  grpc::Status status;
  std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader;
  std::shared_ptr<Call> self;  ///< what the poller holds
};

/// Hands the bytes over without a copy; gRPC lets go of them when the last one is written.
grpc::ByteBuffer ToBuffer(const Body& body) {
  using Owner = std::shared_ptr<const void>;
  std::vector<grpc::Slice> slices;
  slices.reserve(body.pieces.size());
  for (size_t i = 0; i < body.pieces.size(); ++i)
    slices.emplace_back(
        const_cast<char*>(body.pieces[i].data()), body.pieces[i].size(),
        [](void* owner) { delete static_cast<Owner*>(owner); }, new Owner(body.owners[i]));
  return {slices.data(), slices.size()};
}

std::string ToString(const grpc::ByteBuffer& buffer) {
  std::string out;
  std::vector<grpc::Slice> slices;
  if (!buffer.Valid() || !buffer.Dump(&slices).ok()) return out;
  for (const grpc::Slice& s : slices)
    out.append(reinterpret_cast<const char*>(s.begin()), s.size());
  return out;
}

Result<std::string> InlineOrFile(const std::string& text, const std::string& path) {
  if (!text.empty() || path.empty()) return text;
  std::ifstream in(path, std::ios::binary);
  if (!in) return Fail(ErrnoError("open " + path, errno));
  return std::string((std::istreambuf_iterator<char>(in)), {});
}

std::string LowerCase(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

}  // namespace

class GrpcPoller {
 public:
  GrpcPoller() : thread_([this] { Run(); }) {}
  ~GrpcPoller() {
    queue_.Shutdown();
    thread_.join();
  }
  grpc::CompletionQueue& queue() { return queue_; }

 private:
  void Run() {
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
      const std::shared_ptr<Call> call = std::move(static_cast<Call*>(tag)->self);
      asio::post(call->executor, [call] {
        call->done = true;
        call->answered.cancel();
      });
    }
  }
  grpc::CompletionQueue queue_;
  std::thread thread_;
};

std::shared_ptr<GrpcPoller> MakeGrpcPoller() { return std::make_shared<GrpcPoller>(); }

namespace {

class GrpcExport final : public Client {
 public:
  GrpcExport(const OtlpExporterConfig& config, std::shared_ptr<grpc::Channel> channel,
             std::shared_ptr<GrpcPoller> poller)
      : config_(config), stub_(std::move(channel)), poller_(std::move(poller)) {}

  asio::awaitable<SendOutcome> Export(Body body, uint32_t) override {
    auto call = std::make_shared<Call>(co_await asio::this_coro::executor);
    if (auto prepared = Prepare(*call); !prepared)
      co_return SendOutcome::Retry(prepared.error().ToString());
    call->self = call;
    call->reader = stub_.PrepareUnaryCall(&call->context, std::string(proto::kTraceExportMethod),
                                          ToBuffer(body), &poller_->queue());
    call->reader->StartCall();
    call->reader->Finish(&call->response, &call->status, call.get());
    boost::system::error_code ec;
    while (!call->done) {
      co_await call->answered.async_wait(asio::redirect_error(asio::use_awaitable, ec));
      if (call->done) break;
      // Not the answer: this coroutine is being cancelled.
      call->context.TryCancel();
      co_return SendOutcome::Retry("cancelled");
    }
    co_return OutcomeOfGrpc(static_cast<proto::RpcCode>(call->status.error_code()),
                            call->status.error_message(), call->status.error_details(),
                            ToString(call->response), config_.retry.resource_exhausted);
  }

 private:
  Status Prepare(Call& call) const {
    call.context.set_deadline(std::chrono::system_clock::now() + config_.timeout);
    if (config_.compression == Compression::kGzip)
      call.context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
    for (const auto& [name, value] : config_.headers)
      call.context.AddMetadata(LowerCase(name), value.Reveal());
    if (!config_.tenant.empty()) call.context.AddMetadata("x-scope-orgid", config_.tenant);
    const net::HttpClientConfig& http = config_.http;
    if (http.authorization) {
      PICKET_ASSIGN(const Secret secret,
                    config::SecretOrFile(http.authorization->credentials,
                                         http.authorization->credentials_file));
      call.context.AddMetadata("authorization", http.authorization->type + " " + secret.Reveal());
    } else if (!http.bearer_token.empty() || !http.bearer_token_file.empty()) {
      PICKET_ASSIGN(const Secret secret,
                    config::SecretOrFile(http.bearer_token, http.bearer_token_file));
      call.context.AddMetadata("authorization", "Bearer " + secret.Reveal());
    }
    return {};
  }

  const OtlpExporterConfig config_;
  grpc::GenericStub stub_;
  const std::shared_ptr<GrpcPoller> poller_;
};

}  // namespace

Result<std::unique_ptr<Client>> MakeGrpcClient(const OtlpExporterConfig& config,
                                               const Target& target,
                                               std::shared_ptr<GrpcPoller> poller) {
  std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
  const net::TlsConfig& tls = config.http.tls_config;
  if (target.tls) {
    if (tls.insecure_skip_verify)
      return Fail(ErrorKind::kUnsupported, "insecure_skip_verify is not possible over gRPC");
    grpc::SslCredentialsOptions options;
    PICKET_ASSIGN(options.pem_root_certs, InlineOrFile(tls.ca, tls.ca_file));
    PICKET_ASSIGN(options.pem_cert_chain, InlineOrFile(tls.cert, tls.cert_file));
    PICKET_ASSIGN(options.pem_private_key, InlineOrFile(tls.key.Reveal(), tls.key_file));
    credentials = grpc::SslCredentials(options);
  }
  grpc::ChannelArguments args;
  args.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);  // the sender above retries
  args.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // Faster than gRPC's own two minutes, so that its connection is not what a recovered backend
  // waits for.
  args.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS,
              static_cast<int>(config.retry.min_backoff.count()));
  args.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1'000);
  args.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS,
              static_cast<int>(std::min<int64_t>(config.retry.max_backoff.count(), 5'000)));
  args.SetMaxReceiveMessageSize(4 << 20);
  args.SetUserAgentPrefix("picket");
  if (!tls.server_name.empty()) args.SetSslTargetNameOverride(tls.server_name);
  return std::make_unique<GrpcExport>(
      config, grpc::CreateCustomChannel(target.address, credentials, args), std::move(poller));
}

}  // namespace picket::exporters::otlp
