// SPDX-License-Identifier: Apache-2.0
#include "rules/promql/eval/classic_histogram.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace picket::rules::promql {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();
/// Differences below this share are rounding, not data.
constexpr double kSmallDelta = 1e-12;

bool AlmostEqual(double a, double b) {
  if (a == b) return true;
  const double difference = std::fabs(a - b);
  const double sum = std::fabs(a) + std::fabs(b);
  if (a == 0 || b == 0 || sum < std::numeric_limits<double>::min())
    return difference < kSmallDelta * std::numeric_limits<double>::min();
  return difference / std::min(sum, std::numeric_limits<double>::max()) < kSmallDelta;
}

void Coalesce(std::vector<Bucket>& buckets) {
  size_t last = 0;
  for (size_t i = 1; i < buckets.size(); ++i) {
    if (buckets[i].bound == buckets[last].bound) {
      buckets[last].count += buckets[i].count;
    } else {
      buckets[++last] = buckets[i];
    }
  }
  buckets.resize(last + 1);
}

void MakeMonotonic(std::vector<Bucket>& buckets, BucketRepair& repair) {
  double previous = buckets.front().count;
  for (size_t i = 1; i < buckets.size(); ++i) {
    const double current = buckets[i].count;
    if (current == previous) continue;
    if (AlmostEqual(previous, current)) {
      buckets[i].count = previous;
      continue;
    }
    if (current < previous) {
      if (!repair.forced_monotonic) repair.lowest_bound = buckets[i].bound;
      repair.forced_monotonic = true;
      repair.highest_bound = buckets[i].bound;
      repair.most = std::max(repair.most, previous - current);
      buckets[i].count = previous;
      continue;
    }
    previous = current;
  }
}

/// Sorted and merged; false when nothing can be said of them.
bool Prepare(std::vector<Bucket>& buckets) {
  if (buckets.empty()) return false;
  std::stable_sort(buckets.begin(), buckets.end(),
                   [](const Bucket& a, const Bucket& b) { return a.bound < b.bound; });
  if (buckets.back().bound != kInf) return false;
  Coalesce(buckets);
  return true;
}

}  // namespace

double BucketQuantile(double q, std::vector<Bucket>& buckets, BucketRepair& repair) {
  if (std::isnan(q)) return kNan;
  if (q < 0) return -kInf;
  if (q > 1) return kInf;
  if (!Prepare(buckets)) return kNan;
  MakeMonotonic(buckets, repair);
  if (buckets.size() < 2) return kNan;
  const double observations = buckets.back().count;
  if (observations == 0 || std::isnan(observations)) return kNan;
  double rank = q * observations;
  const auto at = std::find_if(buckets.begin(), buckets.end() - 1,
                               [&](const Bucket& b) { return b.count >= rank; });
  if (at == buckets.end() - 1) return buckets[buckets.size() - 2].bound;
  if (at == buckets.begin() && at->bound <= 0) return at->bound;
  double start = 0;
  double count = at->count;
  if (at != buckets.begin()) {
    start = (at - 1)->bound;
    count -= (at - 1)->count;
    rank -= (at - 1)->count;
  }
  return start + (at->bound - start) * (rank / count);
}

double BucketFraction(double lower, double upper, std::vector<Bucket>& buckets) {
  if (!Prepare(buckets)) return kNan;
  const double count = buckets.back().count;
  if (count == 0 || std::isnan(lower) || std::isnan(upper)) return kNan;
  if (lower >= upper) return 0;
  // Observations at or below a finite value. Nothing can be said about where they are in a bucket
  // of infinite width: the lowest counts as wholly below, the highest as wholly above.
  const auto rank_of = [&](double value) {
    double below = 0;
    double start = buckets.front().bound > 0 ? 0.0 : -kInf;
    for (const Bucket& b : buckets) {
      if (value <= start) return below;
      if (value < b.bound) {
        if (std::isinf(b.bound)) return below;
        if (std::isinf(start)) return b.count;
        return below + (b.count - below) * (value - start) / (b.bound - start);
      }
      below = b.count;
      start = b.bound;
    }
    return below;
  };
  const double low = std::isinf(lower) ? (lower < 0 ? 0 : count) : rank_of(lower);
  const double high = std::isinf(upper) ? (upper > 0 ? count : 0) : rank_of(upper);
  return (high - low) / count;
}

}  // namespace picket::rules::promql
