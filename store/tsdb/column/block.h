// SPDX-License-Identifier: Apache-2.0
// A sealed block: the columns of up to 1,024 series over up to 160 rows. Source: FORMAT.md,
// "Blocks".
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "core/model/metrics.h"
#include "store/tsdb/bytes.h"
#include "store/tsdb/column/column.h"
#include "store/tsdb/row_log.h"

namespace picket::store::tsdb {

struct BlockHeader {
  uint32_t magic;
  uint32_t header_crc;  ///< of the rest of the header and the segment's number
  uint32_t length;      ///< header and payload, a multiple of 8
  uint32_t payload_crc;
  uint64_t log;  ///< the row log it was made from
  uint32_t source;
  uint16_t stripe;
  uint8_t kind;
  uint8_t version;
  uint16_t rows;  ///< 0 in timed blocks
  uint16_t groups;
  uint32_t series;
  uint32_t samples;
  uint32_t reserved;
  int64_t min_ms;
  int64_t max_ms;
};
static_assert(sizeof(BlockHeader) == 64);
inline constexpr uint32_t kBlockMagic = 0x4b4c4250;  // "PBLK"
inline constexpr uint8_t kBlockVersion = 1;

/// The header's checksum in the segment numbered `segment`; bytes of an earlier life of the segment
/// do not match.
uint32_t BlockHeaderCrc(const BlockHeader& header, uint64_t segment);

/// One finished column on its way into a block.
struct ColumnRef {
  SeriesId id;
  uint8_t tag;      ///< low byte of the series' hash: tells a reused id
  uint32_t offset;  ///< in the column bytes
  uint32_t size;
};

/// The payload of a block, and `header` filled but for magic and header_crc.
/// Shape: `columns` sorted by id, at least one; `times_ms` are the row times (empty in timed
/// blocks).
std::vector<uint8_t> BuildBlock(BlockHeader& header, std::span<const ColumnRef> columns,
                                std::span<const uint8_t> column_bytes,
                                std::span<const int64_t> times_ms);

/// Reads a block in place. Never reads outside its bytes, whatever they hold.
class BlockView {
 public:
  /// The block's header and payload. Does not check checksums.
  BlockView(const BlockHeader& header, std::span<const uint8_t> payload);
  bool ok() const { return ok_; }
  const BlockHeader& header() const { return *header_; }
  bool Times(int64_t* out) const;

  struct Entry {
    SeriesId id;
    uint8_t tag;
    std::span<const uint8_t> column;
  };
  /// Calls fn(k, entry) for each of the sorted `ids` that the block has, k its place in `ids`.
  /// False on damage.
  template <class Fn>
  bool Find(std::span<const SeriesId> ids, Fn&& fn) const;
  /// Calls fn(entry) for all. False on damage.
  template <class Fn>
  bool ForEach(Fn&& fn) const;

 private:
  static constexpr int kGroup = 64;
  struct Group {
    int size = 0;
    Entry entries[kGroup];
  };
  SeriesId GroupFirst(size_t g) const { return Load<uint32_t>(groups_ + g * 8); }
  bool ReadGroup(size_t g, Group& out) const;

  const BlockHeader* header_;
  std::span<const uint8_t> payload_;
  const uint8_t* groups_ = nullptr;
  bool ok_ = false;
};

template <class Fn>
bool BlockView::ForEach(Fn&& fn) const {
  Group group;
  for (size_t g = 0; g < header_->groups; ++g) {
    if (!ReadGroup(g, group)) return false;
    for (int i = 0; i < group.size; ++i) fn(group.entries[i]);
  }
  return true;
}

template <class Fn>
bool BlockView::Find(std::span<const SeriesId> ids, Fn&& fn) const {
  Group group;
  size_t k = 0;
  const size_t groups = header_->groups;
  while (k < ids.size()) {
    // The last group that begins at or before the id.
    size_t low = 0, high = groups;
    while (low < high) {
      const size_t mid = (low + high) / 2;
      if (GroupFirst(mid) <= ids[k])
        low = mid + 1;
      else
        high = mid;
    }
    if (low == 0) {
      ++k;
      continue;
    }
    if (!ReadGroup(low - 1, group)) return false;
    const uint64_t next = low < groups ? GroupFirst(low) : uint64_t{1} << 32;
    for (int i = 0; k < ids.size() && ids[k] < next; ++k) {
      while (i < group.size && group.entries[i].id < ids[k]) ++i;
      if (i < group.size && group.entries[i].id == ids[k]) fn(k, group.entries[i]);
    }
  }
  return true;
}

}  // namespace picket::store::tsdb
