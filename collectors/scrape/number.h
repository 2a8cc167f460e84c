// SPDX-License-Identifier: Apache-2.0
// Sample values as exposition formats write them.
#pragma once
#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace picket::collectors::scrape {

/// The one NaN that samples carry; staleness markers have another. Source: Prometheus model/value.
inline constexpr uint64_t kNormalNanBits = 0x7ff8000000000001ULL;

/// A float in the formats' grammar: decimal with optional exponent, inf, infinity, nan in any case,
/// an optional sign. No hexadecimal, no underscores. Errors: nullopt also where the number is too
/// large for a double; too small is 0.
std::optional<double> ParseFloat(std::string_view text);

/// A float in OpenMetrics' canonical form ("1.0", "0.5", "+Inf"), which `le` and `quantile` values
/// are brought into.
std::string FormatOpenMetricsFloat(double value);

/// Reads a whole value token at `p`, ended by one of space, tab or newline.
/// Returns where the token ends, or nullptr where this is not the plain kind (up to 19 digits with
/// an optional point and exponent whose double is exact by one multiplication) and ParseFloat has
/// to look. Cost: a few ns.
inline const char* ParsePlainNumber(const char* p, const char* end, double& value) {
  static constexpr double kPowers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                       1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                       1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  const bool negative = p < end && *p == '-';
  p += negative;
  uint64_t mantissa = 0;
  const char* const first = p;
  while (p < end && static_cast<unsigned char>(*p - '0') < 10)
    mantissa = mantissa * 10 + (*p++ - '0');
  int64_t digits = p - first;
  int exponent = 0;
  if (p < end && *p == '.') {
    const char* const point = ++p;
    while (p < end && static_cast<unsigned char>(*p - '0') < 10) {
      mantissa = mantissa * 10 + (*p++ - '0');
    }
    exponent = -static_cast<int>(p - point);
    digits += p - point;
  }
  if (digits == 0 || digits > 19) return nullptr;
  if (p < end && (*p | 0x20) == 'e') {
    ++p;
    const bool minus = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+')) ++p;
    const char* const power = p;
    int written = 0;
    while (p < end && static_cast<unsigned char>(*p - '0') < 10 && p - power < 4) {
      written = written * 10 + (*p++ - '0');
    }
    if (p == power) return nullptr;
    exponent += minus ? -written : written;
  }
  if (p >= end || (*p != '\n' && *p != ' ' && *p != '\t')) return nullptr;
  // Both factors are exact doubles here, so the product is correctly rounded (Clinger's fast path).
  if (mantissa > (uint64_t{1} << 53) || exponent < -22 || exponent > 22) return nullptr;
  double v = static_cast<double>(mantissa);
  if (exponent < 0) {
    v /= kPowers[-exponent];
  } else if (exponent > 0) {
    v *= kPowers[exponent];
  }
  value = negative ? -v : v;
  return p;
}

}  // namespace picket::collectors::scrape
