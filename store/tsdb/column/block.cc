// SPDX-License-Identifier: Apache-2.0
#include "store/tsdb/column/block.h"

#include "core/base/hash.h"

namespace picket::store::tsdb {

uint32_t BlockHeaderCrc(const BlockHeader& header, uint64_t segment) {
  const uint32_t seed = Crc32c({reinterpret_cast<const char*>(&segment), sizeof segment});
  return Crc32c({reinterpret_cast<const char*>(&header) + 8, sizeof header - 8}, seed);
}

// Payload: row times | group table {first id u32, offset u32} | groups. Group: id steps | tags |
// lengths | columns.
std::vector<uint8_t> BuildBlock(BlockHeader& header, std::span<const ColumnRef> columns,
                                std::span<const uint8_t> column_bytes,
                                std::span<const int64_t> times_ms) {
  constexpr size_t kGroup = 64;
  const size_t groups = (columns.size() + kGroup - 1) / kGroup;
  std::vector<uint8_t> out;
  out.reserve(column_bytes.size() + columns.size() * 5 + groups * 8 + times_ms.size() * 2 + 64);
  out.resize(groups * 8);
  EncodeTimes(times_ms, out);
  for (size_t g = 0; g < groups; ++g) {
    const auto part = columns.subspan(g * kGroup, std::min(kGroup, columns.size() - g * kGroup));
    Put(out.data() + g * 8, part[0].id);
    Put(out.data() + g * 8 + 4, static_cast<uint32_t>(out.size()));
    uint8_t head[kGroup * (2 * kMaxVarint + 1)];
    uint8_t* p = head;
    for (size_t i = 1; i < part.size(); ++i) p = PutVarint(p, part[i].id - part[i - 1].id);
    for (const ColumnRef& c : part) *p++ = c.tag;
    for (const ColumnRef& c : part) p = PutVarint(p, c.size);
    out.insert(out.end(), head, p);
    for (const ColumnRef& c : part) {
      const auto bytes = column_bytes.subspan(c.offset, c.size);
      out.insert(out.end(), bytes.begin(), bytes.end());
    }
  }
  out.resize((out.size() + 7) / 8 * 8);
  header.version = kBlockVersion;
  header.groups = static_cast<uint16_t>(groups);
  header.series = static_cast<uint32_t>(columns.size());
  header.length = static_cast<uint32_t>(sizeof(BlockHeader) + out.size());
  header.payload_crc = Crc32c({reinterpret_cast<const char*>(out.data()), out.size()});
  return out;
}

BlockView::BlockView(const BlockHeader& header, std::span<const uint8_t> payload)
    : header_(&header), payload_(payload), groups_(payload.data()) {
  ok_ = header.version == kBlockVersion && size_t{header.groups} * 8 <= payload.size() &&
        header.rows <= kMaxRows && header.series <= size_t{header.groups} * kGroup &&
        header.series + kGroup > size_t{header.groups} * kGroup;
}

bool BlockView::Times(int64_t* out) const {
  const uint8_t* p = payload_.data() + size_t{header_->groups} * 8;
  return DecodeTimes(p, payload_.data() + payload_.size(), header_->rows, out) != nullptr;
}

bool BlockView::ReadGroup(size_t g, Group& out) const {
  const uint32_t offset = Load<uint32_t>(groups_ + g * 8 + 4);
  if (offset > payload_.size()) return false;
  const uint8_t* p = payload_.data() + offset;
  const uint8_t* end = payload_.data() + payload_.size();
  out.size = static_cast<int>(std::min<size_t>(kGroup, header_->series - g * kGroup));
  uint64_t v = 0;
  out.entries[0].id = GroupFirst(g);
  for (int i = 1; i < out.size; ++i) {
    if ((p = GetVarint(p, end, v)) == nullptr) return false;
    out.entries[i].id = out.entries[i - 1].id + static_cast<SeriesId>(v);
  }
  if (end - p < out.size) return false;
  for (int i = 0; i < out.size; ++i) out.entries[i].tag = *p++;
  uint64_t sizes[kGroup];
  for (int i = 0; i < out.size; ++i)
    if ((p = GetVarint(p, end, sizes[i])) == nullptr) return false;
  for (int i = 0; i < out.size; ++i) {
    if (sizes[i] > static_cast<uint64_t>(end - p)) return false;
    out.entries[i].column = {p, static_cast<size_t>(sizes[i])};
    p += sizes[i];
  }
  return true;
}

}  // namespace picket::store::tsdb
