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

TEST(RuleFile, FindingsNameTheGroupAndTheRule) {
  const std::string text = Findings(R"(groups:
- name: nodes
  rules:
  - {record: a, expr: up}
  - {alert: Down, expr: "up ==", labels: {x: "{{ nope }}"}}
)");
  EXPECT_NE(text.find("r.yml:5:"), std::string::npos) << text;
  EXPECT_NE(text.find(R"(group "nodes", rule 2 "Down".expr: could not parse)"), std::string::npos)
      << text;
  EXPECT_NE(text.find(R"(group "nodes", rule 2 "Down".labels.x: template)"), std::string::npos)
      << text;
}

TEST(RuleFile, WarnsOfDuplicates) {
  config::Diagnostics d;
  const auto groups = ParseRuleFile(config::MakeSource("r.yml", R"(groups:
- name: one
  labels: {team: a}
  rules:
  - {record: "x:sum", expr: sum(x)}
  - {alert: Down, expr: up == 0, labels: {severity: page}}
  - {alert: Down, expr: up == 0, labels: {severity: ticket}}
- name: two
  rules:
  - {record: "x:sum", expr: sum(x)}
  - {record: "x:sum", expr: sum(y), labels: {team: a}}
)"),
                                    d);
  EXPECT_EQ(groups.size(), 2U);
  EXPECT_FALSE(d.HasErrors());
  ASSERT_EQ(d.warnings(), 1U) << d.Render();
  EXPECT_EQ(d.all()[0].Where().line, 11);
  EXPECT_NE(d.Render().find("is rule 1 of group \"one\" at line 5"), std::string::npos)
      << d.Render();
}

TEST(RuleFile, LegacyNamesAreChecked) {
  const std::string yaml =
      "groups: [{name: g, rules: [{alert: a, expr: up, annotations: {a-b: c}}, {record: 'ä', expr: "
      "up, labels: {c.d: e}}]}]";
  EXPECT_EQ(Findings(yaml), "");
  config::Diagnostics d;
  ParseRuleFile(config::MakeSource("r.yml", yaml), d, {.legacy_names = true});
  EXPECT_EQ(d.errors(), 3U) << d.Render();
}

TEST(RuleFile, AZeroThatSaysNothingIsFine) {
  EXPECT_EQ(Findings("groups: [{name: g, limit: -1, rules: [{record: a, expr: up, for: 0s, "
                     "keep_firing_for: 0s}]}]"),
            "");
}

TEST(RuleFile, AnEmptyFileHasNoGroups) {
  EXPECT_EQ(Findings(""), "");
  EXPECT_EQ(Findings("groups: []"), "");
}

}  // namespace
}  // namespace picket::rules::alerting
