// SPDX-License-Identifier: Apache-2.0
#include "core/proto/wire.h"

namespace picket::proto {

static_assert(VarintSize(0) == 1 && VarintSize(127) == 1 && VarintSize(128) == 2);
static_assert(VarintSize((1ULL << 14) - 1) == 2 && VarintSize(1ULL << 14) == 3);
static_assert(VarintSize((1ULL << 56) - 1) == 8 && VarintSize(1ULL << 56) == 9);
static_assert(VarintSize(1ULL << 63) == 10 && VarintSize(UINT64_MAX) == 10);
static_assert(UnZigZag(ZigZag(INT64_MIN)) == INT64_MIN && UnZigZag(ZigZag(-1)) == -1);

namespace internal {

VarintAt ReadLongVarint(const char* p, const char* end) {
  uint64_t result = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (p == end) break;
    const auto byte = static_cast<uint8_t>(*p++);
    result |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) {
      // The tenth byte has room for one bit only.
      if (shift == 63 && byte > 1) break;
      return {p, result};
    }
  }
  return {nullptr, 0};
}

const char* SkipGroup(const char* p, const char* end, uint32_t number) {
  constexpr int kMaxDepth = 64;
  uint32_t open[kMaxDepth] = {number};
  for (int depth = 1; depth > 0;) {
    const VarintAt tag = ReadVarintAt(p, end);
    if (!tag.end || tag.value > UINT32_MAX || tag.value < 8) return nullptr;
    p = tag.end;
    const auto field = static_cast<uint32_t>(tag.value >> 3);
    uint64_t skip = 0;
    switch (static_cast<WireType>(tag.value & 7)) {
      case WireType::kVarint:
        if (!(p = ReadVarintAt(p, end).end)) return nullptr;
        break;
      case WireType::kFixed64:
        skip = 8;
        break;
      case WireType::kFixed32:
        skip = 4;
        break;
      case WireType::kBytes: {
        const VarintAt size = ReadVarintAt(p, end);
        if (!size.end) return nullptr;
        p = size.end;
        skip = size.value;
        break;
      }
      case WireType::kStartGroup:
        if (depth == kMaxDepth) return nullptr;
        open[depth++] = field;
        break;
      case WireType::kEndGroup:
        if (open[--depth] != field) return nullptr;
        break;
      default:
        return nullptr;
    }
    if (skip > static_cast<uint64_t>(end - p)) return nullptr;
    p += skip;
  }
  return p;
}

}  // namespace internal

}  // namespace picket::proto
