// SPDX-License-Identifier: Apache-2.0
// Arithmetic on native histograms.
#pragma once
#include <cstdint>
#include <utility>
#include <vector>

#include "core/model/histogram.h"

namespace picket::rules::promql {

/// What had to be done to bring two histograms together.
struct CombineReport {
  bool compatible =
      true;  ///< false: exponential and custom buckets do not mix; nothing was changed
  bool hints_collide = false;      ///< one says reset, the other not
  bool bounds_reconciled = false;  ///< custom bounds differed and were cut down to the common ones
};

/// a += sign * b, at the coarser of both resolutions and the wider of both zero buckets.
CombineReport Combine(HistogramValue& a, const HistogramValue& b, double sign);

/// A sum of histograms that keeps what rounding would lose, number by number.
class HistogramSum {
 public:
  explicit HistogramSum(const HistogramValue& first);
  CombineReport Add(const HistogramValue& h);
  HistogramValue Result() const;

 private:
  HistogramValue total_;
  HistogramValue lost_;  // in the layout of total_
};

/// The reset hint of a sum. Returns whether the two contradict each other.
bool MergeHints(HistogramValue& a, const HistogramValue& b);

void Scale(HistogramValue& h, double factor);
void DivideBy(HistogramValue& h, double divisor);

/// Takes out empty buckets and joins the spans.
void Compact(HistogramValue& h);

/// Whether a counter was reset between two samples: by hint, by any count that fell, by a finer or
/// other layout.
bool DetectReset(const HistogramValue& before, const HistogramValue& now);

/// The same layout and numbers, apart from empty buckets and the hint.
bool SameHistogram(const HistogramValue& a, const HistogramValue& b);

/// Buckets of one side as (index, count), ascending; the form in which they are easy to work on.
using SparseBuckets = std::vector<std::pair<int32_t, double>>;
SparseBuckets ToSparse(const std::vector<HistogramValue::Span>& spans,
                       const std::vector<double>& counts);
void FromSparse(const SparseBuckets& sparse, std::vector<HistogramValue::Span>& spans,
                std::vector<double>& counts);

/// The same histogram at a coarser exponential resolution. Pre: schema <= h.schema.
void ReduceResolution(HistogramValue& h, int32_t schema);

}  // namespace picket::rules::promql
