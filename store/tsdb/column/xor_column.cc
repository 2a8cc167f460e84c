// SPDX-License-Identifier: Apache-2.0
#include "store/tsdb/column/xor_column.h"

#include <algorithm>

#include "store/tsdb/bytes.h"
#include "store/tsdb/column/column.h"

namespace picket::store::tsdb {
namespace {

/// Bits from the low end of each byte upwards.
class BitWriter {
 public:
  explicit BitWriter(uint8_t* p) : p_(p) {}
  void Write(uint64_t value, int bits) {
    if (bits > 32) {
      Write(value & 0xffffffff, 32);
      value >>= 32;
      bits -= 32;
    }
    acc_ |= value << filled_;
    filled_ += bits;
    while (filled_ >= 8) {
      *p_++ = static_cast<uint8_t>(acc_);
      acc_ >>= 8;
      filled_ -= 8;
    }
  }
  uint8_t* Finish() {
    if (filled_ > 0) *p_++ = static_cast<uint8_t>(acc_);
    return p_;
  }

 private:
  uint8_t* p_;
  uint64_t acc_ = 0;
  int filled_ = 0;
};

class BitReader {
 public:
  BitReader(const uint8_t* p, const uint8_t* end)
      : p_(p), bits_(static_cast<size_t>(end - p) * 8) {}
  bool Ok() const { return at_ <= bits_; }
  uint64_t Read(int n) {
    if (n > 32) {
      const uint64_t low = Read(32);
      return low | Read(n - 32) << 32;
    }
    uint64_t word = 0;
    const size_t byte = at_ / 8;
    const size_t left = bits_ / 8 > byte ? bits_ / 8 - byte : 0;
    if (left >= 8) {
      word = Load<uint64_t>(p_ + byte);
    } else if (left > 0) {
      std::memcpy(&word, p_ + byte, left);
    }
    word >>= at_ % 8;
    at_ += static_cast<size_t>(n);
    return word & ((uint64_t{1} << n) - 1);
  }

 private:
  const uint8_t* p_;
  size_t bits_;
  size_t at_ = 0;
};

}  // namespace

// Per value: 0 = as before; 01 = changed inside the last window; 11 = new window: 5 bits of leading
// zeros, 6 bits of length - 1, then the bits.
void EncodeXor(std::span<const uint64_t> bits, std::vector<uint8_t>& out) {
  uint8_t buffer[8 + kMaxRows * 10 + 8];
  BitWriter writer(Put(buffer, bits[0]));
  int lead = 64, trail = 64;
  for (size_t i = 1; i < bits.size(); ++i) {
    const uint64_t x = bits[i] ^ bits[i - 1];
    if (x == 0) {
      writer.Write(0, 1);
      continue;
    }
    const int l = std::min(std::countl_zero(x), 31);
    const int t = std::countr_zero(x);
    // The old window costs its own width, a new one 11 bits and the exact width.
    if (lead + trail < 64 && l >= lead && t >= trail && (64 - lead - trail) <= (64 - l - t) + 11) {
      writer.Write(1, 2);
      writer.Write(x >> trail, 64 - lead - trail);
      continue;
    }
    lead = l;
    trail = t;
    const int width = 64 - lead - trail;
    writer.Write(3 | static_cast<uint64_t>(lead) << 2 | static_cast<uint64_t>(width - 1) << 7, 13);
    writer.Write(x >> trail, width);
  }
  out.insert(out.end(), buffer, writer.Finish());
}

bool DecodeXor(const uint8_t* p, const uint8_t* end, int count, uint64_t* out) {
  if (count < 1 || end - p < 8) return false;
  uint64_t v = Load<uint64_t>(p);
  out[0] = v;
  BitReader reader(p + 8, end);
  int lead = 64, width = 0;
  for (int i = 1; i < count; ++i) {
    if (reader.Read(1) != 0) {
      if (reader.Read(1) != 0) {
        const uint64_t window = reader.Read(11);
        lead = static_cast<int>(window & 31);
        width = static_cast<int>(window >> 5) + 1;
      }
      if (width == 0 || lead + width > 64) return false;
      v ^= reader.Read(width) << (64 - lead - width);
    }
    out[i] = v;
  }
  return reader.Ok();
}

}  // namespace picket::store::tsdb
