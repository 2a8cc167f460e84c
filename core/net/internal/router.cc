// SPDX-License-Identifier: Apache-2.0
#include "core/net/internal/router.h"

#include <algorithm>

namespace picket::net {
namespace {

bool IsCapture(std::string_view segment) {
  return segment.starts_with('{') && segment.ends_with('}');
}

bool Fits(const HttpRoute& route, std::string_view method) {
  return route.method == method || route.method == "*" ||
         (method == "HEAD" && route.method == "GET");
}

bool FitsPattern(const std::vector<std::string>& pattern, const std::vector<std::string_view>& path,
                 std::vector<std::pair<std::string, std::string>>& params) {
  if (pattern.size() != path.size()) return false;
  params.clear();
  for (size_t i = 0; i < path.size(); ++i) {
    if (IsCapture(pattern[i])) {
      if (path[i].empty()) return false;
      params.emplace_back(pattern[i].substr(1, pattern[i].size() - 2), path[i]);
    } else if (pattern[i] != path[i]) {
      return false;
    }
  }
  return true;
}

// Takes the route or notes that the path exists.
bool Consider(const HttpRoute& route, std::string_view method, Router::Match& match) {
  match.open = match.open || route.open;
  if (Fits(route, method)) {
    match.route = &route;
    match.open = route.open;
    return true;
  }
  if (match.allow.find(route.method) == std::string::npos) {
    if (!match.allow.empty()) match.allow += ", ";
    match.allow += route.method == "GET" ? "GET, HEAD" : route.method;
  }
  return false;
}

}  // namespace

void Router::Add(HttpRoute route) {
  auto owned = std::make_unique<HttpRoute>(std::move(route));
  const std::string path = owned->path;
  if (path.ends_with("*")) {
    prefixes_.emplace_back(path.substr(0, path.size() - 1), std::move(owned));
    std::stable_sort(prefixes_.begin(), prefixes_.end(),
                     [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
    return;
  }
  if (path.find('{') == std::string::npos) {
    exact_[path].push_back(std::move(owned));
    return;
  }
  Pattern pattern;
  for (std::string_view s : Split(path, '/')) {
    pattern.segments.emplace_back(s);
    if (!IsCapture(s)) ++pattern.literal;
  }
  pattern.route = std::move(owned);
  patterns_.push_back(std::move(pattern));
  std::stable_sort(patterns_.begin(), patterns_.end(),
                   [](const Pattern& a, const Pattern& b) { return a.literal > b.literal; });
}

Router::Match Router::Find(std::string_view method, std::string_view path) const {
  Match match;
  if (auto it = exact_.find(path); it != exact_.end()) {
    for (const auto& route : it->second)
      if (Consider(*route, method, match)) return match;
    return match;
  }
  if (!patterns_.empty()) {
    const auto segments = Split(path, '/');
    for (const Pattern& p : patterns_) {
      if (!FitsPattern(p.segments, segments, match.params)) continue;
      if (Consider(*p.route, method, match)) return match;
    }
    match.params.clear();
    if (!match.allow.empty()) return match;
  }
  for (const auto& [prefix, route] : prefixes_) {
    if (!path.starts_with(prefix)) continue;
    if (Consider(*route, method, match)) return match;
  }
  return match;
}

}  // namespace picket::net
