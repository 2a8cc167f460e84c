// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace picket::net {

/// An absolute http, https or unix URL in parts. Source: RFC 3986; unix:///run/x.sock:/path as curl
/// users write it.
struct Url {
  std::string scheme;    ///< lower case: http, https, unix
  std::string userinfo;  ///< raw user:password, for basic authentication
  std::string host;      ///< lower case, IPv6 without brackets; the socket's path for unix
  uint16_t port = 0;     ///< the scheme's when not given
  std::string target;    ///< path and query, at least "/"

  static Result<Url> Parse(std::string_view text);
  /// What a Host header carries: the port only when it is not the scheme's.
  std::string Authority() const;
  /// scheme://host:port, the unit of connection reuse and of credentials.
  std::string Origin() const;
  /// Without the userinfo: safe to show.
  std::string ToString() const;
  /// Where a Location leads.
  Result<Url> Resolve(std::string_view reference) const;
};

/// "%41+b" to "A b" ('+' only when `plus`). Errors: kInvalidArgument on a bad escape.
Result<std::string> PercentDecode(std::string_view text, bool plus);
std::string PercentEncode(std::string_view text);

}  // namespace picket::net
