// SPDX-License-Identifier: Apache-2.0
#include "rules/promql/eval/histogram_trim.h"

#include <cmath>
#include <limits>

#include "rules/promql/eval/histogram.h"
#include "rules/promql/eval/histogram_math.h"

namespace picket::rules::promql {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

/// A bucket's reach while it is trimmed, and which middle stands for its observations.
struct Piece {
  double lower = 0;
  double upper = 0;
  bool exponential = false;
  bool endless = false;  ///< the first custom bucket, which has no lower bound of its own
};

double Middle(const Piece& p) {
  if (std::isinf(p.lower)) return p.upper;
  if (std::isinf(p.upper)) return p.lower;
  if (p.exponential)
    return std::copysign(std::sqrt(std::fabs(p.lower * p.upper)), p.lower + p.upper);
  return (p.lower + p.upper) / 2;
}

double ShareBelow(const Piece& p, double bound) {
  // Nothing is known of where observations are in a bucket without an end.
  if (std::isinf(p.lower) || std::isinf(p.upper)) return std::isinf(p.upper) ? 0 : 1;
  if (!p.exponential) return (bound - p.lower) / (p.upper - p.lower);
  const double low = std::log2(std::fabs(p.lower));
  const double high = std::log2(std::fabs(p.upper));
  return (std::log2(std::fabs(bound)) - low) / (high - low);
}

class Trimmer {
 public:
  Trimmer(HistogramValue& h, double bound, bool upper) : h_(h), bound_(bound), upper_(upper) {}

  void Run() {
    const bool positive = !h_.positive_buckets.empty();
    const bool negative = !h_.negative_buckets.empty();
    SparseBuckets kept = ToSparse(h_.positive_spans, h_.positive_buckets);
    for (auto& [index, count] : kept) {
      Piece p{BucketBound(h_, index - 1), BucketBound(h_, index), !h_.custom(), false};
      p.endless = p.lower == -kInf;
      if (p.endless && p.upper > 0) p.lower = 0;
      Cut(p, count);
    }
    FromSparse(kept, h_.positive_spans, h_.positive_buckets);
    kept = ToSparse(h_.negative_spans, h_.negative_buckets);
    for (auto& [index, count] : kept)
      Cut({-BucketBound(h_, index), -BucketBound(h_, index - 1), true, false}, count);
    FromSparse(kept, h_.negative_spans, h_.negative_buckets);
    // The zero bucket reaches only to the side on which there are others.
    Piece zero{-h_.zero_threshold, h_.zero_threshold, false, false};
    if (positive && !negative) zero.lower = 0;
    if (negative && !positive) zero.upper = 0;
    Cut(zero, h_.zero_count);
    Compact(h_);
    if (!touched_) return;
    h_.count = count_;
    h_.sum = sum_;
  }

 private:
  void Cut(const Piece& p, double& count) {
    if (count == 0) return;
    Piece rest = p;
    double share = 1;
    const bool unknown =
        p.endless && !upper_ && std::isfinite(bound_) && (bound_ < p.lower || std::isinf(p.upper));
    if (unknown) {
      share = 0;
    } else if (bound_ <= p.lower) {
      share = upper_ ? 0 : 1;
    } else if (bound_ >= p.upper) {
      share = upper_ ? 1 : 0;
    } else {
      const double below = ShareBelow(p, bound_);
      share = upper_ ? below : 1 - below;
      (upper_ ? rest.upper : rest.lower) = bound_;
    }
    touched_ |= share != 1;
    count *= share;
    count_ += count;
    if (count != 0) sum_ += count * Middle(rest);
  }

  HistogramValue& h_;
  double bound_;
  bool upper_;
  bool touched_ = false;
  double count_ = 0;
  double sum_ = 0;
};

}  // namespace

void TrimHistogram(HistogramValue& histogram, double bound, bool upper) {
  Trimmer(histogram, bound, upper).Run();
}

}  // namespace picket::rules::promql
