// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "core/net/http_config.h"
#include "core/net/http_headers.h"
#include "core/net/internal/watched_file.h"

namespace picket::net {

/// The header fields that a client configuration adds, with files read anew when they change.
/// Threads: any.
class Credentials {
 public:
  explicit Credentials(const HttpClientConfig& config);
  /// "Basic ...", "Bearer ..." or "". Errors: of the files.
  Result<std::string> Authorization() const;
  /// The configured http_headers.
  Status AppendHeaders(HttpHeaders& out) const;

 private:
  struct Extra {
    std::string name;
    TextSource value;
  };
  bool basic_ = false;
  std::string type_;
  TextSource username_, password_, token_;
  std::vector<Extra> extras_;
};

std::string Base64Encode(std::string_view bytes);
/// Empty on bad input.
std::string Base64Decode(std::string_view text);

}  // namespace picket::net
