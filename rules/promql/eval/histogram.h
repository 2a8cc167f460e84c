// SPDX-License-Identifier: Apache-2.0
// Native histograms: their buckets and how they are shown.
#pragma once
#include <cmath>
#include <limits>
#include <string>

#include "core/model/histogram.h"
#include "rules/promql/value.h"

namespace picket::rules::promql {

struct HistogramBucket {
  double lower = 0;
  double upper = 0;
  bool lower_closed = false;
  bool upper_closed = false;
  double count = 0;
  int32_t index = 0;
};

/// The upper bound of a positive bucket.
double BucketBound(const HistogramValue& histogram, int32_t index);

/// Calls f(HistogramBucket) for each bucket from the lowest to the highest values.
template <class F>
void ForEachBucket(const HistogramValue& h, F&& f);

/// A copy of a histogram that outlives the query.
HistogramPtr ShareHistogram(const HistogramValue& histogram);

/// As Prometheus prints it: "{count:3, sum:4, (0.5,1]:3}".
std::string HistogramText(const HistogramValue& histogram);

namespace internal {
/// Calls f(index, count) for the buckets of one side in ascending order of index.
template <class F>
void ForEachIndex(const std::vector<HistogramValue::Span>& spans, const std::vector<double>& counts,
                  F&& f) {
  int32_t index = 0;
  size_t k = 0;
  for (size_t s = 0; s < spans.size(); ++s) {
    index += spans[s].offset;
    for (uint32_t i = 0; i < spans[s].length && k < counts.size(); ++i) f(index++, counts[k++]);
  }
}
}  // namespace internal

template <class F>
void ForEachBucket(const HistogramValue& h, F&& f) {
  std::vector<HistogramBucket> negative;
  internal::ForEachIndex(h.negative_spans, h.negative_buckets, [&](int32_t index, double count) {
    negative.push_back(
        {-BucketBound(h, index), -BucketBound(h, index - 1), true, false, count, index});
  });
  for (auto it = negative.rbegin(); it != negative.rend(); ++it) f(*it);
  if (h.zero_count > 0)
    f(HistogramBucket{-h.zero_threshold, h.zero_threshold, true, true, h.zero_count, 0});
  internal::ForEachIndex(h.positive_spans, h.positive_buckets, [&](int32_t index, double count) {
    f(HistogramBucket{BucketBound(h, index - 1), BucketBound(h, index), h.custom() && index == 0,
                      true, count, index});
  });
}

}  // namespace picket::rules::promql
