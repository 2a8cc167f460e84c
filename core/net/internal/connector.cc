// SPDX-License-Identifier: Apache-2.0
#include "core/net/internal/connector.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>

#include "core/net/internal/bodies.h"
#include "core/net/internal/resolver.h"

namespace picket::net {
namespace {

constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);
using Endpoint = asio::generic::stream_protocol::endpoint;

std::string EndpointName(const asio::ip::tcp::endpoint& e) {
  return e.address().is_v6() ? fmt::format("[{}]:{}", e.address().to_string(), e.port())
                             : fmt::format("{}:{}", e.address().to_string(), e.port());
}

// This address's share of the time, when others may have to follow.
TimePoint Share(TimePoint now, TimePoint deadline, size_t addresses_left) {
  if (addresses_left <= 1 || deadline <= now) return deadline;
  return now + (deadline - now) / static_cast<int64_t>(addresses_left);
}

}  // namespace

ConnectionPtr ConnectionPool::Take(const std::string& origin, asio::execution_context& loop) {
  const auto now = std::chrono::steady_clock::now();
  std::lock_guard lock(mutex_);
  auto it = idle_by_origin_.find(Key(origin, &loop));
  if (it == idle_by_origin_.end()) return nullptr;
  while (!it->second.empty()) {
    ConnectionPtr connection = std::move(it->second.back());
    it->second.pop_back();
    if (now - connection->idle_since < idle_ && connection->IsQuiet()) return connection;
  }
  return nullptr;
}

void ConnectionPool::Give(const std::string& origin, asio::execution_context& loop,
                          ConnectionPtr connection) {
  const auto now = std::chrono::steady_clock::now();
  connection->ClearDeadline();
  connection->idle_since = now;
  // A head's worth of memory for each target is more than it costs to have it again.
  if (connection->unread() == 0) {
    connection->in.Trim(0);
    connection->used = 0;
  }
  std::lock_guard lock(mutex_);
  auto& idle = idle_by_origin_[Key(origin, &loop)];
  idle.push_back(std::move(connection));
  if (idle.size() > per_origin_) idle.pop_front();
  Sweep(now);
}

// Called under the lock. Origins that are not used any more would keep their sockets.
void ConnectionPool::Sweep(TimePoint now) {
  if (now < next_sweep_) return;
  next_sweep_ = now + std::min<Duration>(idle_, std::chrono::seconds(30));
  for (auto it = idle_by_origin_.begin(); it != idle_by_origin_.end();) {
    std::erase_if(it->second, [&](const ConnectionPtr& c) { return now - c->idle_since >= idle_; });
    it = it->second.empty() ? idle_by_origin_.erase(it) : std::next(it);
  }
}

void ConnectionPool::Clear() {
  std::lock_guard lock(mutex_);
  idle_by_origin_.clear();
}

asio::awaitable<Result<ConnectionPtr>> Connector::ConnectTo(Endpoint to, std::string name,
                                                            TimePoint deadline) {
  auto executor = co_await asio::this_coro::executor;
  auto connection = std::make_shared<Connection>(Socket(executor));
  connection->SetDeadline(deadline);
  auto [ec] = co_await connection->socket().async_connect(to, kAsTuple);
  if (ec && connection->expired())
    co_return Fail(ErrorKind::kTimeout, fmt::format("connect {}: no answer in time", name));
  if (ec == asio::error::operation_aborted)
    co_return Fail(ErrorKind::kCancelled, "cancelled while connecting");
  if (ec) co_return Fail(ErrorKind::kIo, fmt::format("connect {}: {}", name, ec.message()));
  ErrorCode ignored;
  connection->socket().set_option(asio::ip::tcp::no_delay(true), ignored);
  co_return connection;
}

asio::awaitable<Status> Connector::Handshake(Connection& connection, const Url& url) {
  auto context = tls_.Get();
  if (!context) co_return Fail(std::move(context).error());
  connection.WrapTls(*std::move(context));
  PICKET_CO_TRY(PrepareClientTls(connection, tls_config_, url.host));
  auto [ec] = co_await connection.tls()->async_handshake(asio::ssl::stream_base::client, kAsTuple);
  if (!ec) co_return Status();
  if (connection.expired() || ec == asio::error::operation_aborted || ec == asio::error::eof ||
      ec == asio::ssl::error::stream_truncated)
    co_return Fail(SocketError(connection, ec, "in the TLS handshake"));
  co_return Fail(ErrorKind::kIo,
                 fmt::format("TLS with {}: {}", url.Authority(), TlsErrorText(connection, ec)));
}

asio::awaitable<Result<ConnectionPtr>> Connector::Connect(const Url& url, TimePoint deadline) {
  if (url.scheme == "unix") {
    Endpoint to = asio::local::stream_protocol::endpoint(url.host);
    co_return co_await ConnectTo(to, url.host, deadline);
  }
  auto addresses = co_await runtime_.resolver().Resolve(url.host, deadline);
  if (!addresses) co_return Fail(std::move(addresses).error());
  Result<ConnectionPtr> connection = Fail(ErrorKind::kInternal, "no address");
  for (size_t i = 0; i < addresses->size(); ++i) {
    const asio::ip::tcp::endpoint tcp((*addresses)[i], url.port);
    const auto share = Share(std::chrono::steady_clock::now(), deadline, addresses->size() - i);
    Endpoint to = tcp;
    connection = co_await ConnectTo(to, EndpointName(tcp), share);
    if (connection || connection.error().kind() == ErrorKind::kCancelled) break;
  }
  if (!connection || url.scheme != "https") co_return connection;
  (*connection)->SetDeadline(deadline);
  PICKET_CO_TRY(co_await Handshake(**connection, url));
  co_return connection;
}

Status Connector::Check() {
  PICKET_TRY(tls_.Get());
  return {};
}

Result<const void*> Connector::TlsIdentity() {
  PICKET_ASSIGN(auto context, tls_.Get());
  return context.get();
}

}  // namespace picket::net
