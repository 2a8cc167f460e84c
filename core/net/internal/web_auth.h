// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <boost/asio/awaitable.hpp>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

#include "core/net/http_config.h"
#include "core/net/http_headers.h"
#include "core/net/internal/watched_file.h"
#include "core/net/runtime.h"

namespace picket::net {

/// Who a request is from, by a WebConfig. Threads: any.
/// Cost: bcrypt is slow by design; it runs on the blocking pool, and what was once right is
/// remembered by digest.
class WebAuth {
 public:
  WebAuth(Runtime& runtime, const WebConfig& config);

  struct Verdict {
    bool allowed = false;
    std::string user;
  };
  asio::awaitable<Verdict> Check(std::string authorization);
  bool needed() const { return needed_; }
  /// The value of WWW-Authenticate.
  std::string Challenge() const;

 private:
  using Digest = std::array<unsigned char, 32>;
  asio::awaitable<Verdict> CheckBasic(std::string encoded);
  bool CheckToken(std::string_view token) const;

  Runtime& runtime_;
  bool needed_;
  std::map<std::string, TextSource> users_;
  TextSource token_;
  std::string salt_;  // random, so that remembered digests say nothing
  std::mutex mutex_;  // guards good_
  std::set<Digest> good_;
};

/// Whether `password` fits `stored`: a crypt(3) hash ("$2y$10$...") or the password itself. Cost:
/// by the hash.
bool PasswordFits(const std::string& password, const std::string& stored);

}  // namespace picket::net
