// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "store/tsdb/column/block.h"
#include "store/tsdb/region.h"

namespace picket::store::tsdb {

/// A 2 MiB stretch of the block file, filled from the front and freed as a whole.
/// Ownership: kept by the block references into it; its place is used again when the last is gone.
struct Segment {
  uint64_t place = 0;   ///< index in the file
  uint64_t number = 0;  ///< counts up over the life of the store
  uint8_t* base = nullptr;
  uint64_t used = 0;
  uint64_t left = 0;  ///< up to here pages were left to the page cache when they were full
  int64_t begun_ms = INT64_MIN;  ///< end of its first block
  int64_t min_ms = INT64_MAX;
  int64_t max_ms = INT64_MIN;
  uint64_t blocks = 0;
  uint64_t block_bytes = 0;
  uint64_t samples = 0;
  std::atomic<bool> dead{false};  ///< evicted: readers may finish, new ones skip it
};

/// Where a sealed block lies, and enough about it to pass it by.
struct BlockRef {
  std::shared_ptr<Segment> segment;
  const uint8_t* at = nullptr;
  int64_t min_ms = 0;
  int64_t max_ms = 0;
  SeriesId first = 0;
  SeriesId last = 0;
  uint16_t stripe = 0;
  BlockKind kind = BlockKind::kRows;

  const BlockHeader& header() const { return *reinterpret_cast<const BlockHeader*>(at); }
  BlockView View() const {
    return {header(), {at + sizeof(BlockHeader), header().length - sizeof(BlockHeader)}};
  }
};

/// The file of sealed blocks. Threads: all methods. Source: FORMAT.md, "blocks.tsdb".
class Segments {
 public:
  static constexpr uint64_t kSegmentBytes = uint64_t{2} << 20;

  explicit Segments(std::unique_ptr<Region> region) : region_(std::move(region)) {}

  /// A segment takes blocks for this long only, so that a store with little in it forgets in time,
  /// too.
  void SetSpan(int64_t span_ms) { span_ms_.store(span_ms, std::memory_order_relaxed); }

  /// Appends a block. Errors: those of Region::Grow.
  Result<BlockRef> Write(BlockHeader header, std::span<const uint8_t> payload, SeriesId first,
                         SeriesId last);

  /// Evicts, oldest first, while `more(oldest)` says so. The blocks stay readable for those who
  /// hold references. Calls `gone` for each evicted segment, after it is marked dead.
  void Evict(const std::function<bool(const Segment&)>& more,
             const std::function<void(const std::shared_ptr<Segment>&)>& gone);
  /// Calls `fn` for each block of a segment.
  static void ForEachBlock(const Segment& segment,
                           const std::function<void(const BlockHeader&, const uint8_t* at)>& fn);

  struct Damage {
    uint64_t bytes;
    std::string what;
  };
  /// At start-up: reads the file; `fn` gets each sound block, `damage` each part that is not.
  void Load(const std::function<void(BlockRef)>& fn, const std::function<void(Damage)>& damage);

  /// See Region::LeaveToPageCache.
  void LeaveToPageCache();

  /// Memory behind the segments: what of them was ever written, in pages.
  uint64_t segment_bytes() const;
  static uint64_t BytesOf(const Segment& segment) { return (segment.used + 4095) / 4096 * 4096; }
  uint64_t block_bytes() const;
  uint64_t samples() const;
  uint64_t blocks() const;
  uint64_t dead() const { return dead_.load(std::memory_order_relaxed); }
  int64_t OldestMs() const;

 private:
  Result<std::shared_ptr<Segment>> NewSegmentLocked();
  std::shared_ptr<Segment> Make(uint64_t place, uint64_t number);
  void Recycle(Segment* segment);
  void LoadSegment(const std::shared_ptr<Segment>& segment, const std::function<void(BlockRef)>& fn,
                   const std::function<void(Damage)>& damage);

  std::unique_ptr<Region> region_;
  mutable std::mutex mutex_;                        // guards all below
  std::vector<std::shared_ptr<Segment>> segments_;  // by number; the last is being filled
  std::vector<uint64_t> free_;                      // places with memory behind them
  std::vector<uint64_t> discarded_;                 // places without
  uint64_t next_number_ = 1;
  std::atomic<uint64_t> dead_{0};
  std::atomic<int64_t> span_ms_{INT64_MAX};
};

}  // namespace picket::store::tsdb
