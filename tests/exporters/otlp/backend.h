// SPDX-License-Identifier: Apache-2.0
// Backends that answer as they are told, over HTTP and over gRPC, and remember what they took.
#pragma once
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "core/net/http_server.h"
#include "core/proto/otlp_traces.h"
#include "core/proto/rpc_status.h"

namespace picket::exporters::otlp {

/// What a backend answers to one request.
struct Says {
  int http = 200;
  proto::RpcStatus rpc;
  proto::PartialSuccess partial;
  std::string retry_after;
};

/// The memory of a backend: every request, and the span ids of those it said yes to.
class Ledger {
 public:
  /// The answers to come; when they have run out, yes. `judge` overrides them.
  void Script(std::deque<Says> script) {
    std::lock_guard lock(mutex_);
    script_ = std::move(script);
  }
  std::function<std::optional<Says>(std::string_view body)> judge;

  Says Take(std::string_view body) {
    std::lock_guard lock(mutex_);
    Says says;
    const auto judged = judge ? judge(body) : std::nullopt;
    if (judged) {
      says = *judged;
    } else if (!script_.empty()) {
      says = script_.front();
      script_.pop_front();
    }
    requests_.push_back(body.size());
    if (says.http == 200 && says.rpc.code == proto::RpcCode::kOk) {
      proto::WalkTraces(
          body, [](std::string_view) {},
          [&](std::string_view bytes) {
            proto::SpanView span;
            proto::ReadSpan(bytes, span);
            ++spans_[std::string(span.span_id)];
          });
    }
    changed_.notify_all();
    return says;
  }
  bool WaitFor(std::function<bool()> done) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), done);
  }
  bool WaitForSpans(size_t n) {
    return WaitFor([&, n] { return spans_.size() >= n; });
  }
  bool WaitForRequests(size_t n) {
    return WaitFor([&, n] { return requests_.size() >= n; });
  }
  std::map<std::string, int> spans() {
    std::lock_guard lock(mutex_);
    return spans_;
  }
  std::vector<size_t> requests() {
    std::lock_guard lock(mutex_);
    return requests_;
  }
  std::map<std::string, std::string> headers;  ///< of the last request

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Says> script_;
  std::vector<size_t> requests_;
  std::map<std::string, int> spans_;
};

class HttpBackend {
 public:
  HttpBackend(net::Runtime& runtime, Ledger& ledger) : server_(runtime, Options()) {
    server_.Post("/v1/traces",
                 [&ledger](net::HttpServerRequest request) -> net::asio::awaitable<net::HttpReply> {
                   for (const auto& f : request.headers) ledger.headers[f.name] = f.value;
                   const Says says = ledger.Take(request.body);
                   net::HttpReply reply;
                   reply.status = says.http;
                   reply.headers.Set("Content-Type", "application/x-protobuf");
                   if (!says.retry_after.empty())
                     reply.headers.Set("Retry-After", says.retry_after);
                   reply.body = says.http == 200 ? proto::EncodeExportResponse(says.partial)
                                                 : proto::EncodeRpcStatus(says.rpc);
                   co_return reply;
                 });
    const auto started = server_.Start();
    if (!started) throw std::runtime_error(started.error().ToString());
  }
  std::string endpoint() const { return "http://127.0.0.1:" + std::to_string(server_.port()); }

 private:
  static net::HttpServerOptions Options() {
    net::HttpServerOptions options;
    options.body_limit = 64 << 20;
    return options;
  }
  net::HttpServer server_;
};

class GrpcBackend final : grpc::CallbackGenericService {
 public:
  explicit GrpcBackend(Ledger& ledger, int port = 0) : ledger_(ledger) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:" + std::to_string(port), grpc::InsecureServerCredentials(),
                             &port_);
    builder.RegisterCallbackGenericService(this);
    builder.SetMaxReceiveMessageSize(64 << 20);
    server_ = builder.BuildAndStart();
  }
  ~GrpcBackend() override { server_->Shutdown(std::chrono::system_clock::now()); }
  int port() const { return port_; }
  std::string endpoint() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  class Reactor final : public grpc::ServerGenericBidiReactor {
   public:
    Reactor(Ledger& ledger, grpc::GenericCallbackServerContext* context) : ledger_(ledger) {
      for (const auto& [name, value] : context->client_metadata())
        ledger.headers[std::string(name.data(), name.size())] =
            std::string(value.data(), value.size());
      StartRead(&in_);
    }
    void OnReadDone(bool ok) override {
      if (!ok) return Finish({grpc::StatusCode::INTERNAL, "no message"});
      std::string body;
      std::vector<grpc::Slice> slices;
      if (in_.Dump(&slices).ok())
        for (const auto& s : slices)
          body.append(reinterpret_cast<const char*>(s.begin()), s.size());
      const Says says = ledger_.Take(body);
      if (says.rpc.code != proto::RpcCode::kOk)
        return Finish({static_cast<grpc::StatusCode>(says.rpc.code), says.rpc.message,
                       proto::EncodeRpcStatus(says.rpc)});
      const grpc::Slice slice(proto::EncodeExportResponse(says.partial));
      out_ = grpc::ByteBuffer(&slice, 1);
      StartWriteAndFinish(&out_, grpc::WriteOptions(), grpc::Status::OK);
    }
    void OnDone() override { delete this; }

   private:
    Ledger& ledger_;
    grpc::ByteBuffer in_, out_;
  };
  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    return new Reactor(ledger_, context);
  }
  Ledger& ledger_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace picket::exporters::otlp
