// SPDX-License-Identifier: Apache-2.0
#include "collectors/otlp/span_metrics.h"

#include "tests/collectors/otlp/fixture.h"

namespace picket::collectors::otlp {
namespace {

/// A node whose spans are counted, on a clock that is moved by hand.
class SpanMetricsTest : public testing::Test {
 protected:
  void Open(SpanMetricsConfig config = {}) {
    metrics = std::make_unique<SpanMetrics>(config, intake, clock, telemetry);
  }
  test::Span& Add(const std::string& service, const std::string& name, int kind, int status,
                  Milliseconds duration) {
    auto& resource = *request.add_resource_spans();
    test::RandomTraces::Pair(*resource.mutable_resource()->add_attributes(), "service.name",
                             service);
    auto& span = *resource.add_scope_spans()->add_spans();
    span.set_trace_id(std::string(16, 'a'));
    span.set_span_id(std::string(8, 'b'));
    span.set_name(name);
    span.set_kind(kind);
    if (status) span.mutable_status()->set_code(status);
    span.set_start_time_unix_nano(1'000'000'000);
    span.set_end_time_unix_nano(1'000'000'000 +
                                static_cast<uint64_t>(duration.count()) * 1'000'000);
    return span;
  }
  void Push() {
    auto body = std::make_shared<const std::string>(request.SerializeAsString());
    metrics->OnSpans({body, proto::CountSpans(*body)});
    request.Clear();
  }
  void Tick(Duration time = 15s) {
    clock.Advance(time);
    metrics->Flush();
  }
  static std::string Series(const std::string& name, const std::string& more = "") {
    const bool le = name.ends_with("bucket");
    return "traces_spanmetrics_" + name + "{" + (le ? more + ", " : "") +
           R"(service="shop", span_kind="SPAN_KIND_SERVER", span_name="GET /", status_code="STATUS_CODE_UNSET")" +
           "}";
  }

  ManualClock clock;
  Telemetry telemetry;
  RecordingIntake intake;
  test::ExportTraceServiceRequest request;
  std::unique_ptr<SpanMetrics> metrics;
};

TEST_F(SpanMetricsTest, CountsCallsSizesAndDurationsUnderTemposNames) {
  Open();
  size_t size = 0;
  for (auto d : {1ms, 2ms, 3ms, 20'000ms}) size += Add("shop", "GET /", 2, 0, d).ByteSizeLong();
  Push();
  Tick();
  EXPECT_EQ(intake.Last(Series("calls_total")), 4) << testing::PrintToString(intake.names);
  EXPECT_EQ(intake.Last(Series("size_total")), static_cast<double>(size));
  EXPECT_EQ(intake.Last(Series("latency_count")), 4);
  EXPECT_DOUBLE_EQ(intake.Last(Series("latency_sum")), 20.006);
  EXPECT_EQ(intake.Last(Series("latency_bucket", R"(le="0.002")")), 2) << "bounds are inclusive";
  EXPECT_EQ(intake.Last(Series("latency_bucket", R"(le="0.004")")), 3);
  EXPECT_EQ(intake.Last(Series("latency_bucket", R"(le="16.384")")), 3);
  EXPECT_EQ(intake.Last(Series("latency_bucket", R"(le="+Inf")")), 4);
  EXPECT_EQ(intake.names.size(), 19u);
}

TEST_F(SpanMetricsTest, ANewSeriesBeginsWithAZeroJustBehindThePreviousRow) {
  Open();
  const UnixMs start = clock.NowMs();
  Add("shop", "GET /", 2, 0, 1ms);
  Push();
  Tick();
  const auto& calls = intake.samples[Series("calls_total")];
  ASSERT_EQ(calls.size(), 2u);
  EXPECT_EQ(calls[0].at, start + 1);
  EXPECT_EQ(calls[0].value, 0);
  EXPECT_EQ(calls[1].at, start + 15'000);
  EXPECT_EQ(calls[1].value, 1);
  Tick();
  EXPECT_EQ(intake.samples[Series("calls_total")].size(), 3u) << "no more zeros";
  Add("shop", "other", 2, 2, 1ms);
  Push();
  Tick();
  const auto& other =
      intake.samples
          [R"(traces_spanmetrics_calls_total{service="shop", span_kind="SPAN_KIND_SERVER", span_name="other", status_code="STATUS_CODE_ERROR"})"];
  ASSERT_EQ(other.size(), 2u);
  EXPECT_EQ(other[0].at, start + 30'001);
}

TEST_F(SpanMetricsTest, TheLayoutStaysWhileNoSeriesComesOrGoes) {
  Open();
  Add("shop", "GET /", 2, 0, 1ms);
  Push();
  Tick();
  const size_t layouts = intake.layouts.size();
  for (int i = 0; i < 5; ++i) {
    Add("shop", "GET /", 2, 0, 1ms);
    Push();
    Tick();
  }
  EXPECT_EQ(intake.layouts.size(), layouts);
  EXPECT_EQ(intake.Last(Series("calls_total")), 6);
}

TEST_F(SpanMetricsTest, DimensionsComeFromTheSpanOrItsResourceAndDoNotCollide) {
  SpanMetricsConfig config;
  config.dimensions = {"http.method", "service", "http.status_code", "http_method"};
  Open(config);
  auto& span = Add("shop", "GET /", 3, 1, 1ms);
  test::RandomTraces::Pair(*span.add_attributes(), "http.method", "GET");
  auto& code = *span.add_attributes();
  code.set_key("http.status_code");
  code.mutable_value()->set_int_value(200);
  test::RandomTraces::Pair(*request.mutable_resource_spans(0)->mutable_resource()->add_attributes(),
                           "service", "own");
  Push();
  Tick();
  EXPECT_EQ(
      intake.Last(
          R"(traces_spanmetrics_calls_total{__service="own", http_method="GET", http_status_code="200", service="shop", span_kind="SPAN_KIND_CLIENT", span_name="GET /", status_code="STATUS_CODE_OK"})"),
      1)
      << testing::PrintToString(intake.names);
}

TEST_F(SpanMetricsTest, BeyondTheLimitSpansAreCountedTogether) {
  SpanMetricsConfig config;
  config.max_active_series = 19 * 3;
  Open(config);
  for (int i = 0; i < 10; ++i) Add("shop", "op" + std::to_string(i), 2, 0, 1ms);
  Push();
  Tick();
  EXPECT_EQ(metrics->active_series(), 19u * 3);
  EXPECT_EQ(intake.Last(R"(traces_spanmetrics_calls_total{metric_overflow="true"})"), 8);
}

TEST_F(SpanMetricsTest, ASilentSeriesEndsWithAMarkerAndMayComeBack) {
  Open();
  Add("shop", "GET /", 2, 0, 1ms);
  Push();
  Tick();
  for (int i = 0; i < 61; ++i) Tick();
  const auto& calls = intake.samples[Series("calls_total")];
  EXPECT_TRUE(IsStaleNan(calls.back().value));
  EXPECT_TRUE(intake.held.empty());
  EXPECT_EQ(metrics->active_series(), 0u);
  Add("shop", "GET /", 2, 0, 1ms);
  Push();
  Tick();
  EXPECT_EQ(intake.Last(Series("calls_total")), 1) << "counts begin anew";
  EXPECT_EQ(calls[calls.size() - 2].value, 0);
}

TEST_F(SpanMetricsTest, SeriesThatTheStoreRefusesAreOfferedAgainWithTheirCounts) {
  Open();
  intake.refuse = true;
  Add("shop", "GET /", 2, 0, 1ms);
  Push();
  Tick();
  EXPECT_EQ(intake.rows, 0u);
  EXPECT_TRUE(intake.held.empty());
  intake.refuse = false;
  Tick();
  EXPECT_EQ(intake.Last(Series("calls_total")), 1);
}

TEST_F(SpanMetricsTest, TextThatIsNoUtf8IsMadeLabelFit) {
  Open();
  Add("shop",
      "a\xff"
      "b",
      9, 7, 1ms);
  Add("shop",
      "a\xfe"
      "b",
      9, 7, 1ms);
  Add("shop", std::string(5000, 'n'), 2, 0, 1ms);
  Push();
  Tick();
  EXPECT_EQ(
      intake.Last(
          R"(traces_spanmetrics_calls_total{service="shop", span_kind="SPAN_KIND_UNSPECIFIED", span_name="a?b", status_code="STATUS_CODE_UNSET"})"),
      2);
}

TEST_F(SpanMetricsTest, AgreesWithTheGeneratedDecoderOnRandomRequests) {
  Open();
  std::map<std::string, double> expect;
  test::RandomTraces random(5);
  for (int i = 0; i < 50; ++i) {
    request = random.Request();
    for (const auto& r : request.resource_spans())
      for (const auto& s : r.scope_spans())
        for (const auto& span : s.spans()) expect[span.name()] += 1;
    Push();
  }
  Tick();
  std::map<std::string, double> counted;
  for (const auto& [name, samples] : intake.samples) {
    if (!name.starts_with("traces_spanmetrics_calls_total")) continue;
    const size_t at = name.find("span_name=\"") + 11;
    counted[name.substr(at, name.find('"', at) - at)] += samples.back().value;
  }
  EXPECT_EQ(counted, expect);
}

TEST_F(OtlpTest, SpansAreCountedOnceEvenWhenAPusherRetries) {
  StartCollector();
  sink->answer = {Admission::Verdict::kRetry, 1s, 0, ""};
  EXPECT_EQ(Http(Body(5)).status, 503);
  sink->answer = {};
  EXPECT_EQ(Http(Body(5)).status, 200);
  clock.Advance(15s);
  collector->Stop(1s);
  double calls = 0;
  for (const auto& [name, samples] : intake.samples)
    if (name.starts_with("traces_spanmetrics_calls_total")) calls += samples.back().value;
  EXPECT_EQ(calls, 5);
}

}  // namespace
}  // namespace picket::collectors::otlp
