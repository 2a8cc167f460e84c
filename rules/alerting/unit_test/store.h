// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "core/model/metrics.h"
#include "core/model/query.h"
#include "rules/promql/memory_store.h"
#include "rules/promql/series_values.h"

namespace picket::rules::alerting::unit_test {

/// The input of a test, shown sample by sample, and what its rules write. Threads: one.
class Store final : public MetricIntake {
 public:
  /// Adds a series of the input; of equal ones the last counts.
  void AddInput(promql::SeriesLine line, UnixMs start, Milliseconds interval);
  /// Shows the input up to and including `t`.
  void ShowUntil(UnixMs t);

  const Querier& querier() const { return samples_; }
  /// Series a rule wrote although another sample is there, since the last call.
  std::vector<std::string> TakeConflicts() { return std::exchange(conflicts_, {}); }

  SourceId OpenSource(std::string) override { return ++sources_; }
  void CloseSource(SourceId) override {}
  Result<SeriesId> Intern(SourceId, const Labels& labels,
                          std::shared_ptr<const MetricMetadata>) override;
  void Release(SourceId, SeriesId) override {}
  void Append(const SampleRow& row) override;
  void AppendTimed(SourceId, std::span<const TimedSample> samples) override;

 private:
  struct Input {
    std::vector<promql::MemoryStore::Sample> samples;
    size_t shown = 0;
  };
  void Put(const Labels& labels, promql::MemoryStore::Sample sample);

  promql::MemoryStore samples_;
  std::map<Labels, Input> input_;
  std::map<Labels, SeriesId> ids_;
  std::deque<Labels> labels_;  // by id
  std::vector<std::string> conflicts_;
  SourceId sources_ = 0;
};

}  // namespace picket::rules::alerting::unit_test
