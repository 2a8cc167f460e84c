// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "store/tsdb/log_heap.h"

namespace picket::store::tsdb {

enum class BlockKind : uint8_t {
  kRows = 0,   ///< one time column for all series
  kTimed = 1,  ///< each series has its own times
  // 2 and 3 are kept for native histograms and exemplars.
};

enum class RecordType : uint32_t { kLayout = 1, kRow = 2 };

/// An append-only log of records in chunks; a record never spans two. Append-and-crash leaves whole
/// records only. Threads: the owner's lock.
class RowLog {
 public:
  /// Most payload bytes a record may have.
  static constexpr size_t kMaxPayload =
      (LogHeap::kPage << LogHeap::kMaxOrder) - sizeof(ChunkHeader) - 8;

  RowLog(LogHeap& heap, uint64_t log, uint32_t source, uint16_t stripe, BlockKind kind)
      : heap_(&heap), log_(log), source_(source), stripe_(stripe), kind_(kind) {}
  RowLog(const RowLog&) = delete;
  RowLog& operator=(const RowLog&) = delete;

  /// Where the payload lies from now on, or null when the heap is full.
  const uint8_t* Append(RecordType type, std::span<const uint8_t> payload);
  /// Frees the chunks and begins a new log.
  void Restart(uint64_t log);
  /// Frees the chunks. Without it they outlive the object: that is how an open block survives the
  /// process.
  void Clear();
  uint64_t log() const { return log_; }
  uint64_t bytes() const { return bytes_; }

  /// At start-up: takes over chunks in order. Calls `fn` for each sound record; it may refuse one
  /// (false), which ends the log there like damage. Returns bytes lost to damage (0 when the log
  /// ended cleanly); appending goes on behind.
  uint64_t Adopt(std::vector<uint8_t*> chunks,
                 const std::function<bool(RecordType, const uint8_t* payload, uint32_t size)>& fn);

 private:
  uint32_t Crc(uint32_t word, std::span<const uint8_t> payload) const;

  LogHeap* heap_;
  uint64_t log_;
  uint32_t source_;
  uint16_t stripe_;
  BlockKind kind_;
  uint32_t records_ = 0;  // each record's checksum knows its number
  uint8_t* at_ = nullptr;
  uint8_t* end_ = nullptr;
  uint8_t* left_ = nullptr;  // up to here pages of the last chunk were left to the page cache
  uint64_t bytes_ = 0;
  std::vector<uint8_t*> chunks_;
};

}  // namespace picket::store::tsdb
