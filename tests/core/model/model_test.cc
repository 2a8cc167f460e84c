// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "core/model/delivery.h"
#include "core/model/labels.h"
#include "core/model/metrics.h"

namespace picket {
namespace {

TEST(LabelSet, SortsAndLeavesOutEmpties) {
  const Labels l{{"b", "2"}, {"a", "1"}, {"c", ""}, {"__name__", "up"}};
  ASSERT_EQ(l.size(), 3U);
  EXPECT_EQ(l[0].name, "__name__");
  EXPECT_EQ(l.Get("b"), "2");
  EXPECT_EQ(l.Get("c"), "");
  EXPECT_EQ(l.ToString(), "up{a=\"1\", b=\"2\"}");
  EXPECT_EQ(l.ToJson(), R"({"__name__":"up","a":"1","b":"2"})");
}

TEST(LabelSet, OrdersPairwise) {
  EXPECT_LT((Labels{{"a", "1"}}), (Labels{{"a", "1"}, {"b", "2"}}));
  EXPECT_LT((Labels{{"a", "1"}, {"b", "2"}}), (Labels{{"a", "2"}}));
  EXPECT_NE((Labels{{"ab", "c"}}).Hash(), (Labels{{"a", "bc"}}).Hash());
}

TEST(LabelsBuild, SetAndDelete) {
  LabelsBuilder b(Labels{{"a", "1"}, {"b", "2"}});
  b.Set("a", "3");
  b.Delete("b");
  b.Set("z", "9");
  EXPECT_EQ(b.Build(), (Labels{{"a", "3"}, {"z", "9"}}));
}

TEST(LabelMatcher, RegexIsAnchoredAndDotTakesNewline) {
  const auto m = *Matcher::Make(Matcher::Type::kRegex, "a", "b.*");
  EXPECT_TRUE(m.Matches("b\nx"));
  EXPECT_FALSE(m.Matches("ab"));
  EXPECT_EQ(Matcher::Make(Matcher::Type::kRegex, "a", "x|y")->Alternatives().size(), 2U);
  EXPECT_FALSE(Matcher::Make(Matcher::Type::kRegex, "a", "("));
}

TEST(Receipts, OkOnlyWhenEveryHolderSettled) {
  int settled = -1;
  {
    Receipt r([&](bool ok) { settled = ok ? 1 : 0; });
    Receipt::Hold a(r);
    Receipt::Hold b(r);
    r = Receipt();
    a.Settle();
    EXPECT_EQ(settled, -1);
    b.Settle();
    EXPECT_EQ(settled, 1);
  }
  {
    Receipt r([&](bool ok) { settled = ok ? 1 : 0; });
    Receipt::Hold a(r);
    Receipt::Hold b(r);
    r = Receipt();
    a.Settle();
  }
  EXPECT_EQ(settled, 0);
}

TEST(Balances, HoldTheEquation) {
  BalanceBook book;
  auto b = book.Open("exporter", "x", "samples");
  b->In(10);
  b->Out(6);
  b->Drop(DropReason::kRejected, 3, "400");
  const auto s = book.Read().at(0);
  EXPECT_EQ(s.queued(), 1);
  EXPECT_EQ(s.dropped_by_reason.at(0).first, "rejected");
  EXPECT_EQ(book.Open("exporter", "x", "samples"), b);
}

TEST(Stale, IsNotJustAnyNan) {
  EXPECT_TRUE(IsStaleNan(StaleNan()));
  EXPECT_FALSE(IsStaleNan(std::numeric_limits<double>::quiet_NaN()));
}

}  // namespace
}  // namespace picket
