// SPDX-License-Identifier: Apache-2.0
// Heads of requests and responses, read by Beast's parser and then held to RFC 9112's rules on
// message length.
#pragma once
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/net/http_headers.h"

namespace picket::net {

/// Offset behind the empty line that ends a head, or npos. `from`: what was already looked at.
size_t FindHeadEnd(std::string_view bytes, size_t from = 0);

/// What both kinds say about the body and the connection.
struct MessageHead {
  int version = 11;
  HttpHeaders headers;
  bool keep_alive = false;
  bool chunked = false;
  std::optional<uint64_t> content_length;
};

struct RequestHead : MessageHead {
  std::string method;
  std::string target;
  bool expects_continue = false;
};

struct ResponseHead : MessageHead {
  int status = 0;
  bool until_close = false;  ///< the body ends with the connection
};

/// Why a request head is refused: the status to answer and one sentence.
struct HeadRefusal {
  int status;
  std::string why;
};

/// Shape: `head` ends with its empty line. Conflicting or repeated lengths, Transfer-Encoding other
/// than chunked, folded lines, spaces before colons, missing or repeated Host are refused, so no
/// two readers can disagree on a boundary.
std::expected<RequestHead, HeadRefusal> ParseRequestHead(std::string_view head);

/// `to_head`: the request was HEAD. Errors: kCorrupt.
Result<ResponseHead> ParseResponseHead(std::string_view head, bool to_head);

}  // namespace picket::net
