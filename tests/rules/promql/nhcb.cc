// SPDX-License-Identifier: Apache-2.0
#include "tests/rules/promql/nhcb.h"

#include <cmath>
#include <cstdlib>
#include <limits>
#include <optional>

namespace picket::rules::promql {
namespace {

struct Classic {
  std::map<double, double> buckets;
  std::optional<double> count;
  std::optional<double> sum;
};

std::shared_ptr<const HistogramValue> Convert(const Classic& classic) {
  auto out = std::make_shared<HistogramValue>();
  out->schema = HistogramValue::kCustomBuckets;
  out->sum = classic.sum.value_or(0);
  double before = 0;
  std::vector<double> counts;
  double infinite = std::numeric_limits<double>::quiet_NaN();
  for (const auto& [bound, cumulative] : classic.buckets) {
    if (std::isinf(bound)) {
      infinite = cumulative;
      continue;
    }
    if (cumulative < before) return nullptr;  // not a cumulative histogram
    out->custom_values.push_back(bound);
    counts.push_back(cumulative - before);
    before = cumulative;
  }
  const double total = std::isnan(infinite) ? classic.count.value_or(before) : infinite;
  if (total < before) return nullptr;
  counts.push_back(total - before);
  out->count = classic.count.value_or(total);
  out->positive_spans = {{0, static_cast<uint32_t>(counts.size())}};
  out->positive_buckets = std::move(counts);
  return out;
}

}  // namespace

void AddCustomBucketHistograms(std::map<Labels, std::vector<MemoryStore::Sample>>& series) {
  std::map<Labels, std::map<UnixMs, Classic>> found;
  for (const auto& [labels, samples] : series) {
    std::string name(labels.Get(kMetricName));
    LabelsBuilder builder(labels);
    const auto strip = [&](std::string_view suffix) {
      if (!name.ends_with(suffix)) return false;
      builder.Set(kMetricName, name.substr(0, name.size() - suffix.size()));
      return true;
    };
    const bool bucket = labels.Has("le") && strip("_bucket");
    const bool count = !bucket && strip("_count");
    const bool sum = !bucket && !count && strip("_sum");
    if (!bucket && !count && !sum) continue;
    double bound = 0;
    if (bucket) {
      const std::string le(labels.Get("le"));
      char* end = nullptr;
      bound = std::strtod(le.c_str(), &end);
      if (end == le.c_str() || *end != '\0') continue;
      builder.Delete("le");
    }
    auto& target = found[builder.Build()];
    for (const MemoryStore::Sample& sample : samples) {
      if (sample.histogram) continue;
      Classic& classic = target[sample.time_ms];
      if (bucket) classic.buckets[bound] = sample.value;
      if (count) classic.count = sample.value;
      if (sum) classic.sum = sample.value;
    }
  }
  for (const auto& [labels, times] : found)
    for (const auto& [time, classic] : times)
      if (!classic.buckets.empty())
        if (auto histogram = Convert(classic)) series[labels].push_back({time, 0, histogram});
}

}  // namespace picket::rules::promql
