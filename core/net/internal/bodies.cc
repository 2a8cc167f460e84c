// SPDX-License-Identifier: Apache-2.0
#include "core/net/internal/bodies.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio.hpp>
#include <boost/asio/ssl/error.hpp>
#include <cstring>

#include "core/net/internal/chunked.h"

namespace picket::net {
namespace {

constexpr std::string_view kDoing = "reading the body";
constexpr size_t kUnknownFirst = 16 << 10;

uint64_t OrUnlimited(uint64_t limit) { return limit == 0 ? UINT64_MAX : limit; }

asio::awaitable<Status> ReadChunked(Connection& connection, uint64_t limit, BodyBuffer& out) {
  ChunkedDecoder decoder(limit);
  out.Append(connection.Take(connection.unread()));
  size_t payload = 0;
  for (;;) {
    PICKET_CO_TRY(decoder.Feed(out, payload));
    payload = decoder.payload_end();
    if (decoder.done()) break;
    const uint64_t wanted = std::max<uint64_t>(decoder.expected(), 512);
    if (out.capacity() - payload < wanted)
      out.Reserve(std::max<size_t>(payload + static_cast<size_t>(wanted) + 512, kUnknownFirst));
    asio::mutable_buffer into(out.data() + payload, out.capacity() - payload);
    const IoResult r = co_await connection.ReadSome(into);
    if (r.ec) co_return Fail(SocketError(connection, r.ec, kDoing));
    out.SetSize(payload + r.bytes);
  }
  // What came behind the body belongs to the next message.
  connection.in.Append(out.view().substr(payload));
  out.SetSize(payload);
  co_return Status();
}

asio::awaitable<Status> ReadUntilClose(Connection& connection, uint64_t limit, BodyBuffer& out) {
  out.Append(connection.Take(connection.unread()));
  for (;;) {
    if (out.size() > limit) co_return Fail(BodyOverLimit(limit));
    if (out.capacity() - out.size() < 512) out.Reserve(std::max(out.size() + 1024, kUnknownFirst));
    asio::mutable_buffer into(out.data() + out.size(), out.capacity() - out.size());
    const IoResult r = co_await connection.ReadSome(into);
    out.SetSize(out.size() + r.bytes);
    if (r.ec == asio::error::eof) break;
    if (r.ec) co_return Fail(SocketError(connection, r.ec, kDoing));
  }
  if (out.size() > limit) co_return Fail(BodyOverLimit(limit));
  co_return Status();
}

}  // namespace

Error BodyOverLimit(uint64_t limit) {
  return Error(ErrorKind::kLimit, fmt::format("body is over the limit of {} bytes", limit));
}

Error SocketError(const Connection& connection, const ErrorCode& ec, std::string_view doing) {
  if (connection.expired())
    return Error(ErrorKind::kTimeout, fmt::format("no progress in time while {}", doing));
  if (ec == asio::error::operation_aborted)
    return Error(ErrorKind::kCancelled, fmt::format("cancelled while {}", doing));
  if (ec == asio::error::eof || ec == asio::ssl::error::stream_truncated)
    return Error(ErrorKind::kIo, fmt::format("connection closed while {}", doing));
  return Error(ErrorKind::kIo, fmt::format("{} while {}", ec.message(), doing));
}

asio::awaitable<Status> ReadSized(Connection& connection, char* to, size_t n) {
  const std::string_view ready = connection.Take(n);
  if (!ready.empty()) std::memcpy(to, ready.data(), ready.size());
  if (ready.size() == n) co_return Status();
  asio::mutable_buffer into(to + ready.size(), n - ready.size());
  const IoResult r = co_await connection.ReadAll(into);
  if (r.ec) co_return Fail(SocketError(connection, r.ec, kDoing));
  co_return Status();
}

asio::awaitable<Status> ReadBody(Connection& connection, const MessageHead& head, bool until_close,
                                 uint64_t limit, BodyBuffer& out) {
  limit = OrUnlimited(limit);
  out.Clear();
  if (until_close) co_return co_await ReadUntilClose(connection, limit, out);
  if (head.chunked) co_return co_await ReadChunked(connection, limit, out);
  const uint64_t length = head.content_length.value_or(0);
  if (length == 0) co_return Status();
  if (length > limit) co_return Fail(BodyOverLimit(limit));
  out.Reserve(static_cast<size_t>(length));
  PICKET_CO_TRY(co_await ReadSized(connection, out.data(), static_cast<size_t>(length)));
  out.SetSize(static_cast<size_t>(length));
  co_return Status();
}

}  // namespace picket::net
