// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "core/config/diagnostics.h"
#include "rules/alerting/manager.h"
#include "tests/support/memory_store.h"

namespace picket::rules::alerting {
namespace {

using picket::testing::MemoryStore;

/// A rule file over a store whose samples the test writes, evaluated every ten seconds on a manual
/// clock.
class Story : public ::testing::Test {
 protected:
  void Load(const std::string& yaml, const std::string& state_path = "") {
    settings_.external_url = "http://picket.test";
    manager_.reset();
    manager_ = std::make_unique<RuleManager>(
        RuleManager::Options{settings_, state_path},
        GroupNeeds{
            &store_, &engine_, &store_, &clock_, Labels{{"cluster", "eu"}},
            [this](auto alerts) { sent_.insert(sent_.end(), alerts.begin(), alerts.end()); }},
        nullptr);
    Reload(yaml);
  }
  void Reload(const std::string& yaml) {
    config::Diagnostics d;
    auto groups = ParseRuleFile(config::MakeSource("rules.yml", yaml), d);
    ASSERT_FALSE(d.HasErrors()) << d.Render();
    manager_->Apply(std::move(groups), settings_, Labels{{"cluster", "eu"}}, now_);
  }
  /// Ten seconds later: writes `x{i="a"}` unless NaN, then evaluates.
  void Tick(double x) {
    now_ += 10'000;
    if (!std::isnan(x)) store_.Put(Labels{{"__name__", "x"}, {"i", "a"}}, now_, x);
    manager_->EvaluateAllAt(now_);
  }
  AlertState State() { return manager_->Groups().at(0).rules.at(0).state; }
  double Last(const Labels& labels) {
    const auto* s = store_.Find(labels);
    return s == nullptr || s->values.empty() ? NAN : s->values.back();
  }

  MemoryStore store_;
  promql::Engine engine_;
  ManualClock clock_;
  AlertingConfig settings_;
  std::vector<AlertNotification> sent_;
  std::unique_ptr<RuleManager> manager_;
  UnixMs now_ = 1'700'000'000'000;
};

constexpr char kHigh[] = R"(groups:
- name: g
  interval: 10s
  rules:
  - alert: High
    expr: x > 5
    for: 20s
    labels: {severity: page, was: "{{ $value }}"}
    annotations: {summary: "{{ $labels.i }} is {{ $value }}"}
)";

TEST_F(Story, PendingThenFiringThenResolved) {
  Load(
      R"(groups: [{name: g, rules: [{alert: High, expr: x > 5, for: 20s, labels: {severity: page}, annotations: {summary: "{{ $labels.i }} is {{ $value }}"}}]}])");
  Tick(1);
  EXPECT_EQ(State(), AlertState::kInactive);
  Tick(7);
  EXPECT_EQ(State(), AlertState::kPending);
  EXPECT_TRUE(sent_.empty());
  EXPECT_EQ(Last(Labels{{"__name__", "ALERTS"},
                        {"alertname", "High"},
                        {"alertstate", "pending"},
                        {"i", "a"},
                        {"severity", "page"}}),
            1);
  Tick(8);
  Tick(9);
  EXPECT_EQ(State(), AlertState::kFiring);
  ASSERT_EQ(sent_.size(), 1U);
  EXPECT_EQ(sent_[0].labels.ToString(), R"({alertname="High", i="a", severity="page"})");
  EXPECT_EQ(sent_[0].annotations.Get("summary"), "a is 9");
  EXPECT_EQ(sent_[0].ends_at_ms, now_ + 4 * 60'000);
  EXPECT_EQ(sent_[0].starts_at_ms, now_);
  EXPECT_EQ(sent_[0].generator_url, "http://picket.test/graph?g0.expr=x+%3E+5&g0.tab=1");
  EXPECT_TRUE(IsStaleNan(Last(Labels{{"__name__", "ALERTS"},
                                     {"alertname", "High"},
                                     {"alertstate", "pending"},
                                     {"i", "a"},
                                     {"severity", "page"}})));
  Tick(9);
  EXPECT_EQ(sent_.size(), 1U) << "not again before the resend delay";
  Tick(2);
  EXPECT_EQ(State(), AlertState::kInactive);
  ASSERT_EQ(sent_.size(), 2U);
  EXPECT_EQ(sent_[1].ends_at_ms, now_);
}

TEST_F(Story, TemplatesSeeTheNameAndTheAlertDoesNotCarryIt) {
  Load(
      R"(groups: [{name: g, rules: [{alert: High, expr: x > 5, annotations: {of: "{{ $labels.__name__ }}"}}]}])");
  Tick(7);
  ASSERT_EQ(sent_.size(), 1U);
  EXPECT_EQ(sent_[0].annotations.Get("of"), "x");
  EXPECT_EQ(sent_[0].labels.ToString(), R"({alertname="High", i="a"})");
}

TEST_F(Story, WhatVanishesWhilePendingWasNeverThere) {
  Load(R"(groups: [{name: g, rules: [{alert: High, expr: x > 5, for: 20s}]}])");
  Tick(7);
  Tick(1);
  Tick(7);
  Tick(7);
  EXPECT_EQ(State(), AlertState::kPending);
  EXPECT_TRUE(sent_.empty());
}

TEST_F(Story, KeepFiringForHoldsOn) {
  Load(R"(groups: [{name: g, rules: [{alert: High, expr: x > 5, keep_firing_for: 25s}]}])");
  Tick(7);
  EXPECT_EQ(State(), AlertState::kFiring);
  Tick(1);
  Tick(1);
  Tick(1);
  EXPECT_EQ(State(), AlertState::kFiring);
  Tick(1);
  EXPECT_EQ(State(), AlertState::kInactive);
}

TEST_F(Story, AFiringAlertIsSentAgainAfterTheDelayAndResolvedOnesForAWhile) {
  Load(R"(groups: [{name: g, rules: [{alert: High, expr: x > 5}]}])");
  for (int i = 0; i < 14; ++i) Tick(7);
  EXPECT_EQ(sent_.size(), 3U);  // at 0, 60 and 120 s
  for (int i = 0; i < 20 * 6; ++i) Tick(1);
  EXPECT_GE(sent_.size(), 3U + 15U);
  const size_t now = sent_.size();
  Tick(1);
  EXPECT_EQ(sent_.size(), now) << "resolved alerts are forgotten after 15 minutes";
}

TEST_F(Story, ALaterRuleSeesAnEarlierOneInTheSamePass) {
  Load(R"(groups: [{name: g, labels: {team: t}, rules: [
    {record: "x:double", expr: x * 2}, {record: "x:quad", expr: "x:double * 2", labels: {team: own}}]}])");
  Tick(3);
  EXPECT_EQ(Last(Labels{{"__name__", "x:quad"}, {"i", "a"}, {"team", "own"}}), 12);
}

