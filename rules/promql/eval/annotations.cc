// SPDX-License-Identifier: Apache-2.0
#include "rules/promql/eval/annotations.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ctime>

#include "core/base/strings.h"
#include "rules/promql/parse/lexer.h"

namespace picket::rules::promql {
namespace {

/// As Go's %g prints a float.
std::string General(double v) {
  if (std::isnan(v)) return "NaN";
  if (std::isinf(v)) return v > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", v);
}

std::string ForMetric(std::string text, std::string_view metric) {
  if (!metric.empty()) text += fmt::format(" for metric name {}", Quote(metric));
  return text;
}

/// Whole seconds, towards zero.
std::string Rfc3339(UnixMs ms) {
  const auto seconds = static_cast<std::time_t>(ms / 1000);
  std::tm tm{};
  gmtime_r(&seconds, &tm);
  char buffer[40];
  std::strftime(buffer, sizeof buffer, "%Y-%m-%dT%H:%M:%SZ", &tm);
  return buffer;
}

}  // namespace

void Annotations::Add(std::vector<std::string>& list, std::string text, uint32_t position) {
  text += fmt::format(" ({})", LineColumn(query_, position));
  if (std::find(list.begin(), list.end(), text) == list.end()) list.push_back(std::move(text));
}

void Annotations::InvalidQuantile(double q, const Node& at) {
  Warn(fmt::format("quantile value should be between 0 and 1, got {}", General(q)), at);
}
void Annotations::InvalidRatio(double ratio, double capped, const Node& at) {
  Warn(fmt::format("ratio value should be between -1 and 1, got {}, capping to {}", General(ratio),
                   General(capped)),
       at);
}
void Annotations::BadBucketLabel(std::string_view metric, std::string_view label, const Node& at) {
  Warn(ForMetric(fmt::format("bucket label \"le\" is missing or has a malformed value of {}",
                             Quote(label)),
                 metric),
       at);
}
void Annotations::MixedFloatsHistograms(std::string_view metric, const Node& at) {
  Warn(fmt::format("encountered a mix of histograms and floats for metric name {}", Quote(metric)),
       at);
}
void Annotations::MixedFloatsHistogramsAggregation(const Node& at) {
  Warn("encountered a mix of histograms and floats for aggregation", at);
}
void Annotations::MixedClassicNative(std::string_view metric, const Node& at) {
  Warn(ForMetric("vector contains a mix of classic and native histograms", metric), at);
}
void Annotations::NativeNotCounter(std::string_view metric, const Node& at) {
  Warn(fmt::format("this native histogram metric is not a counter: {}", Quote(metric)), at);
}
void Annotations::NativeNotGauge(std::string_view metric, const Node& at) {
  Warn(fmt::format("this native histogram metric is not a gauge: {}", Quote(metric)), at);
}
void Annotations::MixedExponentialCustom(std::string_view metric, const Node& at) {
  Warn(fmt::format("vector contains a mix of histograms with exponential and custom buckets "
                   "schemas for metric name {}",
                   Quote(metric)),
       at);
}
void Annotations::StartTimeOverlap(std::string_view metric, const Node& at) {
  Warn(fmt::format(
           "sample has start time that overlaps with previous sample timestamp for metric {}",
           Quote(metric)),
       at);
}
void Annotations::SortInRangeQuery(const Node& at) {
  Warn("sort is ineffective for range queries since results are always ordered by labels", at);
}
void Annotations::ConflictingCounterResets(std::string_view operation, const Node& at) {
  Warn(fmt::format("conflicting counter resets during histogram {}", operation), at);
}
void Annotations::IncompatibleBucketLayout(std::string_view op, const Node& at) {
  Warn(fmt::format("incompatible bucket layout encountered for binary operator {}", op), at);
}

void Annotations::PossibleNonCounter(std::string_view metric, const Node& at) {
  Info(fmt::format(
           "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {}",
           Quote(metric)),
       at);
}
void Annotations::IncompatibleTypes(std::string_view left, std::string_view op,
                                    std::string_view right, const Node& at) {
  Info(fmt::format("incompatible sample types encountered for binary operator {}: {} {} {}",
                   Quote(op), left, op, right),
       at);
}
void Annotations::HistogramIgnoredInAggregation(std::string_view op, const Node& at) {
  Info(fmt::format("ignored histogram in {} aggregation", op), at);
}
void Annotations::HistogramIgnoredInMixedRange(std::string_view metric, const Node& at) {
  Info(fmt::format(
           "ignored histograms in a range containing both floats and histograms for metric name {}",
           Quote(metric)),
       at);
}
void Annotations::MismatchedCustomBuckets(std::string_view operation, const Node& at) {
  Info(fmt::format("mismatched custom buckets were reconciled during {}", operation), at);
}
void Annotations::QuantileNanResult(std::string_view metric, const Node& at) {
  Info(ForMetric("input to histogram_quantile has NaN observations, result is NaN", metric), at);
}
void Annotations::QuantileNanSkew(std::string_view metric, const Node& at) {
  Info(ForMetric("input to histogram_quantile has NaN observations, result is skewed higher",
                 metric),
       at);
}
void Annotations::FractionNans(std::string_view metric, const Node& at) {
  Info(
      ForMetric(
          "input to histogram_fraction has NaN observations, which are excluded from all fractions",
          metric),
      at);
}

void Annotations::ForcedMonotonicity(std::string_view metric, const Node& at, UnixMs time_ms,
                                     const Forced& forced) {
  Gathered& g = forced_[fmt::format("{} {}", at.range.begin, metric)];
  if (g.count == 0) {
    g = {forced, time_ms, time_ms, 0, at.range.begin, std::string(metric)};
  }
  ++g.count;
  g.forced.lowest_bucket = std::min(g.forced.lowest_bucket, forced.lowest_bucket);
  g.forced.highest_bucket = std::max(g.forced.highest_bucket, forced.highest_bucket);
  g.forced.most = std::max(g.forced.most, forced.most);
  g.first_ms = std::min(g.first_ms, time_ms);
  g.last_ms = std::max(g.last_ms, time_ms);
}

void Annotations::MoveTo(QueryResult& result) {
  for (const auto& [key, g] : forced_) {
    std::string text = ForMetric(
        "PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see "
        "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)",
        g.metric);
    text += fmt::format(", from buckets {} to {}, with a max diff of {:.2g}",
                        General(g.forced.lowest_bucket), General(g.forced.highest_bucket),
                        g.forced.most);
    text += fmt::format(", over {} samples from {} to {}", g.count, Rfc3339(g.first_ms),
                        Rfc3339(g.last_ms));
    Add(infos_, std::move(text), g.position);
  }
  forced_.clear();
  result.warnings = std::move(warnings_);
  result.infos = std::move(infos_);
}

}  // namespace picket::rules::promql
