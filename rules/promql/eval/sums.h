// SPDX-License-Identifier: Apache-2.0
// Arithmetic with Go's corner cases and sums that keep what rounding would lose.
#pragma once
#include <cmath>
#include <limits>

namespace picket::rules::promql {

/// A compensated sum. Source: Neumaier 1974, as Prometheus uses it since 2.54.
struct CompensatedSum {
  double sum = 0;
  double lost = 0;
  void Add(double v) {
    const double total = sum + v;
    if (std::isinf(total)) {
      lost = 0;
    } else if (std::fabs(sum) >= std::fabs(v)) {
      lost += (sum - total) + v;
    } else {
      lost += (v - total) + sum;
    }
    sum = total;
  }
  double Result() const { return std::isinf(sum) ? sum : sum + lost; }
};

/// A mean that is a compensated sum until it overflows and an incremental mean from there on.
struct CompensatedMean {
  CompensatedSum total;  // the mean itself once incremental
  double count = 0;
  bool incremental = false;
  void Add(double v) {
    count += 1;
    if (!incremental) {
      CompensatedSum next = total;
      next.Add(v);
      if (count == 1 || !std::isinf(next.sum)) {
        total = next;
        return;
      }
      incremental = true;
      total.sum /= count - 1;
      total.lost /= count - 1;
    }
    const double weight = (count - 1) / count;
    total.sum *= weight;
    total.lost *= weight;
    total.Add(v / count);
  }
  double Result() const {
    if (incremental) return total.sum + total.lost;
    return total.sum / count + total.lost / count;
  }
};

/// Welford's variance with compensated means.
struct CompensatedVariance {
  double count = 0;
  CompensatedSum mean;
  CompensatedSum squares;
  void Add(double v) {
    count += 1;
    const double delta = v - (mean.sum + mean.lost);
    mean.Add(delta / count);
    squares.Add(delta * (v - (mean.sum + mean.lost)));
  }
  double Result() const { return (squares.sum + squares.lost) / count; }
};

/// Go's math.Max and math.Min: an infinity of the right sign wins over NaN, NaN over numbers.
inline double GoMax(double a, double b) {
  if ((std::isinf(a) && a > 0) || (std::isinf(b) && b > 0))
    return std::numeric_limits<double>::infinity();
  if (std::isnan(a) || std::isnan(b)) return std::numeric_limits<double>::quiet_NaN();
  if (a == 0 && a == b) return std::signbit(a) ? b : a;
  return a > b ? a : b;
}
inline double GoMin(double a, double b) {
  if ((std::isinf(a) && a < 0) || (std::isinf(b) && b < 0))
    return -std::numeric_limits<double>::infinity();
  if (std::isnan(a) || std::isnan(b)) return std::numeric_limits<double>::quiet_NaN();
  if (a == 0 && a == b) return std::signbit(a) ? a : b;
  return a < b ? a : b;
}

}  // namespace picket::rules::promql
