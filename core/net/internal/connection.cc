// SPDX-License-Identifier: Apache-2.0
#include "core/net/internal/connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <cerrno>
#include <cstring>
#include <tuple>

namespace picket::net {
namespace {

constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);
constexpr size_t kFirstRead = 4096;  // a head and the start of its body; bodies are read elsewhere

}  // namespace

void Connection::SetDeadline(TimePoint deadline) {
  deadline_ = deadline;
  if (deadline < armed_) Arm(deadline);
}

void Connection::Arm(TimePoint when) {
  armed_ = when;
  timer_.expires_at(when);
  timer_.async_wait([weak = weak_from_this()](ErrorCode ec) {
    auto self = weak.lock();
    if (!self || ec) return;  // replaced by a sooner one, or gone
    self->armed_ = TimePoint::max();
    if (self->deadline_ == TimePoint::max()) return;
    if (std::chrono::steady_clock::now() < self->deadline_) {
      self->Arm(self->deadline_);
    } else {
      self->expired_ = true;
      // What a peer does not read would stay in the kernel, and the peer would not hear of the end.
      ErrorCode ignored;
      if (self->writing_) self->socket_.set_option(asio::socket_base::linger(true, 0), ignored);
      self->Close();
    }
  });
}

void Connection::WrapTls(std::shared_ptr<asio::ssl::context> context) {
  context_ = std::move(context);
  tls_ = std::make_unique<asio::ssl::stream<Socket&>>(socket_, *context_);
}

asio::awaitable<IoResult> Connection::ReadSome(asio::mutable_buffer into) {
  if (tls_) {
    auto [ec, n] = co_await tls_->async_read_some(into, kAsTuple);
    co_return IoResult{ec, n};
  }
  auto [ec, n] = co_await socket_.async_read_some(into, kAsTuple);
  co_return IoResult{ec, n};
}

asio::awaitable<IoResult> Connection::ReadAll(asio::mutable_buffer into) {
  if (tls_) {
    auto [ec, n] = co_await asio::async_read(*tls_, into, kAsTuple);
    co_return IoResult{ec, n};
  }
  auto [ec, n] = co_await asio::async_read(socket_, into, kAsTuple);
  co_return IoResult{ec, n};
}

asio::awaitable<IoResult> Connection::Write(std::span<const asio::const_buffer> pieces) {
  writing_ = true;
  IoResult r;
  if (tls_) {
    std::tie(r.ec, r.bytes) = co_await asio::async_write(*tls_, pieces, kAsTuple);
  } else {
    std::tie(r.ec, r.bytes) = co_await asio::async_write(socket_, pieces, kAsTuple);
  }
  writing_ = false;
  co_return r;
}

void Connection::Close() {
  ErrorCode ignored;
  socket_.close(ignored);
}

bool Connection::IsQuiet() {
  if (!socket_.is_open() || unread() > 0) return false;
  char byte = 0;
  const ssize_t n = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  // A TLS server may have sent session tickets after the handshake; reading will sort them out.
  if (n > 0) return tls_ != nullptr;
  return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

asio::awaitable<IoResult> Connection::Fill(size_t limit) {
  if (used == in.size()) {
    in.Clear();
    used = 0;
  } else if (used > 0 && in.capacity() - in.size() < kFirstRead / 2) {
    std::memmove(in.data(), in.data() + used, unread());
    in.SetSize(unread());
    used = 0;
  }
  if (in.size() == in.capacity())
    in.Reserve(std::max(kFirstRead, std::min(in.capacity() * 2, limit + used)));
  const size_t room = std::min(in.capacity() - in.size(), limit > unread() ? limit - unread() : 0);
  if (room == 0) co_return IoResult{asio::error::make_error_code(asio::error::message_size), 0};
  asio::mutable_buffer into(in.data() + in.size(), room);
  IoResult r = co_await ReadSome(into);
  in.SetSize(in.size() + r.bytes);
  co_return r;
}

std::string_view Connection::Take(size_t n) {
  n = std::min(n, unread());
  const std::string_view out = in.view().substr(used, n);
  used += n;
  return out;
}

}  // namespace picket::net
