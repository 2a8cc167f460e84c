// SPDX-License-Identifier: Apache-2.0
#include "collectors/otlp/json.h"

#include <cmath>

#include "tests/collectors/otlp/fixture.h"

namespace picket::collectors::otlp {
namespace {

test::ExportTraceServiceRequest Decode(const Result<JsonTraces>& traces) {
  test::ExportTraceServiceRequest request;
  EXPECT_TRUE(traces) << (traces ? "" : traces.error().ToString());
  EXPECT_TRUE(traces && request.ParseFromString(traces->body));
  return request;
}

std::string WithSpan(std::string_view span) {
  return R"({"resourceSpans":[{"scopeSpans":[{"spans":[)" + std::string(span) + "]}]}]}";
}
std::string WithValue(std::string_view value) {
  return WithSpan(
      R"({"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","attributes":[{"key":"k","value":)" +
      std::string(value) + "}]}");
}

TEST(OtlpJsonTest, AWholeRequest) {
  const auto request = Decode(TracesFromJson(R"({
    "resourceSpans":[{
      "resource":{"attributes":[{"key":"service.name","value":{"stringValue":"my.service"}}],"droppedAttributesCount":1},
      "scopeSpans":[{
        "scope":{"name":"lib","version":"1","attributes":[{"key":"a","value":{"boolValue":true}}]},
        "spans":[{
          "traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174","parentSpanId":"eee19b7ec3c1b173",
          "traceState":"a=b","name":"I'm a server span","kind":2,"flags":257,
          "startTimeUnixNano":"1544712660000000000","endTimeUnixNano":1544712661000000000,
          "events":[{"timeUnixNano":"5","name":"e","attributes":[{"key":"x","value":{"intValue":"-7"}}]}],
          "links":[{"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174"}],
          "status":{"code":2,"message":"bad"},"unknown":{"ignored":[1,2]}}],
        "schemaUrl":"s2"}],
      "schemaUrl":"s1"}]})"));
  ASSERT_EQ(request.resource_spans_size(), 1);
  const auto& resource = request.resource_spans(0);
  EXPECT_EQ(resource.resource().attributes(0).value().string_value(), "my.service");
  EXPECT_EQ(resource.schema_url(), "s1");
  const auto& scope = resource.scope_spans(0);
  EXPECT_EQ(scope.scope().name(), "lib");
  EXPECT_TRUE(scope.scope().attributes(0).value().bool_value());
  EXPECT_EQ(scope.schema_url(), "s2");
  const auto& span = scope.spans(0);
  EXPECT_EQ(span.trace_id(), "\x5b\x8e\xff\xf7\x98\x03\x81\x03\xd2\x69\xb6\x33\x81\x3f\xc6\x0c");
  EXPECT_EQ(span.parent_span_id(), "\xee\xe1\x9b\x7e\xc3\xc1\xb1\x73");
  EXPECT_EQ(span.start_time_unix_nano(), 1544712660000000000u);
  EXPECT_EQ(span.end_time_unix_nano(), 1544712661000000000u);
  EXPECT_EQ(span.kind(), 2);
  EXPECT_EQ(span.flags(), 257u);
  EXPECT_EQ(span.events(0).attributes(0).value().int_value(), -7);
  EXPECT_EQ(span.links_size(), 1);
  EXPECT_EQ(span.status().code(), 2);
  EXPECT_EQ(span.status().message(), "bad");
}

TEST(OtlpJsonTest, EveryKindOfValue) {
  const auto value = [](std::string_view json) {
    return Decode(TracesFromJson(WithValue(json)))
        .resource_spans(0)
        .scope_spans(0)
        .spans(0)
        .attributes(0)
        .value();
  };
  EXPECT_EQ(value(R"({"intValue":"9223372036854775807"})").int_value(), INT64_MAX);
  EXPECT_EQ(value(R"({"intValue":-5})").int_value(), -5);
  EXPECT_EQ(value(R"({"doubleValue":2.5})").double_value(), 2.5);
  EXPECT_EQ(value(R"({"doubleValue":3})").double_value(), 3.0);
  EXPECT_TRUE(std::isnan(value(R"({"doubleValue":"NaN"})").double_value()));
  EXPECT_EQ(value(R"({"doubleValue":"-Infinity"})").double_value(), -INFINITY);
  EXPECT_EQ(value(R"({"bytesValue":"AQID/w=="})").bytes_value(), "\x01\x02\x03\xff");
  EXPECT_EQ(value(R"({"bytesValue":"AQID_w"})").bytes_value(), "\x01\x02\x03\xff");
  EXPECT_EQ(value(R"({"arrayValue":{"values":[{"stringValue":"a"},{"intValue":1}]}})")
                .array_value()
                .values_size(),
            2);
  EXPECT_EQ(value(R"({"kvlistValue":{"values":[{"key":"x","value":{"stringValue":"y"}}]}})")
                .kvlist_value()
                .values(0)
                .value()
                .string_value(),
            "y");
  EXPECT_EQ(value("{}").value_case(), test::AnyValue::VALUE_NOT_SET);
  EXPECT_EQ(value("null").value_case(), test::AnyValue::VALUE_NOT_SET);
}

TEST(OtlpJsonTest, ErrorsNameThePlace) {
  const auto fault = [](const std::string& json) {
    const auto traces = TracesFromJson(json);
    return traces ? "no error" : traces.error().message();
  };
  EXPECT_THAT(fault("{"), testing::HasSubstr("not JSON"));
  EXPECT_EQ(fault("[]"), "request: expected an object");
  EXPECT_EQ(fault("{}"), "resourceSpans: expected an array");
  EXPECT_EQ(fault(R"({"resourceSpans":[{"scopeSpans":[1]}]})"),
            "resourceSpans[0].scopeSpans[0]: expected an object");
  EXPECT_EQ(fault(WithSpan(R"({"traceId":"W47/95gDgQPSabYzgT/GDA=="})")),
            "resourceSpans[0].scopeSpans[0].spans[0].traceId: expected 32 hexadecimal digits");
  EXPECT_EQ(
      fault(WithValue(R"({"intValue":"x"})")),
      "resourceSpans[0].scopeSpans[0].spans[0].attributes[0].value: expected intValue to be a "
      "64-bit integer, as a string or a number");
  EXPECT_THAT(fault(WithSpan(R"({"traceId":"","spanId":"","status":{"code":"NOT_A_STATUS"}})")),
              testing::HasSubstr("status.code"));
  std::string deep = R"({"stringValue":"x"})";
  for (int i = 0; i < 200; ++i) deep = R"({"arrayValue":{"values":[)" + deep + "]}}";
  EXPECT_THAT(fault(WithValue(deep)), testing::HasSubstr("nested less deeply"));
}

TEST(OtlpJsonTest, ASpanThatCannotBeIsLeftOutAlone) {
  const auto traces = TracesFromJson(WithSpan(
      R"({"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","name":"good"},
         {"traceId":"1234","spanId":"eee19b7ec3c1b174"})"));
  const auto request = Decode(traces);
  EXPECT_EQ(traces->spans, 1u);
  EXPECT_EQ(traces->rejected.rejected, 1);
  EXPECT_THAT(traces->rejected.message, testing::HasSubstr("spans[1].traceId"));
  ASSERT_EQ(request.resource_spans(0).scope_spans(0).spans_size(), 1);
}

TEST_F(OtlpTest, JsonIsAnsweredInJson) {
  StartCollector();
  const net::HttpHeaders json{{"Content-Type", "application/json; charset=utf-8"}};
  const Answer ok = Http(WithValue(R"({"stringValue":"v"})"), json);
  EXPECT_EQ(ok.status, 200) << ok.body;
  EXPECT_EQ(ok.body, "{}");
  EXPECT_EQ(ok.headers.Get("Content-Type"), "application/json");
  EXPECT_EQ(sink->spans, 1u);
  const Answer bad = Http("[]", json);
  EXPECT_EQ(bad.status, 400);
  EXPECT_EQ(bad.body, R"({"code":3,"message":"request: expected an object"})");
  const Answer partial = Http(
      WithSpan(
          R"({"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174"},{"traceId":"12","spanId":"12"})"),
      json);
  EXPECT_EQ(partial.status, 200);
  EXPECT_THAT(partial.body, testing::HasSubstr(R"("rejectedSpans":"1")"));
  EXPECT_EQ(Books().dropped, 1u);
  EXPECT_EQ(Http(R"({"resourceSpans":[]})", json).body, "{}");
}

}  // namespace
}  // namespace picket::collectors::otlp
