// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <filesystem>

#include "rules/promql/engine.h"
#include "rules/slo/alerts.h"
#include "rules/slo/engine.h"
#include "tests/support/memory_store.h"

namespace picket::rules::slo {
namespace {

using picket::testing::MemoryStore;

SloConfig Sales() {
  SloConfig c;
  c.name = "sales";
  c.service = "shop";
  c.objective = 99;
  c.indicator.ratio = RatioIndicator{R"(requests_total{job="shop"})",
                                     R"(requests_total{job="shop",code="500"})", ""};
  return c;
}

/// A shop scraped every ten seconds, its objective told at each scrape.
class Budget : public ::testing::Test {
 protected:
  Budget() {
    dir_ = ::testing::TempDir() + "slo-ledger";
    std::filesystem::remove_all(dir_);
  }
  void Open(std::vector<SloConfig> slos = {Sales()}) {
    engine_.reset();
    auto made = SloEngine::Open({&store_, &store_, &clock_, dir_});
    ASSERT_TRUE(made) << made.error().ToString();
    engine_ = std::move(*made);
    ASSERT_TRUE(engine_->Apply(slos, clock_.NowMs()));
  }
  void Scrape(double good, double bad) {
    clock_.Advance(std::chrono::seconds(10));
    Put("200", good_ += good);
    if (bad > 0 || bad_ > 0) Put("500", bad_ += bad);
    engine_->Evaluate(clock_.NowMs());
  }
  SloStatus Now() { return engine_->Statuses().at(0); }
  double Series(const std::string& name) {
    const auto* s = store_.Find(Labels{{"__name__", name},
                                       {"sloth_id", "shop-sales"},
                                       {"sloth_service", "shop"},
                                       {"sloth_slo", "sales"}});
    return s == nullptr ? -1 : s->values.back();
  }

  MemoryStore store_;
  ManualClock clock_;
  std::string dir_;
  std::unique_ptr<SloEngine> engine_;

