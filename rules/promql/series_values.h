// SPDX-License-Identifier: Apache-2.0
// The notation of series in rule unit tests and promqltest scripts: `metric{a="b"} 1 2+3x4 _ stale
// {{sum:1}}`. Source: Prometheus documentation, unit testing for rules, "series".
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/model/histogram.h"
#include "core/model/labels.h"

namespace picket::rules::promql {

/// One slot of a value list. Neither set: omitted.
struct SlotValue {
  std::optional<double> value;
  std::shared_ptr<const HistogramValue> histogram;
  bool hint_written = false;
  bool omitted() const { return !value && !histogram; }
};

struct SeriesLine {
  Labels labels;
  std::vector<SlotValue> values;
};

/// A histogram in this notation: what it is read from gives it back, apart from empty buckets.
std::string HistogramNotation(const HistogramValue& histogram);
/// `metric{a="b"}` alone. Errors: kInvalidArgument, also when it is not equalities only.
Result<Labels> ParseSeriesLabels(std::string_view text);
Result<SeriesLine> ParseSeriesLine(std::string_view line);
/// `selector@st ...`: start timestamps, which this store does not keep.
bool IsStartTimeLine(std::string_view line);

}  // namespace picket::rules::promql
