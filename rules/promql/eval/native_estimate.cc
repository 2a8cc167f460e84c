// SPDX-License-Identifier: Apache-2.0
#include "rules/promql/eval/native_estimate.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "rules/promql/eval/histogram.h"

namespace picket::rules::promql {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

/// Populated buckets from low to high, with the bounds that estimates use: a zero bucket reaches
/// only to the side on which there are others, the first custom bucket begins at zero if it can.
std::vector<HistogramBucket> Buckets(const HistogramValue& h) {
  std::vector<HistogramBucket> out;
  const bool positive = !h.positive_buckets.empty();
  const bool negative = !h.negative_buckets.empty();
  ForEachBucket(h, [&](HistogramBucket b) {
    if (b.count == 0) return;
    if (h.custom()) {
      if (b.lower == -kInf && b.upper > 0) b.lower = 0;
    } else if (b.lower < 0 && b.upper > 0) {
      if (positive && !negative) b.lower = 0;
      if (negative && !positive) b.upper = 0;
    }
    out.push_back(b);
  });
  return out;
}

bool IsLinear(const HistogramValue& h, const HistogramBucket& b) {
  return h.custom() || (b.lower <= 0 && b.upper >= 0);
}

/// The value at a share of a bucket, from its lower bound on.
double ValueAt(const HistogramValue& h, const HistogramBucket& b, double share) {
  if (IsLinear(h, b)) return b.lower + (b.upper - b.lower) * share;
  const double low = std::log2(std::fabs(b.lower));
  const double high = std::log2(std::fabs(b.upper));
  if (b.lower > 0) return std::exp2(low + (high - low) * share);
  return -std::exp2(high + (low - high) * (1 - share));
}

/// The share of a bucket below a value inside it.
double ShareBelow(const HistogramValue& h, const HistogramBucket& b, double value) {
  if (std::isinf(b.lower)) return 1;
  if (std::isinf(b.upper)) return 0;
  if (IsLinear(h, b)) return (value - b.lower) / (b.upper - b.lower);
  const double low = std::log2(std::fabs(b.lower));
  const double high = std::log2(std::fabs(b.upper));
  const double at = std::log2(std::fabs(value));
  return b.lower > 0 ? (at - low) / (high - low) : 1 - (at - high) / (low - high);
}

}  // namespace

double NativeQuantile(Evaluation& evaluation, double q, const HistogramValue& h,
                      std::string_view metric, const Node& argument) {
  if (q < 0) return -kInf;
  if (q > 1) return kInf;
  if (h.count == 0 || std::isnan(q)) return kNan;
  std::vector<HistogramBucket> buckets = Buckets(h);
  if (buckets.empty()) {
    if (std::isnan(h.sum)) evaluation.annotations().QuantileNanResult(metric, argument);
    return kNan;
  }
  // NaN observations are counted but in no bucket; they sort above everything, so ranks are taken
  // from below.
  const bool from_below = std::isnan(h.sum) || q < 0.5;
  double rank = (from_below ? q : 1 - q) * h.count;
  if (!from_below) std::reverse(buckets.begin(), buckets.end());
  double seen = 0;
  const HistogramBucket* at = nullptr;
  double total = 0;
  for (const HistogramBucket& b : buckets) total += b.count;
  for (const HistogramBucket& b : buckets) {
    seen += b.count;
    at = &b;
    if (seen >= rank) break;
  }
  if (std::isnan(h.sum) && total < h.count) {
    if (seen < rank) {
      evaluation.annotations().QuantileNanResult(metric, argument);
      return kNan;
    }
    evaluation.annotations().QuantileNanSkew(metric, argument);
  }
  if (h.custom()) {
    if (at->lower == -kInf) return at->upper;
    if (at->upper == kInf) return at->lower;
  }
  rank = std::min(rank, seen);
  const double within = from_below ? rank - (seen - at->count) : seen - rank;
  return ValueAt(h, *at, within / at->count);
}

double NativeFraction(Evaluation& evaluation, double lower, double upper, const HistogramValue& h,
                      std::string_view metric, const Node& argument) {
  if (h.count == 0 || std::isnan(lower) || std::isnan(upper)) return kNan;
  if (lower >= upper) return 0;
  const std::vector<HistogramBucket> buckets = Buckets(h);
  double total = 0;
  for (const HistogramBucket& b : buckets) total += b.count;
  if (!std::isnan(h.sum)) {
    total = h.count;
  } else if (total < h.count) {
    evaluation.annotations().FractionNans(metric, argument);
  }
  const auto below = [&](double value) {
    double rank = 0;
    for (const HistogramBucket& b : buckets) {
      if (b.lower >= value) return rank;
      if (b.upper > value) return rank + b.count * ShareBelow(h, b, value);
      rank += b.count;
    }
    return total;
  };
  return (std::min(below(upper), total) - std::min(below(lower), total)) / h.count;
}

}  // namespace picket::rules::promql
