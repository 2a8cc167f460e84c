// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "core/base/result.h"
#include "store/tsdb/region.h"

namespace picket::store::tsdb {

/// What the series file records. Source: FORMAT.md, "series.tsdb".
enum class SeriesRecord : uint32_t {
  kSeriesNew = 1,
  kSeriesGone = 2,
  kMetadata = 3,
  kSource = 4,
  kSourceGone = 5
};

/// The append log of series, metadata and sources. Records are checked one by one; a damaged one
/// costs itself only. Threads: the owner's lock.
class SeriesLog {
 public:
  static Result<std::unique_ptr<SeriesLog>> Open(std::string path, Region::Allocate allocate);

  /// Calls `fn` for each sound record and `damage(bytes, offset)` for each stretch that is none.
  /// Once, before Append.
  void Replay(const std::function<void(SeriesRecord, std::span<const uint8_t>)>& fn,
              const std::function<void(uint64_t bytes, uint64_t offset)>& damage);
  /// Errors: those of Region::Grow; nothing is written then.
  Status Append(SeriesRecord type, std::span<const uint8_t> payload);
  /// Replaces the file by one with what `fill` appends. On error the old one stays.
  Status Rewrite(const std::function<Status(SeriesLog& fresh)>& fill);
  uint64_t bytes() const { return at_; }
  /// See Region::LeaveToPageCache.
  void LeaveToPageCache();

 private:
  SeriesLog() = default;
  uint32_t Crc(uint32_t word, std::span<const uint8_t> payload) const;
  bool Sound(uint64_t at, uint32_t& word) const;
  Status Begin(uint64_t number);

  std::string path_;
  Region::Allocate allocate_;
  std::unique_ptr<Region> region_;
  uint64_t number_ = 0;  // of this file; in each checksum
  uint64_t at_ = 0;
  uint64_t left_ = 0;  // up to here pages were left to the page cache
};

}  // namespace picket::store::tsdb
