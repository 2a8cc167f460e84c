// SPDX-License-Identifier: Apache-2.0
// One socket, plain or TLS, with one deadline.
#pragma once
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "core/net/buffer.h"

namespace picket::net {

namespace asio = boost::asio;
using ErrorCode = boost::system::error_code;
using Socket = asio::generic::stream_protocol::socket;
using TimePoint = std::chrono::steady_clock::time_point;

struct IoResult {
  ErrorCode ec;
  size_t bytes = 0;
};

/// A socket whose operations end with an error when its deadline passes.
/// Threads: one loop. Cost: a deadline costs a timer operation only when it is sooner than the one
/// already armed, so a kept connection pays about one for many requests.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  explicit Connection(Socket socket) : socket_(std::move(socket)), timer_(socket_.get_executor()) {}

  Socket& socket() { return socket_; }
  asio::any_io_executor executor() { return socket_.get_executor(); }

  void SetDeadline(TimePoint deadline);
  void ClearDeadline() { deadline_ = TimePoint::max(); }
  TimePoint deadline() const { return deadline_; }
  /// Whether the deadline closed it.
  bool expired() const { return expired_; }

  /// TLS over the socket. Ownership: keeps the context.
  void WrapTls(std::shared_ptr<asio::ssl::context> context);
  asio::ssl::stream<Socket&>* tls() { return tls_.get(); }

  asio::awaitable<IoResult> ReadSome(asio::mutable_buffer into);
  /// Fills the buffer, or ends early with an error (eof included).
  asio::awaitable<IoResult> ReadAll(asio::mutable_buffer into);
  asio::awaitable<IoResult> Write(std::span<const asio::const_buffer> pieces);
  void Close();
  bool open() const { return socket_.is_open(); }
  /// Of a kept connection: still open and silent.
  bool IsQuiet();

  /// Bytes read and not yet used: in.view().substr(used).
  BodyBuffer in;
  size_t used = 0;
  size_t unread() const { return in.size() - used; }
  /// Reads more behind what is there. Shape: `in` never holds more than `limit` unread bytes.
  asio::awaitable<IoResult> Fill(size_t limit);
  /// Takes up to `n` unread bytes.
  std::string_view Take(size_t n);

  TimePoint idle_since{};  ///< for the pool

 private:
  void Arm(TimePoint when);

  Socket socket_;
  asio::steady_timer timer_;
  TimePoint deadline_ = TimePoint::max();
  TimePoint armed_ = TimePoint::max();
  bool expired_ = false;
  bool writing_ = false;
  std::shared_ptr<asio::ssl::context> context_;
  std::unique_ptr<asio::ssl::stream<Socket&>> tls_;
};

}  // namespace picket::net
