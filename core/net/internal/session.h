// SPDX-License-Identifier: Apache-2.0
// One connection of a server: requests one after the other until either side has enough.
#pragma once
#include <array>
#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "core/base/telemetry.h"
#include "core/net/http_server.h"
#include "core/net/internal/connection.h"
#include "core/net/internal/http_head.h"
#include "core/net/internal/router.h"
#include "core/net/internal/tls.h"
#include "core/net/internal/web_auth.h"

namespace picket::net {

/// What the sessions of a server share.
struct ServerState {
  ServerState(Runtime& r, HttpServerOptions o) : runtime(r), options(std::move(o)) {}

  struct Web {
    WebConfig config;
    std::unique_ptr<WebAuth> auth;
    std::unique_ptr<TlsContext> tls;
  };
  std::shared_ptr<Web> web() const {
    std::lock_guard lock(mutex);
    return current_web;
  }

  Runtime& runtime;
  const HttpServerOptions options;
  Router router;
  BufferPool scratch;
  std::atomic<bool> stopping{false};
  mutable std::mutex mutex;  // guards current_web
  std::shared_ptr<Web> current_web;

  std::shared_ptr<Gauge> connections = std::make_shared<Gauge>();
  std::shared_ptr<Counter> refused_connections = std::make_shared<Counter>();
  std::shared_ptr<Counter> received_bytes = std::make_shared<Counter>();
  std::shared_ptr<Counter> sent_bytes = std::make_shared<Counter>();
  std::array<std::shared_ptr<Counter>, 4> answered;  // 2xx 3xx 4xx 5xx
};

class Session {
 public:
  Session(std::shared_ptr<ServerState> server, std::shared_ptr<Connection> connection)
      : server_(std::move(server)), connection_(std::move(connection)) {}

  asio::awaitable<void> Run();
  /// Between requests. Threads: the connection's loop.
  bool idle() const { return idle_; }
  Connection& connection() { return *connection_; }

 private:
  asio::awaitable<bool> Handshake();
  asio::awaitable<void> ServeOne(RequestHead head);
  asio::awaitable<std::optional<RequestHead>> ReceiveHead();
  /// Decides before the body; a reply ends the request.
  asio::awaitable<std::optional<HttpReply>> LookAtHead(const RequestHead& head,
                                                       HttpServerRequest& request);
  asio::awaitable<std::optional<HttpReply>> ReceiveBody(const RequestHead& head,
                                                        HttpServerRequest& request);
  std::optional<HttpReply> Unpack(BodyBuffer& raw, HttpServerRequest& request);
  asio::awaitable<HttpReply> Handle(HttpServerRequest request);
  asio::awaitable<void> Send(HttpReply reply, const RequestHead* head);
  asio::awaitable<bool> SendStream(const HttpReply& reply, bool chunked);
  asio::awaitable<void> Discard(const RequestHead& head);
  asio::awaitable<void> Linger();
  std::string RenderHead(const HttpReply& reply, std::optional<size_t> length, bool chunked) const;

  std::shared_ptr<ServerState> server_;
  std::shared_ptr<Connection> connection_;
  std::shared_ptr<ServerState::Web> web_;
  const HttpRoute* route_ = nullptr;
  uint64_t body_limit_ = 0;
  bool idle_ = true;
  bool keep_ = false;  // the connection, after this request
  bool body_unread_ = false;
  bool sent_continue_ = false;
};

}  // namespace picket::net
