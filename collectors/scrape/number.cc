// SPDX-License-Identifier: Apache-2.0
#include "collectors/scrape/number.h"

#include <charconv>
#include <cmath>
#include <cstdlib>

#include "core/base/strings.h"

namespace picket::collectors::scrape {
namespace {

bool EqualsNoCase(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    if ((text[i] | 0x20) != lower[i]) return false;
  }
  return true;
}

std::optional<double> ParseSpecial(std::string_view text, bool negative, bool signed_) {
  if (EqualsNoCase(text, "inf") || EqualsNoCase(text, "infinity")) {
    return negative ? -HUGE_VAL : HUGE_VAL;
  }
  if (!signed_ && EqualsNoCase(text, "nan")) return std::bit_cast<double>(kNormalNanBits);
  return std::nullopt;
}

}  // namespace

std::optional<double> ParseFloat(std::string_view text) {
  const bool negative = !text.empty() && text[0] == '-';
  const bool signed_ = negative || (!text.empty() && text[0] == '+');
  if (signed_) text.remove_prefix(1);
  if (text.empty()) return std::nullopt;
  if (text[0] != '.' && (text[0] < '0' || text[0] > '9')) {
    return ParseSpecial(text, negative, signed_);
  }
  double value = 0;
  const auto [stop, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (stop != text.data() + text.size()) return std::nullopt;
  if (code == std::errc::result_out_of_range) {
    // from_chars does not say on which side; strtod does.
    value = std::strtod(std::string(text).c_str(), nullptr);
    if (std::isinf(value)) return std::nullopt;
  } else if (code != std::errc()) {
    return std::nullopt;
  }
  return negative ? -value : value;
}

std::string FormatOpenMetricsFloat(double value) {
  if (!std::isfinite(value)) return FormatFloat(value);
  if (value == 0) return "0.0";
  char buffer[64];
  auto r = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific);
  const std::string_view text(buffer, r.ptr);
  int exponent = 0;
  const size_t e = text.find('e');
  std::from_chars(text.data() + e + (text[e + 1] == '+' ? 2 : 1), r.ptr, exponent);
  // Go's %g, which defines the canonical form: an exponent below 1e-4 and from 1e+06 on.
  if (exponent < -4 || exponent >= 6) return std::string(text);
  r = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed);
  std::string fixed(buffer, r.ptr);
  if (fixed.find('.') == std::string::npos) fixed += ".0";
  return fixed;
}

}  // namespace picket::collectors::scrape
