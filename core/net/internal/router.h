// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/strings.h"
#include "core/net/http_server.h"

namespace picket::net {

/// Finds the route for a path: exact ones by hash, then patterns, most literal first, then
/// prefixes, longest first.
class Router {
 public:
  struct Match {
    const HttpRoute* route = nullptr;  ///< null: see `allow`
    std::string allow;                 ///< methods of the path; empty: no such path
    bool open = false;                 ///< some route of the path needs no authentication
    std::vector<std::pair<std::string, std::string>> params;
  };
  void Add(HttpRoute route);
  Match Find(std::string_view method, std::string_view path) const;

 private:
  struct Pattern {
    std::vector<std::string> segments;  // "{name}" captures
    std::unique_ptr<HttpRoute> route;
    size_t literal = 0;
  };
  std::unordered_map<std::string, std::vector<std::unique_ptr<HttpRoute>>, StringHash,
                     std::equal_to<>>
      exact_;
  std::vector<Pattern> patterns_;
  std::vector<std::pair<std::string, std::unique_ptr<HttpRoute>>> prefixes_;
};

}  // namespace picket::net
