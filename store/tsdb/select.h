// SPDX-License-Identifier: Apache-2.0
// Putting the pieces of series together for a reader.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/model/query.h"
#include "store/tsdb/source.h"

namespace picket::store::tsdb {

/// Memory that is freed as a whole.
class Arena {
 public:
  template <class T>
  T* Make(size_t n) {
    static_assert(alignof(T) <= 8 && std::is_trivially_destructible_v<T>);
    return reinterpret_cast<T*>(Bytes(n * sizeof(T)));
  }

 private:
  uint8_t* Bytes(size_t n);
  std::vector<std::unique_ptr<uint64_t[]>> blocks_;
  uint8_t* at_ = nullptr;
  size_t left_ = 0;
  size_t next_ = 4096;
};

/// A stretch of one series' samples. Shape: times ascend.
struct SampleRun {
  const UnixMs* times = nullptr;
  const double* values = nullptr;
  size_t size = 0;
};

/// One series that is looked for in a source.
struct Wanted {
  SeriesId id;
  uint8_t tag;
  uint32_t slot;    ///< a hint: where the source's rows had it
  uint32_t result;  ///< place in the answer
};

/// Collects, for each series of the answer, its runs from blocks and open stripes.
/// Threads: one. Cost: decodes only blocks that overlap the range; full columns of a stripe share
/// one time array.
class Assembler {
 public:
  Assembler(size_t results, UnixMs min_ms, UnixMs max_ms)
      : min_ms_(min_ms), max_ms_(max_ms), runs_(results) {}
  /// Reads one source. Shape: `wanted` sorted by id. Counts columns that could not be read.
  void Read(Source& source, std::span<const Wanted> wanted);
  /// The samples of a result: sorted, one a time. Rows win over timed samples.
  SampleRun Finish(size_t result);
  std::unique_ptr<Arena> TakeArena() { return std::move(arena_); }
  uint64_t damaged() const { return damaged_; }

 private:
  struct Lane;
  void ReadLane(Lane& lane, std::span<const Wanted> wanted, std::span<const SeriesId> ids);
  void ReadTimedBlocks(std::span<const BlockRef> blocks, std::span<const Wanted> wanted,
                       std::span<const SeriesId> ids);
  void ReadOpenRows(const Stripe& stripe, std::span<const uint16_t> slots,
                    std::span<const uint32_t> who, Lane& lane);
  void ReadOpenTimed(const Stripe& stripe, std::span<const Wanted> wanted,
                     std::span<const uint16_t> slots, std::span<const uint32_t> who,
                     std::vector<std::pair<uint32_t, SampleRun>>& out);
  void AddRun(uint32_t result, SampleRun run) {
    if (run.size > 0) runs_[result].push_back(run);
  }

  UnixMs min_ms_, max_ms_;
  std::unique_ptr<Arena> arena_ = std::make_unique<Arena>();
  /// A result rarely has more than one run.
  struct Runs {
    SampleRun first;
    std::vector<SampleRun> more;
    void push_back(SampleRun r) {
      if (first.size == 0)
        first = r;
      else
        more.push_back(r);
    }
  };
  std::vector<Runs> runs_;
  uint64_t damaged_ = 0;
};

}  // namespace picket::store::tsdb
