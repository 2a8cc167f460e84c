// SPDX-License-Identifier: Apache-2.0
// A store in memory with any times: for rule unit tests, and tests of the query engine.
#pragma once
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/model/histogram.h"
#include "core/model/query.h"

namespace picket::rules::promql {

/// Plain columns a series. Threads: one.
class MemoryStore final : public Querier {
 public:
  struct Sample {
    UnixMs time_ms = 0;
    double value = 0;
    std::shared_ptr<const HistogramValue> histogram;
  };

  /// Appends in time order; what is not newer than the last sample of the series is left out.
  /// Returns how many of those say something else than what is stored.
  size_t Append(const Labels& labels, std::vector<Sample> samples);
  void Clear() { series_.clear(); }

  Result<std::unique_ptr<SeriesSet>> Select(std::span<const Matcher> matchers, UnixMs min_ms,
                                            UnixMs max_ms) const override;
  std::vector<Labels> SelectLabels(std::span<const Matcher> matchers, UnixMs min_ms,
                                   UnixMs max_ms) const override;
  std::vector<std::string> LabelNames(std::span<const Matcher>) const override { return {}; }
  std::vector<std::string> LabelValues(std::string_view, std::span<const Matcher>) const override {
    return {};
  }
  std::vector<std::shared_ptr<const MetricMetadata>> Metadata() const override { return {}; }
  UnixMs OldestMs() const override { return INT64_MIN; }
  /// How many times Select was called, to see that equal selectors share one.
  int selects() const { return selects_; }

 private:
  struct Series {
    std::vector<UnixMs> times;
    std::vector<double> values;
    std::vector<std::shared_ptr<const HistogramValue>> histograms;
    std::vector<const HistogramValue*> pointers;
    bool any_histogram = false;
  };
  static bool IsLast(const Series& series, const Sample& sample);
  std::map<Labels, Series> series_;
  mutable int selects_ = 0;
};

}  // namespace picket::rules::promql
