// SPDX-License-Identifier: Apache-2.0
// How one changed value is written in a row log: against the value before it, readable in both
// directions. Source: FORMAT.md, "Value codes".
#pragma once
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "store/tsdb/bytes.h"

namespace picket::store::tsdb {

inline constexpr int64_t kMaxExactInt = int64_t{1} << 53;

/// True when the double is an integer that survives the way to int64 and back, bit by bit (so not
/// -0.0).
inline bool AsInt(uint64_t bits, int64_t& out) {
  const double d = std::bit_cast<double>(bits);
  // Also false for NaN; inside the bound the conversion is defined.
  if (!(d > -static_cast<double>(kMaxExactInt) && d < static_cast<double>(kMaxExactInt)))
    return false;
  out = static_cast<int64_t>(d);
  return std::bit_cast<uint64_t>(static_cast<double>(out)) == bits;
}

inline constexpr int kMaxValueCode = 10;

/// Writes `cur` against `prev`. Shape: at most kMaxValueCode bytes, though 8 bytes behind them may
/// be scribbled on.
inline uint8_t* EncodeValue(uint64_t prev, uint64_t cur, uint8_t* p) {
  int64_t a, b;
  if (AsInt(prev, a) && AsInt(cur, b)) return PutVarint(p, ZigZag(b - a) << 1);
  const uint64_t x = prev ^ cur;
  if (x == 0) return PutVarint(p, 0);
  const int lead = std::countl_zero(x) / 8;
  const int trail = std::countr_zero(x) / 8;
  *p++ = static_cast<uint8_t>(1 | (lead << 1) | (trail << 4));
  Put(p, x >> (trail * 8));
  return p + (8 - lead - trail);
}

/// Moves `state` over one code: forward from the value before to the value after, or back. Null
/// when bytes are damaged.
template <bool kForward>
inline const uint8_t* ApplyValue(const uint8_t* p, const uint8_t* end, uint64_t& state) {
  if (p >= end) return nullptr;
  if ((*p & 1) != 0) {
    const int lead = (*p >> 1) & 7;
    const int trail = (*p >> 4) & 7;
    const int n = 8 - lead - trail;
    ++p;
    if (n <= 0 || end - p < n) return nullptr;
    uint64_t x = 0;
    if (end - p >= 8) {
      x = Load<uint64_t>(p);
      if (n < 8) x &= (uint64_t{1} << (n * 8)) - 1;
    } else {
      std::memcpy(&x, p, static_cast<size_t>(n));
    }
    state ^= x << (trail * 8);
    return p + n;
  }
  uint64_t u;
  p = GetVarint(p, end, u);
  if (p == nullptr || u == 0) return p;
  int64_t a;
  if (!AsInt(state, a)) return nullptr;
  const int64_t delta = UnZigZag(u >> 1);
  state = std::bit_cast<uint64_t>(static_cast<double>(kForward ? Add(a, delta) : Sub(a, delta)));
  return p;
}

inline const uint8_t* SkipValue(const uint8_t* p, const uint8_t* end) {
  if (p >= end) return nullptr;
  if ((*p & 1) != 0) {
    const int n = 8 - ((*p >> 1) & 7) - ((*p >> 4) & 7);
    return n > 0 && end - p > n ? p + 1 + n : nullptr;
  }
  while (p < end && *p >= 0x80) ++p;
  return p < end ? p + 1 : nullptr;
}

}  // namespace picket::store::tsdb
