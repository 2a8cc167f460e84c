// SPDX-License-Identifier: Apache-2.0
// Counts of lines as series that rules read.
#pragma once
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "collectors/logs/config.h"
#include "core/model/logs.h"
#include "core/model/metrics.h"

namespace picket::collectors::logs {

/// The counters of one configuration entry. A new series starts with a row of 0, so that its first
/// lines show as an increase. Threads: one. Cost: per batch where all labels are the stream's and
/// there is no pattern, else per line.
class LineCounters {
 public:
  LineCounters(std::vector<CountConfig> config, MetricIntake* intake, const std::string& name);
  ~LineCounters();
  LineCounters(const LineCounters&) = delete;
  LineCounters& operator=(const LineCounters&) = delete;

  void Add(const LogBatch& batch);
  /// Hands the present counts to the intake as one row.
  void Flush(UnixMs now);
  bool empty() const { return rules_.empty(); }

  static constexpr size_t kMaxSeries = 10'000;

 private:
  struct Rule;
  struct Series {
    SeriesId id;
    double value;
  };
  size_t SeriesOf(Rule& rule, const LogBatch& batch, const LogRecord* record);

  MetricIntake* intake_;
  SourceId source_ = 0;
  std::vector<std::unique_ptr<Rule>> rules_;
  std::vector<Series> series_;
  std::vector<SeriesId> row_ids_;
  std::vector<double> row_values_;
  uint64_t layout_ = 0;
};

}  // namespace picket::collectors::logs
