// SPDX-License-Identifier: Apache-2.0
// Bodies straight from the socket into memory that stays.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/net/buffer.h"
#include "core/net/internal/connection.h"
#include "core/net/internal/http_head.h"

namespace picket::net {

/// What an error code of a socket means: kTimeout if the deadline closed it, kCancelled, else kIo;
/// `doing` names the phase.
Error SocketError(const Connection& connection, const ErrorCode& ec, std::string_view doing);

/// Exactly `n` bytes: what is already in the connection, then the rest by one read of its size.
asio::awaitable<Status> ReadSized(Connection& connection, char* to, size_t n);

/// The body that `head` announces, replacing `out`. `until_close`: it ends with the connection.
/// Errors: kLimit, kCorrupt, those of the socket. Cost: sized bodies are received in place; others
/// grow `out` by halves.
asio::awaitable<Status> ReadBody(Connection& connection, const MessageHead& head, bool until_close,
                                 uint64_t limit, BodyBuffer& out);

Error BodyOverLimit(uint64_t limit);

}  // namespace picket::net
