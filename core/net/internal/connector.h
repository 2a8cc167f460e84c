// SPDX-License-Identifier: Apache-2.0
// Connections of a client: new ones, and kept ones.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "core/base/result.h"
#include "core/net/http_config.h"
#include "core/net/internal/connection.h"
#include "core/net/internal/tls.h"
#include "core/net/runtime.h"
#include "core/net/url.h"

namespace picket::net {

using ConnectionPtr = std::shared_ptr<Connection>;

/// Idle connections by origin and loop. Threads: any.
class ConnectionPool {
 public:
  ConnectionPool(size_t per_origin, Milliseconds idle) : per_origin_(per_origin), idle_(idle) {}

  /// The one used last that is still silent, or null.
  ConnectionPtr Take(const std::string& origin, asio::execution_context& loop);
  void Give(const std::string& origin, asio::execution_context& loop, ConnectionPtr connection);
  void Clear();

 private:
  using Key = std::pair<std::string, const void*>;
  void Sweep(TimePoint now);

  const size_t per_origin_;
  const Milliseconds idle_;
  std::mutex mutex_;  // guards idle_by_origin_, next_sweep_
  std::map<Key, std::deque<ConnectionPtr>> idle_by_origin_;
  TimePoint next_sweep_{};
};

/// Opens connections: addresses one after the other, each with its share of the time; then TLS.
class Connector {
 public:
  Connector(Runtime& runtime, const TlsConfig& tls)
      : runtime_(runtime), tls_config_(tls), tls_(tls) {}

  /// Errors: kTimeout, kIo ("connect 127.0.0.1:9090: Connection refused"), kCancelled, those of the
  /// TLS files.
  asio::awaitable<Result<ConnectionPtr>> Connect(const Url& url, TimePoint deadline);
  /// Reads the TLS files.
  Status Check();
  /// Changes whenever a TLS file has: connections made before are not to be used again.
  Result<const void*> TlsIdentity();

 private:
  asio::awaitable<Result<ConnectionPtr>> ConnectTo(asio::generic::stream_protocol::endpoint to,
                                                   std::string name, TimePoint deadline);
  asio::awaitable<Status> Handshake(Connection& connection, const Url& url);

  Runtime& runtime_;
  const TlsConfig tls_config_;
  TlsContext tls_;
};

}  // namespace picket::net
