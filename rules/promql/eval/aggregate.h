// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <vector>

#include "rules/promql/eval/evaluation.h"

namespace picket::rules::promql {

/// An aggregation's operands: its vector and which group each row is in.
struct Grouped {
  Evaluation& evaluation;
  const Aggregate& node;
  const TimeGrid& grid;
  Columns input;
  std::vector<uint32_t> group_of;  ///< per row of the input
  std::vector<SeriesHead> groups;  ///< result labels
  size_t steps() const { return input.steps; }
  /// The rows of each group, in order.
  std::vector<std::vector<uint32_t>> Members() const;
};

/// sum, avg, min, max, group, count, stddev, stdvar: one running state per group and step.
Result<Value> AggregateRunning(Grouped& grouped);
/// quantile: all values of a group at a step together.
Result<Value> AggregateQuantile(Grouped& grouped);
/// topk, bottomk, limitk, limit_ratio: some of the input's own series.
Result<Value> AggregatePicks(Grouped& grouped);
Result<Value> AggregateCountValues(Grouped& grouped);
/// sum and avg where histograms take part.
Result<Value> AggregateHistograms(Grouped& grouped, bool average);

}  // namespace picket::rules::promql
