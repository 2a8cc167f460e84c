// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "core/config/diagnostics.h"
#include "rules/alerting/config.h"

namespace picket::rules::alerting {
namespace {

std::string Findings(const std::string& yaml) {
  config::Diagnostics d;
  ParseRuleFile(config::MakeSource("r.yml", yaml), d);
  return d.HasErrors() ? d.Render() : "";
}

TEST(RuleFile, ReadsWhatPrometheusReads) {
  config::Diagnostics d;
  const auto groups = ParseRuleFile(config::MakeSource("r.yml", R"(
groups:
- name: one
  interval: 30s
  query_offset: 5s
  limit: 10
  labels: {team: a}
  rules:
  - record: "job:x:sum"
    expr: sum by (job) (x)
  - alert: Down
    expr: up == 0
    for: 1m
    keep_firing_for: 5m
    labels: {severity: page}
    annotations: {summary: "{{ $labels.instance }} is down for {{ $value }}"}
)"),
                                    d);
  ASSERT_FALSE(d.HasErrors()) << d.Render();
  ASSERT_EQ(groups.size(), 1U);
  EXPECT_EQ(groups[0].interval->count(), 30'000);
  EXPECT_EQ(groups[0].rules[1].hold->count(), 60'000);
  EXPECT_TRUE(groups[0].rules[1].IsAlert());
}

TEST(RuleFile, EveryFindingHasItsPlace) {
  const std::string text = Findings(R"(groups:
- name: g
  rules:
  - record: a
    expr: sum(
  - alert: B
    expr: up
    annotation: {x: y}
  - expr: up
)");
  EXPECT_NE(text.find("r.yml:5:"), std::string::npos) << text;
  EXPECT_NE(text.find("r.yml:8:"), std::string::npos) << text;
  EXPECT_NE(text.find("annotations"), std::string::npos) << "nearest key: " << text;
  EXPECT_NE(text.find("one of 'record' or 'alert'"), std::string::npos) << text;
}

TEST(RuleFile, RefusesWhatCannotWork) {
  for (const char* rule : {"{record: a, alert: b, expr: up}", "{record: a, expr: up, for: 1m}",
                           "{record: a, expr: up, annotations: {a: b}}", "{alert: a}",
                           "{alert: a, expr: up, labels: {__name__: x}}",
                           "{alert: a, expr: up, labels: {x: '{{ $label.y }}'}}",
                           "{alert: a, expr: up, annotations: {x: '{{ nosuch }}'}}",
                           "{alert: a, expr: up, for: 1x}", "{record: 'a{b}', expr: up}"})
    EXPECT_NE(Findings(std::string("groups: [{name: g, rules: [") + rule + "]}]"), "") << rule;
  EXPECT_NE(Findings("groups: [{name: g}, {name: g}]"), "");
  EXPECT_NE(Findings("groups: [{rules: []}]"), "");
  EXPECT_NE(Findings("group: []"), "");
}

TEST(RuleFile, AnEmptyFileHasNoGroups) {
  EXPECT_EQ(Findings(""), "");
  EXPECT_EQ(Findings("groups: []"), "");
}

}  // namespace
}  // namespace picket::rules::alerting
