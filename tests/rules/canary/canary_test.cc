// SPDX-License-Identifier: Apache-2.0
#include "rules/canary/canary.h"

#include <gtest/gtest.h>

#include "tests/support/memory_store.h"

namespace picket::rules::canary {
namespace {

using picket::testing::MemoryStore;

struct Inbox final : SignalSink {
  void OnSignal(const RolloutSignal& s) override { got.push_back(s); }
  std::string StateOf(const std::string&) const override { return "delivered"; }
  std::vector<RolloutSignal> got;
};

/// A shop with three baseline pods and a canary, scraped every five seconds.
class Shop : public ::testing::Test {
 protected:
  Shop() {
    config_.name = "shop";
    config_.canary = R"({version="v2"})";
    config_.baseline = R"({version="v1"})";
    config_.signals = {"hook"};
  }

  void Start() {
    auto made = CanaryJudge::Make({config_}, {&store_, &engine_, &store_, {{"hook", inbox_}}});
    ASSERT_TRUE(made) << made.error().ToString();
    judge_ = std::move(*made);
  }
  /// One scrape: `errors` of the canary's 50 requests fail, one in 600 of the baseline's.
  void Scrape(double canary_errors, double canary_requests = 50) {
    now_ += 5000;
    for (int pod = 0; pod < 3; ++pod) Count("v1", pod, 200, (scrapes_ + pod) % 3 == 0 ? 1 : 0);
    if (canary_requests > 0) Count("v2", 9, canary_requests, canary_errors);
    ++scrapes_;
    judge_->Evaluate(now_ + 100);
  }
  CanaryStatus Now() { return judge_->Statuses().at(0); }

  MemoryStore store_;
  promql::Engine engine_;
  std::shared_ptr<Inbox> inbox_ = std::make_shared<Inbox>();
  CanaryConfig config_;
  std::unique_ptr<CanaryJudge> judge_;
  UnixMs now_ = 1'700'000'000'000;
  int scrapes_ = 0;

 private:
  void Count(const std::string& version, int pod, double requests, double errors) {
    for (const auto& [code, n] : {std::pair{"200", requests - errors}, std::pair{"500", errors}}) {
      const Labels labels{{"__name__", "http_requests_total"},
                          {"code", code},
                          {"job", "shop"},
                          {"instance", "pod" + std::to_string(pod)},
                          {"version", version}};
      double& total = totals_[labels.ToString()];
      // The series of a code appears with its first request, as client libraries do it.
      if (n == 0 && total == 0) continue;
      store_.Put(labels, now_, total += n);
    }
  }
  std::map<std::string, double> totals_;
};

TEST_F(Shop, ABadCanaryIsRolledBackOnceWithEvidence) {
  Start();
  for (int i = 0; i < 20; ++i) Scrape(0, 0);
  EXPECT_EQ(Now().rollout_id, "");
  for (int i = 0; i < 5; ++i) Scrape(0);
  EXPECT_EQ(Now().verdict, Verdict::kUnsure);
  int looks = 0;
  while (Now().verdict != Verdict::kBad && looks < 20) Scrape(3), ++looks;
  EXPECT_EQ(Now().verdict, Verdict::kBad);
  EXPECT_LE(looks, 6);
  for (int i = 0; i < 10; ++i) Scrape(3);
  ASSERT_EQ(inbox_->got.size(), 1U);
  EXPECT_EQ(inbox_->got[0].action, "rollback");
  EXPECT_EQ(inbox_->got[0].rollout_id, "shop/v2");
  EXPECT_NE(inbox_->got[0].evidence_json.find("\"log_e\":"), std::string::npos);
  EXPECT_EQ(Now().signal_state, "delivered");
}

TEST_F(Shop, AHealthyCanaryIsNotRolledBackAndBecomesOk) {
  Start();
  for (int i = 0; i < 10; ++i) Scrape(0, 0);
  for (int i = 0; i < 300; ++i) Scrape(i % 12 == 0 ? 1 : 0);
  EXPECT_EQ(Now().verdict, Verdict::kOk);
  EXPECT_TRUE(inbox_->got.empty());
}

TEST_F(Shop, TheFirstErrorOfAKindCounts) {
  Start();
  for (int i = 0; i < 5; ++i) Scrape(0);
  Scrape(4);
  EXPECT_EQ(Now().canary.errors, 4);
}

TEST_F(Shop, ARestartContinuesTheRolloutFromTheStore) {
  Start();
  for (int i = 0; i < 10; ++i) Scrape(0);
  for (int i = 0; i < 2; ++i) Scrape(2);
  const CanaryStatus before = Now();
  judge_.reset();
  Start();
  judge_->Evaluate(now_ + 200);
  EXPECT_EQ(Now().canary.errors, before.canary.errors);
  EXPECT_NEAR(Now().log_e, before.log_e, 1e-9);
}

TEST_F(Shop, TrafficThatStopsEndsTheRolloutAndTheNextIsANewOne) {
  config_.rollout_label = "";
  config_.idle_reset = std::chrono::seconds(30);
  Start();
  for (int i = 0; i < 5; ++i) Scrape(0);
  const std::string first = Now().rollout_id;
  for (int i = 0; i < 10; ++i) Scrape(0, 0);
  EXPECT_EQ(Now().rollout_id, "");
  for (int i = 0; i < 3; ++i) Scrape(0);
  EXPECT_NE(Now().rollout_id, first);
}

TEST_F(Shop, NoTrafficNeverRollsBack) {
  Start();
  for (int i = 0; i < 3; ++i) Scrape(0);
  for (int i = 0; i < 50; ++i) Scrape(0, 0);
  EXPECT_TRUE(inbox_->got.empty());
}

TEST_F(Shop, APlainThresholdNeedsItsFailuresInARow) {
  config_.thresholds = {
      {.name = "error ratio",
       .expr =
           R"(sum(rate(http_requests_total{version="v2",code="500"}[15s])) / sum(rate(http_requests_total{version="v2"}[15s])))",
       .max = 0.01,
       .min = {},
       .failures = 3}};
  config_.indicators = {{.name = "none", .requests = "nothing_total", .errors = "nothing_total"},
                        {.name = "errors"}};
  config_.minimum_difference = 1;  // the statistical test cannot act
  Start();
  for (int i = 0; i < 5; ++i) Scrape(0);
  for (int i = 0; i < 2; ++i) Scrape(2);
  EXPECT_NE(Now().verdict, Verdict::kBad);
  for (int i = 0; i < 4; ++i) Scrape(2);
  EXPECT_EQ(Now().verdict, Verdict::kBad);
  EXPECT_NE(Now().reason.find("error ratio"), std::string::npos);
}

TEST_F(Shop, PublishesItsEvidenceAsSeries) {
  Start();
  for (int i = 0; i < 3; ++i) Scrape(0);
  const auto* s = store_.Find(
      Labels{{"__name__", "picket_canary_requests"}, {"canary", "shop"}, {"side", "canary"}});
  ASSERT_NE(s, nullptr);
  EXPECT_EQ(s->values.back(), 100);  // the first scrape of a target is its base
}

TEST(CanaryMake, RefusesAnUnknownSignal) {
  CanaryConfig config;
  config.name = "x";
  config.canary = R"({a="1"})";
  config.baseline = R"({a="2"})";
  config.signals = {"nobody"};
  auto made = CanaryJudge::Make({config}, {});
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().message().find("nobody"), std::string::npos);
}

}  // namespace
}  // namespace picket::rules::canary
