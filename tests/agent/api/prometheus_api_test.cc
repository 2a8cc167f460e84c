// SPDX-License-Identifier: Apache-2.0
#include "agent/api/prometheus_api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "store/tsdb/tsdb.h"

namespace picket::agent {
namespace {

using testing::HasSubstr;
using testing::Not;

class PrometheusApiTest : public testing::Test {
 protected:
  PrometheusApiTest() {
    store::tsdb::TsdbOptions options;
    options.clock = &clock_;
    store_ = *store::tsdb::Tsdb::Open(std::move(options));
    source_ = store_->OpenSource("s");
    const auto counter = std::make_shared<MetricMetadata>(
        MetricMetadata{MetricType::kCounter, "hits", "How \"often\".", ""});
    const auto gauge =
        std::make_shared<MetricMetadata>(MetricMetadata{MetricType::kGauge, "up", "", ""});
    ids_.push_back(Intern({{"__name__", "hits_total"}, {"job", "web"}, {"code", "200"}}, counter));
    ids_.push_back(Intern({{"__name__", "hits_total"}, {"job", "web"}, {"code", "500"}}, counter));
    ids_.push_back(Intern({{"__name__", "up"}, {"job", "db"}}, gauge));
    for (int i = 0; i <= 4; ++i) {
      const double values[] = {10.0 * i, 1.0 * i, 1};
      store_->Append({source_, 1, kStart + i * 15'000, ids_, values});
    }
    clock_.Advance(std::chrono::seconds(60));
    ApiSources sources;
    sources.querier = store_.get();
    sources.engine = &engine_;
    sources.clock = &clock_;
    sources.target_labels = [] {
      return std::vector<Labels>{Labels{{"job", "web"}}, Labels{{"job", "db"}}};
    };
    sources.rules = [](const Params& p) -> Result<std::string> {
      if (p.Has("bad")) return Fail(ErrorKind::kInvalidArgument, "no");
      return std::string(R"({"groups":[]})");
    };
    sources.config_yaml = [] { return std::string("a: \"b\"\n"); };
    api_ = std::make_unique<PrometheusApi>(std::move(sources));
  }
  SeriesId Intern(Labels labels, std::shared_ptr<const MetricMetadata> metadata) {
    return store_->InternSeries(source_, labels, std::move(metadata))->id;
  }
  ApiAnswer Ask(std::string_view path, std::string_view query = "") {
    return api_->Answer(path, Params(query, ""));
  }
  void ExpectBad(std::string_view path, std::string_view query, int status, std::string_view type,
                 std::string_view says) {
    const ApiAnswer a = Ask(path, query);
    EXPECT_EQ(a.status, status) << path << "?" << query << " " << a.json;
    EXPECT_THAT(a.json, HasSubstr(fmt::format(R"("status":"error","errorType":"{}")", type)));
    EXPECT_THAT(a.json, HasSubstr(std::string(says))) << query;
  }
  static constexpr UnixMs kStart = 1'000'000'000;
  ManualClock clock_{kStart * 1'000'000};
  std::unique_ptr<store::tsdb::Tsdb> store_;
  SourceId source_{};
  std::vector<SeriesId> ids_;
  rules::promql::Engine engine_;
  std::unique_ptr<PrometheusApi> api_;
};

TEST_F(PrometheusApiTest, AnInstantQueryIsNowUnlessATimeIsGiven) {
  EXPECT_EQ(Ask("query", "query=sum(hits_total)").json,
            R"({"status":"success","data":{"resultType":"vector","result":[{"metric":{},)"
            R"("value":[1000060,"44"]}]}})");
  EXPECT_THAT(Ask("query", "query=sum(hits_total)&time=1000015").json,
              HasSubstr("[1000015,\"11\"]"));
  EXPECT_THAT(Ask("query", "query=1%2B1").json, HasSubstr(R"("resultType":"scalar")"));
}

TEST_F(PrometheusApiTest, ARangeQueryHasAStepAndAMostNumberOfPoints) {
  const ApiAnswer a =
      Ask("query_range", "query=hits_total{code=\"200\"}&start=1000000&end=1000030&step=15s");
  EXPECT_EQ(a.status, 200);
  EXPECT_THAT(a.json, HasSubstr(R"("values":[[1000000,"0"],[1000015,"10"],[1000030,"20"]])"));
  ExpectBad("query_range", "query=up&start=0&end=1000000&step=1", 400, "bad_data",
            "exceeded maximum resolution of 11,000 points");
  ExpectBad("query_range", "query=up&start=2&end=1&step=1", 400, "bad_data",
            "end timestamp must not be before start time");
  ExpectBad("query_range", "query=up&start=x&end=1&step=1", 400, "bad_data",
            R"(parameter \"start\")");
  ExpectBad("query_range", "query=up&start=0&end=1&step=0", 400, "bad_data",
            R"(parameter \"step\")");
}

TEST_F(PrometheusApiTest, MistakesAreToldInPrometheusWords) {
  ExpectBad("query", "query=sum(", 400, "bad_data", R"(invalid parameter \"query\")");
  ExpectBad("query", "query=up&time=soon", 400, "bad_data", "soon");
  ExpectBad("query", "query=up&timeout=x", 400, "bad_data", "x");
  ExpectBad("query", "query=hits_total%2Bon(job)hits_total", 422, "execution",
            "many-to-many matching not allowed");
  ExpectBad("series", "", 400, "bad_data", "no match[] parameter provided");
  ExpectBad("series", "match[]=%7B", 400, "bad_data", "match[]");
  ExpectBad("labels", "limit=many", 400, "bad_data", "many");
  ExpectBad("nothing", "", 404, "not_found", "/api/v1/nothing");
  ExpectBad("rules", "bad=1", 400, "bad_data", "no");
}

TEST_F(PrometheusApiTest, SeriesLabelsAndValues) {
  EXPECT_EQ(Ask("series", "match[]=up").json,
            R"({"status":"success","data":[{"__name__":"up","job":"db"}]})");
  EXPECT_EQ(Ask("labels").json, R"({"status":"success","data":["__name__","code","job"]})");
  EXPECT_EQ(Ask("label/code/values").json, R"({"status":"success","data":["200","500"]})");
  EXPECT_EQ(Ask("label/job/values", "match[]=up").json, R"({"status":"success","data":["db"]})");
  const std::string cut = Ask("label/code/values", "limit=1").json;
  EXPECT_THAT(cut, HasSubstr(R"("data":["200"])"));
  EXPECT_THAT(cut, HasSubstr("results truncated due to limit"));
}

TEST_F(PrometheusApiTest, MetadataByFamilyAndByTarget) {
  EXPECT_EQ(
      Ask("metadata", "metric=hits").json,
      R"({"status":"success","data":{"hits":[{"type":"counter","help":"How \"often\".","unit":""}]}})");
  EXPECT_EQ(Ask("targets/metadata", "match_target={job=\"web\"}").json,
            R"({"status":"success","data":[{"target":{"job":"web"},"metric":"hits",)"
            R"("type":"counter","help":"How \"often\".","unit":""}]})");
  EXPECT_EQ(
      Ask("targets/metadata", "metric=up").json,
      R"({"status":"success","data":[{"target":{"job":"db"},"type":"gauge","help":"","unit":""}]})");
  EXPECT_THAT(Ask("targets/metadata", "limit=1").json, Not(HasSubstr("\"db\"")));
  EXPECT_EQ(Ask("targets/metadata", "metric=none").json, R"({"status":"success","data":[]})");
  ExpectBad("targets/metadata", "limit=x", 400, "bad_data", "limit must be a number");
  ExpectBad("targets/metadata", "match_target=%7B", 400, "bad_data", "match_target");
}

TEST_F(PrometheusApiTest, StatusAndFormat) {
  EXPECT_THAT(Ask("status/buildinfo").json, HasSubstr(R"("application":"picket")"));
  EXPECT_EQ(Ask("status/config").json, R"({"status":"success","data":{"yaml":"a: \"b\"\n"}})");
  EXPECT_EQ(Ask("format_query", "query=sum(up)by(job)").json,
            R"x({"status":"success","data":"sum by (job) (up)"})x");
  EXPECT_EQ(Ask("alerts").status, 404) << "no rules, no alerts";
}

}  // namespace
}  // namespace picket::agent
