// SPDX-License-Identifier: Apache-2.0
#include "core/budget/budget.h"

#include <gtest/gtest.h>

#include <thread>

namespace picket {
namespace {

TEST(Budget, ALeaseGivesBackWhatItTook) {
  Budget budget(1_MiB);
  {
    auto a = budget.Reserve(BudgetClass::kStore, 1000);
    ASSERT_TRUE(a);
    BudgetLease moved = std::move(*a);
    EXPECT_EQ(budget.used(), 1000U);
    EXPECT_TRUE(moved.Resize(5000));
    EXPECT_EQ(budget.used(BudgetClass::kStore), 5000U);
    EXPECT_TRUE(moved.Resize(10));
    EXPECT_EQ(budget.used(), 10U);
  }
  EXPECT_EQ(budget.used(), 0U);
}

TEST(Budget, RefusesWhatPassesTheLimitAndCountsIt) {
  Budget budget(Bytes(1000));
  auto a = budget.Reserve(BudgetClass::kStore, 700);
  ASSERT_TRUE(a);
  EXPECT_FALSE(budget.Reserve(BudgetClass::kStore, 301));
  EXPECT_FALSE(a->Resize(1001));
  EXPECT_EQ(a->bytes(), 700U);
  EXPECT_EQ(budget.refused(BudgetClass::kStore), 2U);
  EXPECT_TRUE(budget.Reserve(BudgetClass::kStore, 300));
}

TEST(Budget, ShedsInTheOrderOfTheDesign) {
  Budget budget(Bytes(10'000));
  auto base = budget.Reserve(BudgetClass::kStore, 7'400);
  ASSERT_TRUE(base);
  EXPECT_EQ(budget.pressure(), Pressure::kNone);
  EXPECT_TRUE(budget.Reserve(BudgetClass::kSpanSlabs, 1));

  ASSERT_TRUE(base->Resize(7'500));
  EXPECT_EQ(budget.pressure(), Pressure::kRefuseAtDoor);
  EXPECT_FALSE(budget.AcceptAtDoor());
  EXPECT_FALSE(budget.Reserve(BudgetClass::kSpanSlabs, 1)) << "room is left, but not for pushers";
  EXPECT_TRUE(budget.Reserve(BudgetClass::kNewSeries, 1));
  EXPECT_TRUE(budget.AcceptNewSeries());

  ASSERT_TRUE(base->Resize(8'200));
  EXPECT_EQ(budget.pressure(), Pressure::kRefuseNewSeries);
  EXPECT_FALSE(budget.Reserve(BudgetClass::kNewSeries, 1));
  EXPECT_TRUE(budget.Reserve(BudgetClass::kLogArenas, 1));
  EXPECT_TRUE(budget.KeepAllTraces());

  ASSERT_TRUE(base->Resize(8'800));
  EXPECT_FALSE(budget.KeepAllTraces());
  EXPECT_TRUE(budget.ReadFiles());

  ASSERT_TRUE(base->Resize(9'400));
  EXPECT_FALSE(budget.ReadFiles());
  EXPECT_FALSE(budget.Reserve(BudgetClass::kLogArenas, 1));
  EXPECT_TRUE(budget.Reserve(BudgetClass::kStore, 1)) << "known series go on";

  auto decisions = budget.Reserve(BudgetClass::kDecisions, 50'000);
  EXPECT_TRUE(decisions) << "alerts and verdicts are never shed";
  EXPECT_GT(budget.used(), budget.limit().value);
  EXPECT_FALSE(budget.Reserve(BudgetClass::kStore, 1));
}

TEST(Budget, LevelsAreLeftLowerThanTheyAreEntered) {
  Budget budget(Bytes(10'000));
  auto base = budget.Reserve(BudgetClass::kStore, 7'500);
  ASSERT_TRUE(base);
  ASSERT_TRUE(base->Resize(7'200));
  EXPECT_EQ(budget.pressure(), Pressure::kRefuseAtDoor);
  ASSERT_TRUE(base->Resize(6'999));
  EXPECT_EQ(budget.pressure(), Pressure::kNone);
  ASSERT_TRUE(base->Resize(7'200));
  EXPECT_EQ(budget.pressure(), Pressure::kNone);
}

TEST(Budget, WithoutALimitNothingIsRefused) {
  Budget budget(Bytes(0));
  auto a = budget.Reserve(BudgetClass::kLogArenas, UINT64_C(1) << 40);
  EXPECT_TRUE(a);
  EXPECT_EQ(budget.pressure(), Pressure::kNone);
}

TEST(Budget, ANewLimitTakesEffectAtOnce) {
  Budget budget(Bytes(10'000));
  auto a = budget.Reserve(BudgetClass::kStore, 5'000);
  budget.SetLimit(Bytes(5'000));
  EXPECT_EQ(budget.pressure(), Pressure::kPauseReading);
  budget.SetLimit(Bytes(0));
  EXPECT_EQ(budget.pressure(), Pressure::kNone);
}

TEST(Budget, ManyThreadsNeverPassTheLimitAndLeaveNothingBehind) {
  Budget budget(Bytes(1'000));
  std::atomic<bool> over{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&budget, &over] {
      for (int i = 0; i < 5'000; ++i) {
        auto lease = budget.Reserve(BudgetClass::kScrapeBodies, 300);
        if (budget.used() > 1'000) over = true;
      }
    });
  for (auto& t : threads) t.join();
  EXPECT_FALSE(over);
  EXPECT_EQ(budget.used(), 0U);
}

TEST(Budget, ShowsItsStateAsMetrics) {
  Budget budget(Bytes(1'000));
  Telemetry telemetry;
  auto tokens = budget.Export(telemetry);
  auto lease = budget.Reserve(BudgetClass::kStore, 800);
  std::map<std::string, double> seen;
  for (const auto& family : telemetry.Collect())
    for (const auto& s : family.samples)
      seen[family.name + (s.labels.empty() ? "" : "/" + s.labels[0].second)] = s.value;
  EXPECT_EQ(seen["picket_budget_pressure"], 1);
  EXPECT_EQ(seen["picket_budget_used_bytes/store"], 800);
  EXPECT_EQ(seen["picket_budget_limit_bytes"], 1000);
}

}  // namespace
}  // namespace picket
