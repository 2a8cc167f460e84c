// SPDX-License-Identifier: Apache-2.0
#include "store/tsdb/column/column.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/model/metrics.h"
#include "store/tsdb/column/int_column.h"
#include "store/tsdb/column/value_code.h"
#include "store/tsdb/column/xor_column.h"

namespace picket::store::tsdb {
namespace {

enum Type : uint8_t { kNone = 0, kConstant = 1, kInteger = 2, kDecimal = 3, kXor = 4 };
constexpr uint8_t kTypeMask = 0x07;
constexpr uint8_t kExponentShift = 3;  // of a decimal column: value = integer / 10^(1 + exponent)
constexpr uint8_t kExponentMask = 0x07;
constexpr uint8_t kPartial = 0x40;  // not every row has a value
constexpr uint8_t kStale = 0x80;    // some values are staleness markers

constexpr std::array<double, 9> kPowers = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8};

void AppendVarint(std::vector<uint8_t>& out, uint64_t v) {
  uint8_t tmp[kMaxVarint];
  out.insert(out.end(), tmp, PutVarint(tmp, v));
}

bool ToIntegers(std::span<const uint64_t> bits, int64_t* out) {
  for (size_t i = 0; i < bits.size(); ++i)
    if (!AsInt(bits[i], out[i])) return false;
  return true;
}

/// Tries value * 10^k as an integer that divides back to the same bits. Most measured floats are
/// written decimals.
bool ToDecimals(std::span<const uint64_t> bits, int exponent, int64_t* out) {
  const double power = kPowers[static_cast<size_t>(exponent)];
  for (size_t i = 0; i < bits.size(); ++i) {
    const double v = std::bit_cast<double>(bits[i]);
    const double scaled = std::nearbyint(v * power);
    if (!(std::fabs(scaled) < static_cast<double>(kMaxExactInt))) return false;
    const auto n = static_cast<int64_t>(scaled);
    if (std::bit_cast<uint64_t>(static_cast<double>(n) / power) != bits[i]) return false;
    out[i] = n;
  }
  return true;
}

/// Writes the values behind the type byte at `type_at`, whose type it sets.
void EncodeValues(std::span<const uint64_t> bits, size_t type_at, std::vector<uint8_t>& out) {
  if (bits.empty()) return;
  if (std::all_of(bits.begin(), bits.end(), [&](uint64_t b) { return b == bits[0]; })) {
    out[type_at] |= kConstant;
    uint8_t tmp[kMaxValueCode + 8];
    out.insert(out.end(), tmp, EncodeValue(0, bits[0], tmp));
    return;
  }
  int64_t integers[kMaxRows];
  if (ToIntegers(bits, integers)) {
    out[type_at] |= kInteger;
    return EncodeIntegers({integers, bits.size()}, out);
  }
  for (int k = 1; k <= 8; ++k) {
    // One probe first: a full-precision float fails on its first value.
    if (!ToDecimals(bits.first(1), k, integers) || !ToDecimals(bits, k, integers)) continue;
    out[type_at] |= static_cast<uint8_t>(kDecimal | ((k - 1) << kExponentShift));
    return EncodeIntegers({integers, bits.size()}, out);
  }
  out[type_at] |= kXor;
  EncodeXor(bits, out);
}

bool DecodeValues(uint8_t type, const uint8_t* p, const uint8_t* end, int n, uint64_t* out) {
  int64_t integers[kMaxRows];
  switch (type & kTypeMask) {
    case kNone:
      return n == 0;
    case kConstant: {
      uint64_t v = 0;
      if (ApplyValue<true>(p, end, v) == nullptr) return false;
      std::fill_n(out, n, v);
      return true;
    }
    case kInteger:
      if (!DecodeIntegers(p, end, n, integers)) return false;
      for (int i = 0; i < n; ++i)
        out[i] = std::bit_cast<uint64_t>(static_cast<double>(integers[i]));
      return true;
    case kDecimal: {
      if (!DecodeIntegers(p, end, n, integers)) return false;
      const double power = kPowers[1 + ((type >> kExponentShift) & kExponentMask)];
      for (int i = 0; i < n; ++i)
        out[i] = std::bit_cast<uint64_t>(static_cast<double>(integers[i]) / power);
      return true;
    }
    case kXor:
      return DecodeXor(p, end, n, out);
    default:
      return false;
  }
}

/// Staleness markers would spoil an integer column: their places are listed and the values written
/// without them.
size_t TakeStale(std::span<const uint64_t> bits, uint64_t* values, size_t type_at,
                 std::vector<uint8_t>& out) {
  size_t n = 0;
  for (uint64_t b : bits)
    if (b != kStaleNanBits) values[n++] = b;
  if (n == bits.size()) return n;
  out[type_at] |= kStale;
  AppendVarint(out, bits.size() - n);
  size_t last = 0;
  for (size_t i = 0; i < bits.size(); ++i) {
    if (bits[i] != kStaleNanBits) continue;
    AppendVarint(out, i - last);
    last = i;
  }
  return n;
}

/// Reads the stale list and the values; `out.size` says how many there are together.
bool DecodeBody(uint8_t type, const uint8_t* p, const uint8_t* end, DecodedColumn& out) {
  if ((type & kStale) == 0) return DecodeValues(type, p, end, out.size, out.bits);
  uint64_t stale;
  if ((p = GetVarint(p, end, stale)) == nullptr) return false;
  if (stale == 0 || stale > static_cast<uint64_t>(out.size)) return false;
  uint8_t at[kMaxRows];
  uint64_t place = 0;
  for (uint64_t i = 0; i < stale; ++i) {
    uint64_t step;
    if ((p = GetVarint(p, end, step)) == nullptr) return false;
    if (i > 0 && step == 0) return false;
    if (step >= static_cast<uint64_t>(out.size)) return false;
    place += step;
    if (place >= static_cast<uint64_t>(out.size)) return false;
    at[i] = static_cast<uint8_t>(place);
  }
  const int n = out.size - static_cast<int>(stale);
  uint64_t values[kMaxRows];
  if (!DecodeValues(type, p, end, n, values)) return false;
  for (int i = 0, v = 0, s = 0; i < out.size; ++i) {
    if (s < static_cast<int>(stale) && at[s] == i) {
      out.bits[i] = kStaleNanBits;
      ++s;
    } else {
      out.bits[i] = values[v++];
    }
  }
  return true;
}

}  // namespace

