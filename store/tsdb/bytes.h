// SPDX-License-Identifier: Apache-2.0
// Loads, stores and varints on raw bytes, little-endian as on disk.
#pragma once
#include <bit>
#include <cstdint>
#include <cstring>

namespace picket::store::tsdb {

static_assert(std::endian::native == std::endian::little, "the files are mapped as they are");

template <class T>
T Load(const uint8_t* p) {
  T v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
template <class T>
uint8_t* Put(uint8_t* p, T v) {
  std::memcpy(p, &v, sizeof v);
  return p + sizeof v;
}

constexpr uint64_t ZigZag(int64_t v) {
  return (static_cast<uint64_t>(v) << 1) ^ static_cast<uint64_t>(v >> 63);
}
constexpr int64_t UnZigZag(uint64_t v) {
  return static_cast<int64_t>(v >> 1) ^ -static_cast<int64_t>(v & 1);
}
/// Wrapping arithmetic: damaged bytes may ask for any sum.
constexpr int64_t Add(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}
constexpr int64_t Sub(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}

inline constexpr int kMaxVarint = 10;

inline uint8_t* PutVarint(uint8_t* p, uint64_t v) {
  while (v >= 0x80) {
    *p++ = static_cast<uint8_t>(v) | 0x80;
    v >>= 7;
  }
  *p++ = static_cast<uint8_t>(v);
  return p;
}

inline int VarintSize(uint64_t v) { return (std::bit_width(v | 1) + 6) / 7; }

/// The position after the varint, or null when it does not end before `end`.
inline const uint8_t* GetVarint(const uint8_t* p, const uint8_t* end, uint64_t& v) {
  if (p < end && *p < 0x80) {
    v = *p;
    return p + 1;
  }
  uint64_t out = 0;
  for (int shift = 0; shift < 64 && p < end; shift += 7) {
    const uint8_t b = *p++;
    out |= static_cast<uint64_t>(b & 0x7f) << shift;
    if (b < 0x80) {
      v = out;
      return p;
    }
  }
  return nullptr;
}

}  // namespace picket::store::tsdb