TEST_F(Story, RecordedSeriesThatVanishEndWithAMarker) {
  Load(R"(groups: [{name: g, rules: [{record: "x:big", expr: x > 5}]}])");
  Tick(7);
  Tick(1);
  EXPECT_TRUE(IsStaleNan(Last(Labels{{"__name__", "x:big"}, {"i", "a"}})));
}

TEST_F(Story, AFailedEvaluationEndsNothing) {
  Load(R"(groups: [{name: g, rules: [{record: "y", expr: "x + on() group_left() z"}]}])");
  store_.Put(Labels{{"__name__", "z"}}, now_ + 10'000, 1);
  Tick(7);
  EXPECT_EQ(Last(Labels{{"__name__", "y"}, {"i", "a"}}), 8);
  store_.Put(Labels{{"__name__", "z"}}, now_ + 10'000, 1);
  store_.Put(Labels{{"__name__", "z"}, {"more", "1"}}, now_ + 10'000, 1);
  Tick(7);
  EXPECT_EQ(manager_->Groups()[0].rules[0].health, RuleHealth::kErr);
  EXPECT_EQ(Last(Labels{{"__name__", "y"}, {"i", "a"}}), 8);
}

TEST_F(Story, TheLimitIsAnErrorAndClearsTheAlerts) {
  Load(R"(groups: [{name: g, limit: 1, rules: [{alert: High, expr: x > 0}]}])");
  Tick(1);
  EXPECT_EQ(State(), AlertState::kFiring);
  store_.Put(Labels{{"__name__", "x"}, {"i", "b"}}, now_ + 10'000, 1);
  Tick(1);
  EXPECT_EQ(manager_->Groups()[0].rules[0].last_error, "exceeded limit of 1 with 2 alerts");
  EXPECT_EQ(State(), AlertState::kInactive);
}

TEST_F(Story, AlertsThatGoOnCountForTheLimitToo) {
  Load(
      R"(groups: [{name: g, limit: 1, rules: [{alert: High, expr: x > 5, keep_firing_for: 5m}]}])");
  Tick(7);
  Tick(1);
  EXPECT_EQ(State(), AlertState::kFiring);
  store_.Put(Labels{{"__name__", "x"}, {"i", "b"}}, now_ + 10'000, 9);
  Tick(1);
  EXPECT_EQ(manager_->Groups()[0].rules[0].last_error, "exceeded limit of 1 with 2 alerts");
}

TEST_F(Story, AReloadKeepsWhatDidNotChange) {
  Load(R"(groups: [{name: g, rules: [{alert: High, expr: x > 5, for: 20s}]}])");
  Tick(7);
  Tick(7);
  Reload(
      R"(groups: [{name: g, rules: [{alert: High, expr: x > 4, for: 20s}, {alert: Low, expr: x < 0}]}])");
  Tick(7);
  EXPECT_EQ(State(), AlertState::kFiring) << "the time it held before the reload counts";
  Reload("groups: []");
  EXPECT_TRUE(IsStaleNan(Last(Labels{
      {"__name__", "ALERTS"}, {"alertname", "High"}, {"alertstate", "firing"}, {"i", "a"}})));
}

TEST_F(Story, WhatAnotherGroupStillWritesDoesNotEnd) {
  Load(R"(groups: [{name: g, rules: [{record: y, expr: x}, {record: z, expr: x}]},
                   {name: copy, rules: [{record: y, expr: x}]}])");
  Tick(7);
  Reload(R"(groups: [{name: copy, rules: [{record: y, expr: x}]}])");
  EXPECT_EQ(Last(Labels{{"__name__", "y"}, {"i", "a"}}), 7);
  EXPECT_TRUE(IsStaleNan(Last(Labels{{"__name__", "z"}, {"i", "a"}})));
  Tick(8);
  EXPECT_EQ(Last(Labels{{"__name__", "y"}, {"i", "a"}}), 8);
  Reload("groups: []");
  EXPECT_TRUE(IsStaleNan(Last(Labels{{"__name__", "y"}, {"i", "a"}})));
}

TEST_F(Story, ARuleThatMovedToAnotherGroupGoesOn) {
  Load(R"(groups: [{name: g, rules: [{record: y, expr: x}, {record: w, expr: x > 7}]}])");
  Tick(8);
  Reload(R"(groups: [{name: other, rules: [{record: y, expr: x}, {record: w, expr: x > 7}]}])");
  EXPECT_EQ(Last(Labels{{"__name__", "y"}, {"i", "a"}}), 8);
  Tick(7);
  EXPECT_EQ(Last(Labels{{"__name__", "y"}, {"i", "a"}}), 7);
  EXPECT_TRUE(IsStaleNan(Last(Labels{{"__name__", "w"}, {"i", "a"}}))) << "and ends when it ends";
}

TEST_F(Story, StateSurvivesARestartForEveryFor) {
  const std::string path = ::testing::TempDir() + "alert-state.json";
  std::filesystem::remove(path);
  const std::string rules = R"(groups: [{name: g, rules: [{alert: High, expr: x > 5, for: 30s}]}])";
  Load(rules, path);
  Tick(7);
  Tick(7);
  manager_->Save(now_);
  now_ += 60'000;  // away for a minute
  Load(rules, path);
  Tick(7);  // 20 s held before, 10 s since
  EXPECT_EQ(State(), AlertState::kPending);
  Tick(7);
  EXPECT_EQ(State(), AlertState::kFiring);
  manager_->Save(now_);
  Load(rules, path);
  Tick(1);
  ASSERT_EQ(sent_.size(), 2U);
  EXPECT_EQ(sent_[1].ends_at_ms, now_) << "it resolved while it was restored, and says so";
}

TEST_F(Story, DamagedStateStartsAnew) {
  const std::string path = ::testing::TempDir() + "alert-state-bad.json";
  std::ofstream(path) << "{\"version\": 1, \"alerts\": [{";
  Load(R"(groups: [{name: g, rules: [{alert: High, expr: x > 5}]}])", path);
  Tick(7);
  EXPECT_EQ(State(), AlertState::kFiring);
}

TEST_F(Story, TwoRowsWithEqualLabelsAreAnError) {
  Load(R"(groups: [{name: g, rules: [{alert: High, expr: x > 5, labels: {i: same}}]}])");
  store_.Put(Labels{{"__name__", "x"}, {"i", "b"}}, now_ + 10'000, 9);
  Tick(9);
  EXPECT_EQ(manager_->Groups()[0].rules[0].health, RuleHealth::kErr);
}

TEST_F(Story, SlotsAreStableSpreadAndCountedWhenMissed) {
  Load(kHigh);
  const UnixMs first = manager_->Evaluate(now_);
  EXPECT_GT(first, now_ - 10'000);
  EXPECT_LE(first, now_ + 10'000);
  EXPECT_EQ(manager_->Evaluate(first), first + 10'000);
  EXPECT_EQ(manager_->Evaluate(first + 35'000), first + 40'000);
  EXPECT_EQ(manager_->Groups()[0].missed, 2U);
}

}  // namespace
}  // namespace picket::rules::alerting
