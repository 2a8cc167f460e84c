// SPDX-License-Identifier: Apache-2.0
#include "collectors/scrape/resolver.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "collectors/scrape/exposed_labels.h"
#include "core/base/strings.h"

namespace picket::collectors::scrape {
namespace {

bool Exposes(const RawSeries& series, std::string_view name) {
  return std::ranges::any_of(series.labels, [&](const RawLabel& l) { return l.name == name; });
}

/// Joins the target's labels. An exposed label of the same name moves out of the way, as often as
/// it takes.
void JoinTarget(LabelsBuilder& labels, const RawSeries& series, const Labels& target, bool honor) {
  std::vector<std::pair<std::string, std::string>> moved;
  for (const auto [name, value] : target) {
    if (honor) {
      // An exposed empty value is a way to say "not even the target's".
      if (!Exposes(series, name)) labels.Set(name, value);
      continue;
    }
    if (const std::string_view exposed = labels.Get(name); !exposed.empty())
      moved.emplace_back(name, exposed);
    labels.Set(name, value);
  }
  std::ranges::stable_sort(moved, {}, [](const auto& m) { return m.first.size(); });
  for (const auto& [name, value] : moved) {
    std::string free = "exported_" + name;
    while (!labels.Get(free).empty()) free = "exported_" + free;
    labels.Set(free, value);
  }
}

Status CheckLimits(const Labels& labels, const SampleRules& rules) {
  const auto fail = [&](std::string what) {
    return Fail(ErrorKind::kLimit,
                fmt::format("{} (series {})", what, labels.ToString().substr(0, 200)));
  };
  if (rules.label_limit != 0 && labels.size() > rules.label_limit) {
    return fail(
        fmt::format("{} labels exceed the label_limit of {}", labels.size(), rules.label_limit));
  }
  if (rules.label_name_length_limit == 0 && rules.label_value_length_limit == 0) return {};
  for (const auto [name, value] : labels) {
    if (rules.label_name_length_limit != 0 && name.size() > rules.label_name_length_limit) {
      return fail(fmt::format("label name {} exceeds the label_name_length_limit of {}",
                              JsonQuote(name), rules.label_name_length_limit));
    }
    if (rules.label_value_length_limit != 0 && value.size() > rules.label_value_length_limit) {
      return fail(fmt::format("the value of label {} exceeds the label_value_length_limit of {}",
                              JsonQuote(name), rules.label_value_length_limit));
    }
  }
  return {};
}

}  // namespace

Result<std::optional<Labels>> SampleLabels(const RawSeries& series, MetricType type,
                                           const Labels& target, const SampleRules& rules) {
  PICKET_ASSIGN(LabelsBuilder builder, ExposedLabels(series, type, rules.legacy_names));
  JoinTarget(builder, series, target, rules.honor_labels);
  if (!rules.relabel.empty()) {
    if (!relabel::Process(rules.relabel, builder)) return std::optional<Labels>();
    if (builder.pairs().empty()) return std::optional<Labels>();
    const std::string_view name = builder.Get(kMetricName);
    if (name.empty())
      return Fail(ErrorKind::kInvalidArgument,
                  "metric_relabel_configs left a series without a name");
  }
  Labels labels = builder.Build();
  PICKET_TRY(CheckLimits(labels, rules));
  return std::optional(std::move(labels));
}

Result<SeriesResolver::Answer> TargetResolver::Resolve(
    const RawSeries& series, MetricType type, std::shared_ptr<const MetricMetadata> metadata) {
  PICKET_ASSIGN(std::optional<Labels> labels, SampleLabels(series, type, target_, *rules_));
  if (!labels) return Answer{Kind::kDropped, kNoSeries};
  Result<SeriesId> id = intake_.Intern(source_, *labels, std::move(metadata));
  if (id) return Answer{Kind::kKept, *id};
  if (id.error().kind() == ErrorKind::kOverloaded) return Answer{Kind::kRefused, kNoSeries};
  return Fail(std::move(id).error());
}

}  // namespace picket::collectors::scrape
