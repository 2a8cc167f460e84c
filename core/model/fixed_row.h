// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "core/model/metrics.h"

namespace picket {

/// A source whose series are named one by one and then set by slot: for components that publish a
/// few series of their own. Threads: one at a time. Cost: Commit is one Append; no lookup by label
/// after Add.
class FixedRow {
 public:
  FixedRow(MetricIntake& intake, std::string source_name);
  /// Ends its series with staleness markers at the time of the last Commit.
  ~FixedRow();
  FixedRow(const FixedRow&) = delete;
  FixedRow& operator=(const FixedRow&) = delete;

  /// A new series; its value is absent until Set. Returns its slot. A refused series (no memory) is
  /// left out and Add is tried again at the next Commit.
  size_t Add(const Labels& labels, MetricType type, std::string help);
  void Set(size_t slot, double value) { values_[slot] = value, set_[slot] = true; }
  /// The series will not come again: a staleness marker goes out with the next Commit. The slot may
  /// be reused by Add.
  void Remove(size_t slot);
  /// Writes every series that was set since it was added, at `now_ms`.
  void Commit(UnixMs now_ms);

 private:
  struct Slot {
    Labels labels;
    std::shared_ptr<const MetricMetadata> metadata;
    SeriesId id = kNoSeries;
    bool used = false;
  };
  MetricIntake& intake_;
  SourceId source_;
  std::vector<Slot> slots_;
  std::vector<double> values_;
  std::vector<bool> set_;
  std::vector<SeriesId> ending_;
  std::vector<SeriesId> row_ids_, previous_ids_;
  std::vector<double> row_values_;
  uint64_t layout_ = 0;
  UnixMs last_ms_ = 0;
};

}  // namespace picket