void EncodeColumn(std::span<const uint64_t> bits, std::span<const uint8_t> rows, int block_rows,
                  std::vector<uint8_t>& out) {
  const size_t type_at = out.size();
  out.push_back(0);
  if (static_cast<int>(bits.size()) != block_rows) {
    out[type_at] |= kPartial;
    const bool run = rows.back() - rows.front() + 1U == rows.size();
    if (run) {
      AppendVarint(out, static_cast<uint64_t>(rows.front()) << 1);
      AppendVarint(out, rows.size());
    } else {
      AppendVarint(out, 1);
      const size_t at = out.size();
      out.resize(at + static_cast<size_t>(block_rows + 7) / 8);
      for (uint8_t r : rows) out[at + r / 8] |= static_cast<uint8_t>(1 << (r % 8));
    }
  }
  uint64_t values[kMaxRows];
  const size_t n = TakeStale(bits, values, type_at, out);
  EncodeValues({values, n}, type_at, out);
}

bool DecodeColumn(std::span<const uint8_t> bytes, int block_rows, DecodedColumn& out) {
  const uint8_t* p = bytes.data();
  const uint8_t* end = p + bytes.size();
  if (p == end || block_rows < 1 || block_rows > kMaxRows) return false;
  const uint8_t type = *p++;
  out.full = (type & kPartial) == 0;
  out.size = block_rows;
  if (!out.full) {
    uint64_t head;
    if ((p = GetVarint(p, end, head)) == nullptr) return false;
    out.size = 0;
    if ((head & 1) == 0) {
      uint64_t count;
      if ((p = GetVarint(p, end, count)) == nullptr) return false;
      const uint64_t first = head >> 1;
      const auto rows = static_cast<uint64_t>(block_rows);
      if (count == 0 || count > rows || first > rows - count) return false;
      for (uint64_t i = 0; i < count; ++i) out.row[out.size++] = static_cast<uint8_t>(first + i);
    } else {
      const int n = (block_rows + 7) / 8;
      if (end - p < n) return false;
      for (int r = 0; r < block_rows; ++r)
        if ((p[r / 8] >> (r % 8)) & 1) out.row[out.size++] = static_cast<uint8_t>(r);
      if (out.size == 0) return false;
      p += n;
    }
  }
  return DecodeBody(type, p, end, out);
}

void EncodeTimes(std::span<const int64_t> times_ms, std::vector<uint8_t>& out) {
  int64_t last = 0, delta = 0;
  for (size_t i = 0; i < times_ms.size(); ++i) {
    const int64_t d = Sub(times_ms[i], last);
    // The first is the time itself, the second its distance, then how the distance changes.
    AppendVarint(out, ZigZag(i < 2 ? d : Sub(d, delta)));
    delta = d;
    last = times_ms[i];
  }
}

const uint8_t* DecodeTimes(const uint8_t* p, const uint8_t* end, int count, int64_t* out) {
  int64_t last = 0, delta = 0;
  for (int i = 0; i < count; ++i) {
    uint64_t u;
    if ((p = GetVarint(p, end, u)) == nullptr) return nullptr;
    const int64_t d = i < 2 ? UnZigZag(u) : Add(delta, UnZigZag(u));
    last = Add(last, d);
    delta = d;
    out[i] = last;
  }
  return p;
}

void EncodeTimedColumn(std::span<const uint64_t> bits, std::span<const int64_t> times_ms,
                       std::vector<uint8_t>& out) {
  const size_t type_at = out.size();
  out.push_back(0);
  AppendVarint(out, bits.size());
  EncodeTimes(times_ms, out);
  uint64_t values[kMaxRows];
  const size_t n = TakeStale(bits, values, type_at, out);
  EncodeValues({values, n}, type_at, out);
}

bool DecodeTimedColumn(std::span<const uint8_t> bytes, DecodedColumn& out) {
  const uint8_t* p = bytes.data();
  const uint8_t* end = p + bytes.size();
  if (p == end) return false;
  const uint8_t type = *p++;
  uint64_t n;
  if ((p = GetVarint(p, end, n)) == nullptr || n == 0 || n > kMaxRows) return false;
  out.size = static_cast<int>(n);
  out.full = false;
  if ((p = DecodeTimes(p, end, out.size, out.times_ms)) == nullptr) return false;
  return DecodeBody(type, p, end, out);
}

}  // namespace picket::store::tsdb
