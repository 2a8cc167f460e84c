// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "rules/promql/ast.h"
#include "rules/promql/value.h"

namespace picket::rules::promql {

/// The warnings and infos of one query, each text once, in the order they first came.
/// Source: prometheus util/annotations (the texts are what dashboards and tests look for).
class Annotations {
 public:
  explicit Annotations(std::string_view query) : query_(query) {}

  void InvalidQuantile(double q, const Node& at);
  void InvalidRatio(double ratio, double capped, const Node& at);
  void BadBucketLabel(std::string_view metric, std::string_view label, const Node& at);
  void MixedFloatsHistograms(std::string_view metric, const Node& at);
  void MixedFloatsHistogramsAggregation(const Node& at);
  void MixedClassicNative(std::string_view metric, const Node& at);
  void NativeNotCounter(std::string_view metric, const Node& at);
  void NativeNotGauge(std::string_view metric, const Node& at);
  void MixedExponentialCustom(std::string_view metric, const Node& at);
  void StartTimeOverlap(std::string_view metric, const Node& at);
  void SortInRangeQuery(const Node& at);
  void ConflictingCounterResets(std::string_view operation, const Node& at);
  void IncompatibleBucketLayout(std::string_view op, const Node& at);

  void PossibleNonCounter(std::string_view metric, const Node& at);
  void IncompatibleTypes(std::string_view left, std::string_view op, std::string_view right,
                         const Node& at);
  void HistogramIgnoredInAggregation(std::string_view op, const Node& at);
  void HistogramIgnoredInMixedRange(std::string_view metric, const Node& at);
  void MismatchedCustomBuckets(std::string_view operation, const Node& at);
  void QuantileNanResult(std::string_view metric, const Node& at);
  void QuantileNanSkew(std::string_view metric, const Node& at);
  void FractionNans(std::string_view metric, const Node& at);
  /// One histogram at one step whose buckets did not increase. Gathered per metric and place.
  struct Forced {
    double lowest_bucket = 0;
    double highest_bucket = 0;
    double most = 0;  ///< the largest difference put right
  };
  void ForcedMonotonicity(std::string_view metric, const Node& at, UnixMs time_ms,
                          const Forced& forced);

  void MoveTo(QueryResult& result);

 private:
  struct Gathered {
    Forced forced;
    UnixMs first_ms = 0;
    UnixMs last_ms = 0;
    uint64_t count = 0;
    uint32_t position = 0;
    std::string metric;
  };
  void Warn(std::string text, const Node& at) {
    Add(warnings_, "PromQL warning: " + std::move(text), at.range.begin);
  }
  void Info(std::string text, const Node& at) {
    Add(infos_, "PromQL info: " + std::move(text), at.range.begin);
  }
  void Add(std::vector<std::string>& list, std::string text, uint32_t position);

  std::string_view query_;
  std::vector<std::string> warnings_;
  std::vector<std::string> infos_;
  std::map<std::string, Gathered> forced_;
};

}  // namespace picket::rules::promql
