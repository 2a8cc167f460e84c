// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

namespace picket {

/// A value that must not be seen: formats as "<secret>". Reveal() is the only way out and is
/// grepped for in review.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string value) : value_(std::move(value)) {}
  const std::string& Reveal() const { return value_; }
  bool empty() const { return value_.empty(); }
  bool operator==(const Secret&) const = default;

 private:
  std::string value_;
};

}  // namespace picket

template <>
struct fmt::formatter<picket::Secret> : fmt::formatter<std::string_view> {
  auto format(const picket::Secret&, fmt::format_context& ctx) const {
    return fmt::formatter<std::string_view>::format("<secret>", ctx);
  }
};
