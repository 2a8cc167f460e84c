// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <vector>

namespace picket {

/// One native histogram sample with absolute, floating-point bucket counts.
/// Shape: spans say which bucket indexes the counts belong to: the first offset is an index, the
/// later ones are gaps; the
///        lengths add up to the number of counts. Exponential schemas are -4..8, bucket i of schema
///        s covers (2^((i-1)/2^s), 2^(i/2^s)]; schema kCustomBuckets has upper bounds in
///        custom_values and no negative buckets.
/// Source: prometheus.io/docs/specs/native_histograms.
struct HistogramValue {
  static constexpr int32_t kCustomBuckets = -53;
  enum class ResetHint : uint8_t { kUnknown, kReset, kNotReset, kGauge };
  struct Span {
    int32_t offset = 0;
    uint32_t length = 0;
    bool operator==(const Span&) const = default;
  };

  int32_t schema = 0;
  ResetHint hint = ResetHint::kUnknown;
  double zero_threshold = 0;
  double zero_count = 0;
  double count = 0;
  double sum = 0;
  std::vector<Span> positive_spans;
  std::vector<Span> negative_spans;
  std::vector<double> positive_buckets;
  std::vector<double> negative_buckets;
  std::vector<double> custom_values;

  bool custom() const { return schema == kCustomBuckets; }
};

}  // namespace picket
