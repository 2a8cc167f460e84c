// SPDX-License-Identifier: Apache-2.0
// Native histograms in window functions.
#pragma once
#include <optional>
#include <span>
#include <string_view>

#include "core/model/histogram.h"
#include "rules/promql/eval/evaluation.h"
#include "rules/promql/eval/range_source.h"

namespace picket::rules::promql {

/// rate() and its relatives over histograms, with what they warn of.
struct HistogramRate {
  Evaluation& evaluation;
  const Node& argument;
  std::string_view metric;
  bool counter;

  /// Last minus first plus what was lost at counter resets; nothing when the histograms do not go
  /// together.
  std::optional<HistogramValue> Difference(std::span<const HistogramValue* const> samples);
  /// Scales the difference and gives it to the query.
  const HistogramValue* Finish(HistogramValue difference, double factor);
  /// irate and idelta: `gap` in seconds between the two.
  const HistogramValue* Instant(const HistogramValue& before, const HistogramValue& last,
                                double gap);
};

/// resets() and changes() over floats and histograms in time order.
double CountMixedTransitions(const RangeSeries& series, const Window& window, bool resets);

/// The sum or mean of histograms, over time or in an aggregation; null when they do not go
/// together.
const HistogramValue* TotalOfHistograms(Evaluation& evaluation, const Node& argument,
                                        std::string_view metric,
                                        std::span<const HistogramValue* const> samples,
                                        bool average);

}  // namespace picket::rules::promql
