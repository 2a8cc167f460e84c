// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string_view>

namespace picket::rules::promql {

/// Runs of digits compare as numbers, the rest byte by byte: "4m5" < "4m600" < "4m1000".
inline bool NaturallyLess(std::string_view a, std::string_view b) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto run = [&](std::string_view s) {
    size_t n = 1;
    while (n < s.size() && digit(s[n]) == digit(s[0])) ++n;
    return n;
  };
  while (!a.empty() && !b.empty()) {
    std::string_view x = a.substr(0, run(a));
    std::string_view y = b.substr(0, run(b));
    a.remove_prefix(x.size());
    b.remove_prefix(y.size());
    if (digit(x[0]) && digit(y[0])) {
      while (x.size() > 1 && x[0] == '0') x.remove_prefix(1);
      while (y.size() > 1 && y[0] == '0') y.remove_prefix(1);
      if (x.size() != y.size()) return x.size() < y.size();
    }
    if (x != y) return x < y;
  }
  return a.size() < b.size();
}

}  // namespace picket::rules::promql
