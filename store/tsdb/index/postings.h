// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "core/model/metrics.h"

namespace picket::store::tsdb {

/// The series that have one label pair: ascending ids, neighbours written as ranges.
/// Shape: ids below 2^31. One word for a lone id, two for a range: a target's `instance` costs 8
/// bytes, not 4 a series.
class Postings {
 public:
  void Add(SeriesId id);
  void Remove(SeriesId id);
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  void AppendTo(std::vector<SeriesId>& out) const;
  /// Keeps of the ascending `ids` those that are here.
  void Intersect(std::vector<SeriesId>& ids) const;
  size_t memory_bytes() const { return words_.capacity() * 4; }

 private:
  static constexpr uint32_t kRange = 1U << 31;  // the word begins a range; the next is its last id
  struct Run {
    SeriesId first, last;
  };
  /// The run at word `i`, which is moved behind it.
  Run Read(size_t& i) const;
  std::vector<Run> Runs() const;
  void Assign(std::span<const Run> runs);

  std::vector<uint32_t> words_;
  uint32_t size_ = 0;
};

}  // namespace picket::store::tsdb
