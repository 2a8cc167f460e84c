// SPDX-License-Identifier: Apache-2.0
#include "store/tsdb/column/int_column.h"

#include <algorithm>

#include "store/tsdb/bytes.h"
#include "store/tsdb/column/column.h"

namespace picket::store::tsdb {
namespace {

constexpr uint8_t kVarints = 0xff;  // in the place of the width
constexpr int kMaxWidth = 56;

}  // namespace

void EncodeIntegers(std::span<const int64_t> values, std::vector<uint8_t>& out) {
  const size_t n = values.size() - 1;
  uint64_t zigzag[kMaxRows];
  int64_t low = INT64_MAX, high = INT64_MIN;
  size_t varint_bytes = 0;
  for (size_t i = 0; i < n; ++i) {
    const int64_t d = values[i + 1] - values[i];
    low = std::min(low, d);
    high = std::max(high, d);
    zigzag[i] = ZigZag(d);
    varint_bytes += static_cast<size_t>(VarintSize(zigzag[i]));
  }
  uint8_t buffer[2 * kMaxVarint + 1 + kMaxRows * kMaxVarint];
  uint8_t* p = PutVarint(buffer, ZigZag(values[0]));
  if (n == 0) {
    out.insert(out.end(), buffer, p);
    return;
  }
  const int width = std::bit_width(static_cast<uint64_t>(high - low));
  const size_t packed =
      static_cast<size_t>(VarintSize(ZigZag(low))) + (n * static_cast<size_t>(width) + 7) / 8;
  if (width > kMaxWidth || varint_bytes < packed) {
    *p++ = kVarints;
    for (size_t i = 0; i < n; ++i) p = PutVarint(p, zigzag[i]);
    out.insert(out.end(), buffer, p);
    return;
  }
  *p++ = static_cast<uint8_t>(width);
  p = PutVarint(p, ZigZag(low));
  uint64_t acc = 0;
  int filled = 0;
  for (size_t i = 0; i < n && width > 0; ++i) {
    acc |= static_cast<uint64_t>(UnZigZag(zigzag[i]) - low) << filled;
    filled += width;
    while (filled >= 8) {
      *p++ = static_cast<uint8_t>(acc);
      acc >>= 8;
      filled -= 8;
    }
  }
  if (filled > 0) *p++ = static_cast<uint8_t>(acc);
  out.insert(out.end(), buffer, p);
}

bool DecodeIntegers(const uint8_t* p, const uint8_t* end, int count, int64_t* out) {
  uint64_t u;
  if (count < 1 || (p = GetVarint(p, end, u)) == nullptr) return false;
  int64_t v = UnZigZag(u);
  out[0] = v;
  if (count == 1) return true;
  if (p >= end) return false;
  const uint8_t width = *p++;
  if (width == kVarints) {
    for (int i = 1; i < count; ++i) {
      if ((p = GetVarint(p, end, u)) == nullptr) return false;
      out[i] = v = Add(v, UnZigZag(u));
    }
    return true;
  }
  if (width > kMaxWidth || (p = GetVarint(p, end, u)) == nullptr) return false;
  const int64_t low = UnZigZag(u);
  const auto bytes = (static_cast<size_t>(count - 1) * width + 7) / 8;
  if (static_cast<size_t>(end - p) < bytes) return false;
  const uint64_t mask = (uint64_t{1} << width) - 1;
  size_t bit = 0;
  for (int i = 1; i < count; ++i, bit += width) {
    const uint8_t* q = p + bit / 8;
    uint64_t word = 0;
    if (end - q >= 8) {
      word = Load<uint64_t>(q);
    } else {
      std::memcpy(&word, q, static_cast<size_t>(end - q));
    }
    out[i] = v = Add(Add(v, low), static_cast<int64_t>((word >> (bit % 8)) & mask));
  }
  return true;
}

}  // namespace picket::store::tsdb
