// SPDX-License-Identifier: Apache-2.0
#include "collectors/otlp/grpc_door.h"

#include <fmt/format.h>
#include <grpc/support/log.h>
#include <grpcpp/resource_quota.h>

#include <fstream>
#include <functional>
#include <iterator>
#include <mutex>
#include <thread>
#include <vector>

#include "collectors/otlp/grpc_call.h"
#include "collectors/otlp/metrics.h"
#include "core/base/log.h"
#include "core/config/object.h"

namespace picket::collectors::otlp {
namespace {

Result<std::string> InlineOrFile(const std::string& text, const std::string& path) {
  if (!text.empty() || path.empty()) return text;
  std::ifstream in(path, std::ios::binary);
  if (!in) return Fail(ErrnoError("open " + path, errno));
  return std::string((std::istreambuf_iterator<char>(in)), {});
}

Result<std::shared_ptr<grpc::ServerCredentials>> Credentials(const net::WebConfig& web) {
  if (!web.tls_server_config) return grpc::InsecureServerCredentials();
  const net::TlsServerConfig& tls = *web.tls_server_config;
  PICKET_ASSIGN(std::string cert, InlineOrFile(tls.cert, tls.cert_file));
  PICKET_ASSIGN(std::string key, InlineOrFile(tls.key.Reveal(), tls.key_file));
  PICKET_ASSIGN(std::string ca, InlineOrFile(tls.client_ca, tls.client_ca_file));
  auto demand = GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE;
  if (tls.client_auth_type == "RequireAndVerifyClientCert")
    demand = GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY;
  else if (tls.client_auth_type == "RequireAnyClientCert")
    demand = GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_BUT_DONT_VERIFY;
  else if (tls.client_auth_type == "VerifyClientCertIfGiven")
    demand = GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY;
  else if (tls.client_auth_type == "RequestClientCert")
    demand = GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_BUT_DONT_VERIFY;
  grpc::SslServerCredentialsOptions options(demand);
  options.pem_key_cert_pairs.push_back({std::move(key), std::move(cert)});
  options.pem_root_certs = std::move(ca);
  return grpc::SslServerCredentials(options);
}

/// Time does not tell how much of a token was right.
bool SameToken(std::string_view a, std::string_view b) {
  unsigned different = a.size() != b.size();
  for (size_t i = 0; i < a.size() && i < b.size(); ++i)
    different |= static_cast<unsigned>(static_cast<uint8_t>(a[i]) ^ static_cast<uint8_t>(b[i]));
  return different == 0;
}

/// "4317" and ":4317" in gRPC's words.
std::string ListenAddress(const std::string& listen) {
  if (listen.find(':') == std::string::npos) return "127.0.0.1:" + listen;
  if (listen.starts_with(':')) return "[::]" + listen;
  return listen;
}

/// gRPC writes to standard error by itself; its lines belong into ours.
void TakeOverGrpcLog() {
  static std::once_flag once;
  std::call_once(once, [] {
    gpr_set_log_function([](gpr_log_func_args* args) {
      const bool severe = args->severity == GPR_LOG_SEVERITY_ERROR;
      log::Write(severe ? log::Level::kWarn : log::Level::kDebug, "gRPC",
                 {{"message", std::string_view(args->message)}});
    });
  });
}

}  // namespace

struct GrpcDoor::Impl {
  OtlpConfig config;
  GrpcShared shared;
  std::unique_ptr<grpc::Server> server;
  std::vector<std::thread> threads;
  int port = 0;

  void Serve() {
    void* tag = nullptr;
    bool ok = false;
    while (shared.queue->Next(&tag, &ok)) {
      auto* t = static_cast<GrpcCall::Tag*>(tag);
      t->call->On(t->step, ok);
    }
  }
};

GrpcDoor::GrpcDoor(const OtlpConfig& config, std::shared_ptr<TraceReceiver> receiver,
                   Telemetry& telemetry)
    : impl_(std::make_unique<Impl>()) {
  TakeOverGrpcLog();
  impl_->config = config;
  GrpcShared& shared = impl_->shared;
  shared.receiver = std::move(receiver);
  const auto count = [&](const char* answer) {
    return telemetry.AddCounter(kRequests, {{"transport", "grpc"}, {"answer", answer}});
  };
  shared.accepted = count("accepted");
  shared.refused = count("refused");
  shared.invalid = count("invalid");
  shared.bytes = telemetry.AddCounter(kRequestBytes, {{"transport", "grpc"}});
  shared.authenticate = config.web.Authenticates();
  shared.token_fits = [web = config.web](std::string_view token) {
    // Read when used, so that a rotated file is noticed.
    const auto expected = config::SecretOrFile(web.bearer_token, web.bearer_token_file);
    return expected && !expected->empty() && SameToken(token, expected->Reveal());
  };
}

GrpcDoor::~GrpcDoor() { Stop(Duration(0)); }

Status GrpcDoor::Start() {
  const OtlpConfig& config = impl_->config;
  PICKET_ASSIGN(auto credentials, Credentials(config.web));
  grpc::ServerBuilder builder;
  builder.AddListeningPort(ListenAddress(config.grpc), credentials, &impl_->port);
  builder.RegisterAsyncGenericService(&impl_->shared.service);
  builder.SetMaxReceiveMessageSize(static_cast<int>(config.max_request_size.value));
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, 64);
  // Pushers that ping often are not worth a GOAWAY.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  if (config.max_connection_age.count() > 0) {
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS,
                               static_cast<int>(config.max_connection_age.count()));
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, 30'000);
  }
  // Bytes on their way in are gRPC's; it slows its readers down when they pass this.
  grpc::ResourceQuota quota("picket_otlp");
  quota.Resize(config.max_request_size.value * 2);
  builder.SetResourceQuota(quota);
  impl_->shared.queue = builder.AddCompletionQueue();
  impl_->server = builder.BuildAndStart();
  if (!impl_->server || impl_->port == 0) {
    impl_->shared.queue->Shutdown();
    impl_->Serve();
    impl_->server.reset();
    return Fail(ErrorKind::kIo, fmt::format("listen {}: cannot bind (address in use, or not of "
                                            "this host)",
                                            config.grpc));
  }
  for (uint32_t i = 0; i < config.grpc_threads; ++i) {
    GrpcCall::Arm(impl_->shared);
    impl_->threads.emplace_back([this] { impl_->Serve(); });
  }
  return {};
}

uint16_t GrpcDoor::port() const { return static_cast<uint16_t>(impl_->port); }

void GrpcDoor::Stop(Duration drain) {
  if (!impl_->server) return;
  GrpcShared& shared = impl_->shared;
  {
    std::lock_guard lock(shared.mutex);
    shared.stopping = true;
    for (GrpcCall* watcher : shared.watchers) watcher->EndWatch();
  }
  impl_->server->Shutdown(std::chrono::system_clock::now() +
                          std::chrono::duration_cast<std::chrono::milliseconds>(drain));
  {
    // No operation may begin on a queue that is shut down, so every call has to be gone first.
    std::unique_lock lock(shared.mutex);
    shared.gone.wait(lock, [&] { return shared.live == 0; });
  }
  shared.queue->Shutdown();
  for (std::thread& t : impl_->threads) t.join();
  impl_->threads.clear();
  impl_->server.reset();
}

}  // namespace picket::collectors::otlp
