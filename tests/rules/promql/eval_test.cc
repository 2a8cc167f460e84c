// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "tests/rules/promql/fixture.h"

namespace picket::rules::promql {
namespace {

constexpr int64_t kMinute = 60'000;

TEST_F(PromqlTest, InstantLookupEndsAfterTheLookbackAndAtStaleness) {
  Load("up 1 stale 0");
  EXPECT_EQ(Answer("up", 0),
            R"("resultType":"vector","result":[{"metric":{"__name__":"up"},"value":[0,"1"]}])");
  EXPECT_EQ(Answer("up", kMinute), R"("resultType":"vector","result":[])");
  EXPECT_EQ(
      Answer("up", 2 * kMinute + 299'999),
      R"("resultType":"vector","result":[{"metric":{"__name__":"up"},"value":[419.999,"0"]}])");
  EXPECT_EQ(Answer("up", 2 * kMinute + 300'000), R"("resultType":"vector","result":[])");
}

TEST_F(PromqlTest, WindowsAreLeftOpen) {
  Load("x 1 1 1 1");
  EXPECT_EQ(Query("count_over_time(x[2m])", 3 * kMinute)->vector.at(0).value, 2);
  EXPECT_EQ(Query("count_over_time(x[121s])", 3 * kMinute)->vector.at(0).value, 3);
}

TEST_F(PromqlTest, RateExtrapolatesAndSurvivesResets) {
  Load("c_total 0 60 120 30 90");
  // 240 seen over four gaps, the window begins a whole gap earlier but the counter was zero then.
  EXPECT_DOUBLE_EQ(Query("increase(c_total[5m])", 4 * kMinute)->vector.at(0).value, 210);
  EXPECT_EQ(Query("resets(c_total[5m])", 4 * kMinute)->vector.at(0).value, 1);
}

TEST_F(PromqlTest, SlidingRateEqualsTheRateOfEachWindow) {
  Load("c_total 0+7x20 3+11x20 5 2 9+1x10");
  auto range = QueryRange("rate(c_total[7m30s])", 0, 52 * kMinute, 30'000);
  ASSERT_TRUE(range);
  for (size_t i = 0; i < range->matrix.at(0).times_ms.size(); ++i) {
    auto alone = Query("rate(c_total[7m30s])", range->matrix[0].times_ms[i]);
    EXPECT_DOUBLE_EQ(range->matrix[0].values[i], alone->vector.at(0).value) << i;
  }
}

TEST_F(PromqlTest, SlidingExtremesEqualThoseOfEachWindow) {
  Load("g 5 1 4 NaN 4 9 2 6 5 3 5 NaN NaN 8 9 7 9 3 2 3 8 4 6");
  for (const char* f :
       {"min_over_time(g[4m])", "max_over_time(g[4m])", "ts_of_min_over_time(g[4m])",
        "ts_of_max_over_time(g[4m])", "sum_over_time(g[4m])", "changes(g[4m])"}) {
    auto range = QueryRange(f, 0, 22 * kMinute, kMinute);
    for (size_t i = 0; i < range->matrix.at(0).times_ms.size(); ++i) {
      const double alone = Query(f, range->matrix[0].times_ms[i])->vector.at(0).value;
      const double slid = range->matrix[0].values[i];
      EXPECT_TRUE(slid == alone || (std::isnan(slid) && std::isnan(alone))) << f << " at " << i;
    }
  }
}

TEST_F(PromqlTest, SumsKeepWhatRoundingWouldLose) {
  Load("v{i=\"1\"} 1");
  Load("v{i=\"2\"} 1e100");
  Load("v{i=\"3\"} 1");
  Load("v{i=\"4\"} -1e100");
  EXPECT_EQ(Query("sum(v)", 0)->vector.at(0).value, 2);
  EXPECT_EQ(Query("avg(v)", 0)->vector.at(0).value, 0.5);
}

TEST_F(PromqlTest, EqualSelectorsAreLoadedOnce) {
  Load("c_total{a=\"1\"} 0+1x60");
  ASSERT_TRUE(QueryRange("rate(c_total[5m]) / on (a) c_total + c_total offset 2m", 0, 20 * kMinute,
                         kMinute));
  EXPECT_EQ(store_.selects(), 1);
  ASSERT_TRUE(Query("c_total - c_total offset 30m", 60 * kMinute));
  EXPECT_EQ(store_.selects(), 3) << "what lies far apart is not loaded with all between";
}

TEST_F(PromqlTest, ManyToManyIsAnErrorThatNamesTheSeries) {
  Load("a{x=\"1\"} 1");
  Load("b{x=\"1\",y=\"1\"} 1");
  Load("b{x=\"1\",y=\"2\"} 1");
  EXPECT_EQ(Answer("a * on (x) b", 0),
            "found duplicate series for the match group {x=\"1\"} on the right hand-side of the "
            "operation: "
            "[{__name__=\"b\", x=\"1\", y=\"1\"}, {__name__=\"b\", x=\"1\", y=\"2\"}];many-to-many "
            "matching not allowed: "
            "matching labels must be unique on one side");
  EXPECT_EQ(Answer("b * on (x) a", 0),
            "multiple matches for labels: many-to-one matching must be explicit "
            "(group_left/group_right)");
  EXPECT_EQ(Query("b * on (x) group_left a", 0)->vector.size(), 2u);
}

TEST_F(PromqlTest, PartnersMayChangeFromStepToStep) {
  Load("a{x=\"1\",pod=\"old\"} 1 1 stale");
  Load("a{x=\"1\",pod=\"new\"} _ _ 2 2");
  Load("b{x=\"1\"} 10 10 10 10");
  EXPECT_EQ(
      AnswerRange("a + on (x) b", 0, 3 * kMinute, kMinute),
      R"("resultType":"matrix","result":[{"metric":{"x":"1"},"values":[[0,"11"],[60,"11"],[120,"12"],[180,"12"]]}])");
}

TEST_F(PromqlTest, NamesAreDroppedWithOrWithoutDelay) {
  Load("a_total{x=\"1\"} 0 60");
  Load("b_total{x=\"1\"} 0 60");
  const std::string collision = "vector cannot contain metrics with the same labelset";
  EXPECT_EQ(Answer("rate({x=\"1\"}[5m])", kMinute), collision);
  EXPECT_EQ(Answer("sum by (__name__) (rate({x=\"1\"}[5m]))", kMinute), collision);
  engine_ = Engine(EngineOptions{.delayed_name_removal = true});
  EXPECT_EQ(Answer("rate({x=\"1\"}[5m])", kMinute), collision);
  EXPECT_EQ(
      Query("label_replace(rate({x=\"1\"}[5m]), \"m\", \"$1\", \"__name__\", \"(.*)\")", kMinute)
          ->vector.size(),
      2u);
}

TEST_F(PromqlTest, NamesThatWereDroppedAreNotSeenAgain) {
  Load("a_total{x=\"1\"} 0 60");
  EXPECT_EQ(Answer("sum by (__name__) (rate(a_total[5m]))", kMinute).find("a_total"),
            std::string::npos);
  EXPECT_EQ(Answer("label_replace(-a_total, \"m\", \"$1\", \"__name__\", \"(.*)\")", kMinute),
            R"("resultType":"vector","result":[{"metric":{"x":"1"},"value":[60,"-60"]}])");
}

TEST_F(PromqlTest, TopkRanksInstantResults) {
  for (int i = 0; i < 6; ++i)
    Load("g{i=\"" + std::to_string(i) + "\"} " + std::to_string((i * 7) % 6));
  auto top = Query("topk(3, g)", 0);
  ASSERT_EQ(top->vector.size(), 3u);
  EXPECT_EQ(top->vector[0].value, 5);
  EXPECT_EQ(top->vector[1].value, 4);
  EXPECT_EQ(top->vector[2].value, 3);
  EXPECT_TRUE(Query("topk(0, g)", 0)->vector.empty());
  EXPECT_EQ(Answer("topk(NaN, g)", 0), "Parameter value is NaN");
}

TEST_F(PromqlTest, QuantilesOfBucketsThatDoNotRiseAreRepairedAndSaidSo) {
  Load("h_bucket{le=\"1\"} 10");
  Load("h_bucket{le=\"2\"} 8");
  Load("h_bucket{le=\"+Inf\"} 20");
  auto result = Query("histogram_quantile(0.5, h_bucket)", 0);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->vector.at(0).value, 1);
  ASSERT_EQ(result->infos.size(), 1u);
  EXPECT_TRUE(result->infos[0].ends_with(
      "for metric name \"h_bucket\", from buckets 2 to 2, with a max diff of 2, over 1 "
      "samples from 1970-01-01T00:00:00Z to 1970-01-01T00:00:00Z (1:25)"))
      << result->infos[0];
}

TEST_F(PromqlTest, SortInARangeQueryIsSaidToBeInVain) {
  Load("g 1 2 3");
  EXPECT_EQ(QueryRange("sort(g)", 0, kMinute, kMinute)->warnings.at(0),
            "PromQL warning: sort is ineffective for range queries since results are always "
            "ordered by labels (1:6)");
}

TEST_F(PromqlTest, LimitsEndAQuery) {
  Load("x 1x1000");
  engine_ = Engine(EngineOptions{.max_samples = 100});
  auto many = QueryRange("x", 0, 1000 * kMinute, kMinute);
  ASSERT_FALSE(many);
  EXPECT_EQ(many.error().kind(), ErrorKind::kOverloaded);
  EXPECT_EQ(Query("max_over_time(vector(1)[1y:1ms])", 0).error().kind(), ErrorKind::kOverloaded);
}

TEST_F(PromqlTest, QueriesCanBeCancelledAndTimeOut) {
  Load("x 1x100");
  auto expression = Parse("sum(x)");
  auto token = std::make_shared<CancelToken>();
  token->Cancel();
  EXPECT_EQ(engine_.Instant(**expression, store_, 0, {.cancel = token}).error().kind(),
            ErrorKind::kCancelled);
  ManualClock clock;
  const Engine engine(EngineOptions{.clock = &clock});
  EXPECT_EQ(engine.Instant(**expression, store_, 0, {.timeout = Milliseconds(0)}).error().kind(),
            ErrorKind::kTimeout);
  EXPECT_TRUE(engine.Instant(**expression, store_, 0, {.timeout = Milliseconds(1)}));
}

TEST_F(PromqlTest, LookbackCanBeSetPerQuery) {
  Load("x 1");
  auto expression = Parse("x");
  EXPECT_TRUE(engine_.Instant(**expression, store_, kMinute, {.lookback = Milliseconds(kMinute)})
                  ->vector.empty());
  EXPECT_EQ(engine_.Instant(**expression, store_, kMinute, {.lookback = Milliseconds(kMinute + 1)})
                ->vector.size(),
            1u);
}

TEST_F(PromqlTest, RangeQueriesRefuseWhatHasNoSteps) {
  EXPECT_EQ(QueryRange("x[5m]", 0, 1, 1).error().kind(), ErrorKind::kInvalidArgument);
  EXPECT_EQ(QueryRange("\"a\"", 0, 1, 1).error().kind(), ErrorKind::kInvalidArgument);
  EXPECT_EQ(QueryRange("1", 0, 1, 0).error().kind(), ErrorKind::kInvalidArgument);
  EXPECT_EQ(QueryRange("1", 1, 0, 1).error().kind(), ErrorKind::kInvalidArgument);
}

TEST_F(PromqlTest, AnswersAreTheApisJson) {
  Load("x{a=\"q\\\"\"} 1 NaN Inf 1e-7 1e21");
  EXPECT_EQ(Answer("1.5", 1234), R"("resultType":"scalar","result":[1.234,"1.5"])");
  EXPECT_EQ(Answer("\"s\\n\"", 0), R"("resultType":"string","result":[0,"s\n"])");
  EXPECT_EQ(
      Answer("x[5m]", 4 * kMinute),
      R"("resultType":"matrix","result":[{"metric":{"__name__":"x","a":"q\""},"values":[[0,"1"],[60,"NaN"],)"
      R"([120,"+Inf"],[180,"1e-07"],[240,"1e+21"]]}])");
  EXPECT_EQ(Answer("vector(1)", -1500),
            R"("resultType":"vector","result":[{"metric":{},"value":[-1.5,"1"]}])");
}

}  // namespace
}  // namespace picket::rules::promql
