// SPDX-License-Identifier: Apache-2.0
#include "collectors/scrape/exposed_labels.h"

#include <fmt/format.h>

#include <string>

#include "collectors/scrape/number.h"
#include "core/base/strings.h"

namespace picket::collectors::scrape {
namespace {

bool IsBound(MetricType type, std::string_view name) {
  return (type == MetricType::kHistogram && name == "le") ||
         (type == MetricType::kSummary && name == "quantile");
}

std::string LabelValue(MetricType type, std::string_view name, std::string_view raw) {
  std::string value;
  AppendUnescaped(value, raw);
  if (!IsBound(type, name)) return value;
  const std::optional<double> bound = ParseFloat(value);
  return bound ? FormatOpenMetricsFloat(*bound) : value;
}

}  // namespace

Result<LabelsBuilder> ExposedLabels(const RawSeries& series, MetricType type, bool legacy_names) {
  LabelsBuilder builder;
  std::string name;
  AppendUnescaped(name, series.name);
  if (name.empty() || (legacy_names && !IsLegacyMetricName(name))) {
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("invalid metric name {}", JsonQuote(name)));
  }
  builder.Set(kMetricName, name);
  for (size_t i = 0; i < series.labels.size(); ++i) {
    name.clear();
    AppendUnescaped(name, series.labels[i].name);
    if (name.empty() || (legacy_names && !IsLegacyLabelName(name))) {
      return Fail(ErrorKind::kInvalidArgument,
                  fmt::format("invalid label name {} of {}", JsonQuote(name), series.name));
    }
    bool twice = name == kMetricName;
    for (size_t j = 0; j < i; ++j) twice |= series.labels[j].name == series.labels[i].name;
    if (twice) {
      return Fail(ErrorKind::kInvalidArgument,
                  fmt::format("label name {} is not unique in {}", JsonQuote(name), series.name));
    }
    builder.Set(name, LabelValue(type, name, series.labels[i].value));
  }
  return builder;
}

}  // namespace picket::collectors::scrape
