// SPDX-License-Identifier: Apache-2.0
#include "rules/promql/eval/histogram.h"

#include <fmt/format.h>

#include "core/base/strings.h"

namespace picket::rules::promql {

double BucketBound(const HistogramValue& h, int32_t index) {
  if (h.custom()) {
    if (index < 0) return -std::numeric_limits<double>::infinity();
    if (static_cast<size_t>(index) >= h.custom_values.size())
      return std::numeric_limits<double>::infinity();
    return h.custom_values[static_cast<size_t>(index)];
  }
  // The bucket that would reach past the largest float ends there, the next one at infinity.
  const double exponent = std::ldexp(static_cast<double>(index), -h.schema);
  if (exponent == 1024) return std::numeric_limits<double>::max();
  return std::exp2(exponent);
}

HistogramPtr ShareHistogram(const HistogramValue& histogram) {
  return std::make_shared<const HistogramValue>(histogram);
}

std::string HistogramText(const HistogramValue& h) {
  std::string out = fmt::format("{{count:{}, sum:{}", FormatFloat(h.count), FormatFloat(h.sum));
  ForEachBucket(h, [&](const HistogramBucket& b) {
    if (b.count == 0) return;
    out += fmt::format(", {}{},{}{}:{}", b.lower_closed ? '[' : '(', FormatFloat(b.lower),
                       FormatFloat(b.upper), b.upper_closed ? ']' : ')', FormatFloat(b.count));
  });
  return out + "}";
}

}  // namespace picket::rules::promql