 private:
  void Put(const std::string& code, double v) {
    store_.Put(
        Labels{{"__name__", "requests_total"}, {"job", "shop"}, {"instance", "a"}, {"code", code}},
        clock_.NowMs(), v);
  }
  double good_ = 0, bad_ = 0;
};

TEST_F(Budget, CountsEveryEventAndTellsWhatIsLeft) {
  Open();
  Scrape(0, 0);
  for (int i = 0; i < 100; ++i) Scrape(99, i % 2);  // 50 of 9950 bad
  EXPECT_EQ(Now().total, 9950U);
  EXPECT_EQ(Now().good, 9900U);
  EXPECT_NEAR(Now().budget_remaining, 1 - (50.0 / 9950) / 0.01, 1e-12);
  EXPECT_NEAR(Series("slo:period_error_budget_remaining:ratio"), Now().budget_remaining, 1e-12);
  EXPECT_EQ(Series("slo:error_budget:ratio"), 0.01);
  EXPECT_NEAR(Now().burn.at("1h"), (50.0 / 9950) / 0.01, 1e-9);
}

TEST_F(Budget, ARestartCountsNeitherTwiceNorTooLittle) {
  Open();
  Scrape(0, 0);
  for (int i = 0; i < 20; ++i) Scrape(50, 1);
  for (int round = 0; round < 3; ++round) {
    Open();
    engine_->Evaluate(clock_.NowMs());
    for (int i = 0; i < 5; ++i) Scrape(50, 1);
  }
  EXPECT_EQ(Now().total, 35U * 51);
  EXPECT_EQ(Now().good, 35U * 50);
}

TEST_F(Budget, NoTrafficIsNeitherGoodNorBad) {
  Open();
  Scrape(0, 0);
  Scrape(0, 0);
  EXPECT_EQ(Now().total, 0U);
  EXPECT_EQ(Now().budget_remaining, 1);
  EXPECT_TRUE(Now().burn.empty());
  EXPECT_GT(Now().coverage, 0);
}

TEST_F(Budget, AChangedTargetKeepsTheCounts) {
  Open();
  Scrape(0, 0);
  for (int i = 0; i < 10; ++i) Scrape(90, 10);
  SloConfig changed = Sales();
  changed.objective = 80;
  ASSERT_TRUE(engine_->Apply({changed}, clock_.NowMs()));
  Scrape(90, 10);
  EXPECT_EQ(Now().total, 1100U);
  EXPECT_NEAR(Now().budget_remaining, 0.5, 1e-9);
  ASSERT_TRUE(engine_->Apply({}, clock_.NowMs()));
  EXPECT_TRUE(engine_->Statuses().empty());
}

TEST_F(Budget, LatencyCountsTheBucketAtTheBound) {
  SloConfig c;
  c.name = "sales";
  c.service = "shop";
  c.objective = 90;
  c.indicator.latency = LatencyIndicator{R"(duration_seconds{job="shop"})", 0.5};
  Open({c});
  for (int i = 0; i <= 10; ++i) {
    clock_.Advance(std::chrono::seconds(10));
    for (const auto& [le, n] :
         {std::pair{"0.25", 5.0}, std::pair{"0.5", 8.0}, std::pair{"+Inf", 10.0}})
      store_.Put(Labels{{"__name__", "duration_seconds_bucket"},
                        {"job", "shop"},
                        {"instance", "a"},
                        {"le", le}},
                 clock_.NowMs(), i * n);
    store_.Put(Labels{{"__name__", "duration_seconds_count"}, {"job", "shop"}, {"instance", "a"}},
               clock_.NowMs(), i * 10.0);
    engine_->Evaluate(clock_.NowMs());
  }
  EXPECT_EQ(Now().total, 100U);
  EXPECT_EQ(Now().good, 80U);
  EXPECT_NEAR(Now().burn.at("5m"), 2, 1e-9);
}

TEST(BurnAlerts, AreTheFourOfTheWorkbook) {
  SloConfig c = Sales();
  c.objective = 99.9;
  const auto alerts = BurnAlerts(c);
  ASSERT_EQ(alerts.size(), 4U);
  EXPECT_EQ(alerts[0].expr,
            "(slo:sli_error:ratio_rate1h{sloth_id=\"shop-sales\"} > 0.0144) and ignoring "
            "(sloth_window) (slo:sli_error:ratio_rate5m{sloth_id=\"shop-sales\"} > 0.0144)");
  EXPECT_EQ(alerts[0].labels.at("severity"), "page");
  EXPECT_EQ(alerts[3].labels.at("severity"), "ticket");
  for (const BurnAlert& a : alerts) EXPECT_TRUE(promql::Parse(a.expr)) << a.expr;
  c.objective = 50;  // an error ratio above 1 cannot be
  EXPECT_EQ(BurnAlerts(c).size(), 1U);
}

TEST(SloFile, RefusesWhatCannotWork) {
  for (const char* bad :
       {"{name: a, objective: 101, indicator: {ratio: {total: x, errors: y}}}",
        "{name: a, objective: 99, indicator: {ratio: {total: x}}}",
        "{name: a, objective: 99, indicator: {}}",
        "{objective: 99, indicator: {ratio: {total: x, errors: y}}}",
        "{name: a, objective: 99, indicator: {ratio: {total: 'sum(x)', errors: y}}}",
        "{name: a, objective: 99, indicator: {latency: {histogram: x, threshold: 0}}}"})
    EXPECT_FALSE(config::FromYaml<SloFileConfig>(std::string("slos: [") + bad + "]")) << bad;
  EXPECT_TRUE(
      config::FromYaml<SloFileConfig>("slos: [{name: a, objective: 99.9, window: 28d, indicator: "
                                      "{ratio: {total: x, errors: y}}}]"));
}

}  // namespace
}  // namespace picket::rules::slo
