// SPDX-License-Identifier: Apache-2.0
// Classic histograms: buckets as series with an upper bound in the label le.
#pragma once
#include <vector>

namespace picket::rules::promql {

/// Shape: cumulative count up to and including the bound.
struct Bucket {
  double bound = 0;
  double count = 0;
};

/// What was put right in the counts before the estimate.
struct BucketRepair {
  bool forced_monotonic = false;
  double lowest_bound = 0;
  double highest_bound = 0;
  double most = 0;
};

/// The quantile's estimate by linear interpolation; sorts, merges and repairs the buckets on the
/// way. Source: prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile.
double BucketQuantile(double q, std::vector<Bucket>& buckets, BucketRepair& repair);

/// The share of observations between two values.
double BucketFraction(double lower, double upper, std::vector<Bucket>& buckets);

}  // namespace picket::rules::promql
