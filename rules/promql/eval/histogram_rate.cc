// SPDX-License-Identifier: Apache-2.0
#include "rules/promql/eval/histogram_rate.h"

namespace picket::rules::promql {

std::optional<HistogramValue> HistogramRate::Difference(std::span<const HistogramValue* const>) {
  return std::nullopt;
}
const HistogramValue* HistogramRate::Finish(HistogramValue, double) { return nullptr; }
const HistogramValue* HistogramRate::Instant(const HistogramValue&, const HistogramValue&, double) {
  return nullptr;
}
double CountMixedTransitions(const RangeSeries&, const Window&, bool) { return 0; }
const HistogramValue* TotalOverTime(Evaluation&, const Node&, std::string_view,
                                    std::span<const HistogramValue* const>, bool) {
  return nullptr;
}

}  // namespace picket::rules::promql
