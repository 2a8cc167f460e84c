// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <set>

#include "core/base/result.h"
#include "store/tsdb/region.h"

namespace picket::store::tsdb {

/// What a chunk of a row log belongs to. Source: FORMAT.md, "open.tsdb".
struct ChunkHeader {
  uint32_t magic;
  uint32_t crc;  ///< of the rest
  uint64_t log;  ///< number of the log, never used twice in a store
  uint32_t source;
  uint16_t stripe;
  uint8_t kind;    ///< BlockKind
  uint8_t order;   ///< the chunk has kPage << order bytes
  uint32_t index;  ///< its place in the log
  uint32_t reserved;
};
static_assert(sizeof(ChunkHeader) == 32);

/// The file of open row logs: chunks of 4 to 64 KiB, halved and joined in pairs.
/// Threads: all methods.
class LogHeap {
 public:
  static constexpr uint64_t kPage = 4096;
  static constexpr int kMaxOrder = 4;

  explicit LogHeap(std::unique_ptr<Region> region) : region_(std::move(region)) {}

  /// A zeroed chunk whose header is written (magic last). Null when there is no room.
  uint8_t* Allocate(ChunkHeader header);
  void Free(uint8_t* chunk);
  /// Bytes of a chunk, or all: see Region::LeaveToPageCache.
  void LeaveToPageCache(const uint8_t* from, uint64_t length);
  void LeaveToPageCache();
  uint64_t used_bytes() const { return used_.load(std::memory_order_relaxed); }

  /// At start-up, before Allocate: calls `fn` for each chunk with a sound header; those for which
  /// it returns false are freed, as is the rest of the file.
  void Scan(const std::function<bool(const ChunkHeader&, uint8_t*)>& fn);

 private:
  bool GrowLocked();
  void FreeLocked(uint64_t page, int order);

  std::unique_ptr<Region> region_;
  std::mutex mutex_;                                    // guards free_ and the region's growth
  std::array<std::set<uint64_t>, kMaxOrder + 1> free_;  // page numbers
  std::atomic<uint64_t> used_{0};
};

}  // namespace picket::store::tsdb
