// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/strings.h"
#include "core/model/metrics.h"

namespace picket::collectors::host {

/// A metric and the names of its labels. Shape: lives as long as the row it is used with.
struct Family {
  std::string name;
  MetricType type;
  std::string help;
  std::vector<std::string> labels;
};

/// The host's row: what is told in the same order every time costs a comparison of label values, no
/// more. A series not told in a turn ends with a staleness marker. Threads: one at a time.
class Row {
 public:
  Row(MetricIntake& intake, SourceId source, Labels common)
      : intake_(intake), source_(source), common_(std::move(common)) {}

  /// Shape: as many values as the family has labels; the second time in a turn is ignored.
  void Tell(const Family& family, std::initializer_list<std::string_view> values, double value) {
    Tell(family, std::span(values.begin(), values.size()), value);
  }
  void Tell(const Family& family, std::span<const std::string_view> values, double value);
  /// Hands the turn over.
  void Commit(UnixMs now_ms);
  /// Ends every series with a marker.
  void EndAll(UnixMs now_ms);
  /// Lets go of every series without one.
  void ReleaseAll();
  size_t size() const { return slots_.size(); }
  /// Samples told since the last Commit that the intake had no room for.
  uint64_t refused() const { return refused_; }

 private:
  struct Slot {
    const Family* family = nullptr;
    std::string key;  // the label values, length-prefixed
    SeriesId id = kNoSeries;
    bool told = false;
  };
  bool SameAs(const Slot& slot, const Family& family,
              std::span<const std::string_view> values) const;
  void TellElsewhere(const Family& family, std::span<const std::string_view> values, double value);
  SeriesId Intern(const Family& family, std::span<const std::string_view> values);
  void Reindex();

  MetricIntake& intake_;
  const SourceId source_;
  const Labels common_;
  std::vector<Slot> slots_;  // in the order told
  std::vector<double> values_;
  size_t next_ = 0;         // the slot expected to be told next
  bool reordered_ = false;  // something was told out of order: slots are sorted out at Commit
  std::unordered_map<std::string, size_t, StringHash, std::equal_to<>> index_;  // only while needed
  std::vector<size_t> order_;  // slots as told, while reordered_
  std::vector<SeriesId> row_ids_;
  std::vector<double> row_values_;
  std::vector<SeriesId> last_ids_;
  uint64_t layout_ = 0;
  uint64_t refused_ = 0;
};

}  // namespace picket::collectors::host
