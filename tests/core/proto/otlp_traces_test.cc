// SPDX-License-Identifier: Apache-2.0
#include "core/proto/otlp_traces.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/core/proto/otlp_random.h"

namespace picket::proto {
namespace {

using test::RandomTraces;

int SpanCount(const test::ExportTraceServiceRequest& request) {
  int n = 0;
  for (const auto& resource : request.resource_spans())
    for (const auto& scope : resource.scope_spans()) n += scope.spans_size();
  return n;
}

/// What an attribute should read as, by the generated decoder.
std::string TextOf(const test::AnyValue& value) {
  switch (value.value_case()) {
    case test::AnyValue::kStringValue:
      return value.string_value();
    case test::AnyValue::kBoolValue:
      return value.bool_value() ? "true" : "false";
    case test::AnyValue::kIntValue:
      return std::to_string(value.int_value());
    case test::AnyValue::kDoubleValue: {
      std::string text = std::to_string(value.double_value());
      while (text.ends_with('0')) text.pop_back();
      if (text.ends_with('.')) text.pop_back();
      return text;
    }
    default:
      return "";
  }
}

template <class List>
std::string Find(const List& attributes, const std::string& key) {
  std::string found;
  for (const auto& pair : attributes)
    if (pair.key() == key) found = TextOf(pair.value());
  return found;
}

TEST(OtlpTracesTest, TheScanReadsWhatTheGeneratedDecoderReads) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    const auto request = RandomTraces(seed).Request();
    const std::string body = request.SerializeAsString();
    const auto check = CheckTraces(body);
    ASSERT_TRUE(check) << check.error().ToString();
    EXPECT_EQ(check->spans, static_cast<uint32_t>(SpanCount(request)));
    EXPECT_EQ(check->bad_spans, 0u);
    EXPECT_EQ(CountSpans(body), check->spans);

    std::vector<std::pair<const test::ResourceSpans*, const test::Span*>> expect;
    for (const auto& resource : request.resource_spans())
      for (const auto& scope : resource.scope_spans())
        for (const auto& span : scope.spans()) expect.emplace_back(&resource, &span);
    size_t i = 0;
    AttributePicker of_resource({"service.name", "key.1"});
    AttributePicker of_span({"key.1", "key.2", "key.3"});
    const bool whole = WalkTraces(
        body,
        [&](std::string_view resource) {
          of_resource.Clear();
          ReadResource(resource, of_resource);
        },
        [&](std::string_view bytes) {
          ASSERT_LT(i, expect.size());
          const auto& [resource, span] = expect[i++];
          SpanView view;
          of_span.Clear();
          ASSERT_TRUE(ReadSpan(bytes, view, &of_span));
          EXPECT_EQ(view.trace_id, span->trace_id());
          EXPECT_EQ(view.span_id, span->span_id());
          EXPECT_EQ(view.parent_span_id, span->parent_span_id());
          EXPECT_EQ(view.name, span->name());
          EXPECT_EQ(view.kind, static_cast<uint32_t>(span->kind()));
          EXPECT_EQ(view.status, static_cast<uint32_t>(span->status().code()));
          EXPECT_EQ(view.start_ns, span->start_time_unix_nano());
          EXPECT_EQ(view.end_ns, span->end_time_unix_nano());
          for (size_t a = 0; a < of_span.size(); ++a)
            EXPECT_EQ(of_span.value(a), Find(span->attributes(), of_span.key(a)));
          for (size_t a = 0; a < of_resource.size(); ++a)
            EXPECT_EQ(of_resource.value(a),
                      Find(resource->resource().attributes(), of_resource.key(a)));
        });
    EXPECT_TRUE(whole);
    EXPECT_EQ(i, expect.size());
  }
}

TEST(OtlpTracesTest, SpansWithBadIdsAreCountedAndCutOutAloneWithEverythingElseKept) {
  const std::vector<void (*)(test::Span&)> spoils = {
      [](test::Span& s) { s.clear_trace_id(); },
      [](test::Span& s) { s.set_trace_id(std::string(16, '\0')); },
      [](test::Span& s) { s.set_trace_id("short"); },
      [](test::Span& s) { s.set_span_id(std::string(9, 'x')); },
      [](test::Span& s) { s.set_span_id(std::string(8, '\0')); },
      [](test::Span& s) { s.set_parent_span_id("odd"); },
      [](test::Span& s) { s.add_links()->set_trace_id("odd"); },
  };
  for (uint64_t seed = 0; seed < 200; ++seed) {
    RandomTraces random(seed);
    auto request = random.Request();
    auto expect = request;
    uint32_t bad = 0;
    for (int r = 0; r < request.resource_spans_size(); ++r) {
      auto& resource = *request.mutable_resource_spans(r);
      for (int s = 0; s < resource.scope_spans_size(); ++s) {
        auto& spans = *resource.mutable_scope_spans(s)->mutable_spans();
        auto& kept = *expect.mutable_resource_spans(r)->mutable_scope_spans(s)->mutable_spans();
        for (int i = spans.size() - 1; i >= 0; --i) {
          if (random.Below(4) != 0) continue;
          spoils[static_cast<size_t>(random.Below(static_cast<int>(spoils.size())))](spans[i]);
          kept.DeleteSubrange(i, 1);
          ++bad;
        }
      }
    }
    const std::string body = request.SerializeAsString();
    const auto check = CheckTraces(body);
    ASSERT_TRUE(check) << check.error().ToString();
    EXPECT_EQ(check->bad_spans, bad);
    EXPECT_EQ(WithoutBadSpans(body), expect.SerializeAsString());
  }
}

TEST(OtlpTracesTest, WhatTheGeneratedDecoderRefusesTheCheckRefuses) {
  RandomTraces random(7);
  int refused = 0;
  for (int round = 0; round < 40; ++round) {
    const std::string body = random.Request(2, 4).SerializeAsString();
    for (size_t i = 0; i < body.size(); ++i) {
      std::string broken = body.substr(0, i);
      if (round % 2) {
        broken = body;
        broken[i] = static_cast<char>(broken[i] ^ (1 << random.Below(8)));
      }
      test::ExportTraceServiceRequest decoded;
      if (decoded.ParseFromString(broken)) continue;
      ++refused;
      EXPECT_FALSE(CheckTraces(broken)) << round << " " << i;
    }
  }
  EXPECT_GT(refused, 1000);
}

TEST(OtlpTracesTest, WhatTheCheckPassesTheGeneratedDecoderPasses) {
  RandomTraces random(8);
  int passed = 0;
  for (int round = 0; round < 60; ++round) {
    const std::string body = random.Request(2, 3).SerializeAsString();
    for (size_t i = 0; i < body.size(); ++i) {
      std::string broken = body;
      broken[i] = static_cast<char>(broken[i] ^ (1 << random.Below(8)));
      if (!CheckTraces(broken)) continue;
      ++passed;
      test::ExportTraceServiceRequest decoded;
      EXPECT_TRUE(decoded.ParseFromString(broken)) << round << " " << i;
    }
  }
  EXPECT_GT(passed, 1000);
}

TEST(OtlpTracesTest, ALogsRequestOnTheTracesPathIsNamedAsSuch) {
  test::ExportLogsServiceRequest request;
  auto& record = *request.add_resource_logs()->add_scope_logs()->add_log_records();
  record.set_time_unix_nano(5);
  record.mutable_body()->set_string_value("hello");
  auto check = CheckTraces(request.SerializeAsString());
  ASSERT_FALSE(check);
  EXPECT_NE(check.error().message().find("logs request"), std::string::npos);
  record.clear_time_unix_nano();
  record.set_severity_number(9);
  check = CheckTraces(request.SerializeAsString());
  ASSERT_FALSE(check);
  EXPECT_NE(check.error().message().find("logs request"), std::string::npos);
}

/// A request whose one attribute holds `levels` arrays inside each other.
std::string Nested(int levels) {
  std::string value;
  for (int i = 0; i < levels; ++i) {
    std::string array;
    Writer(array).PutBytes(1, value);
    value.clear();
    Writer(value).PutBytes(5, array);
  }
  std::string pair, span, scope, resource, body;
  Writer(pair).PutBytes(2, value);
  Writer s(span);
  s.PutBytes(1, std::string(16, 'a'));
  s.PutBytes(2, std::string(8, 'b'));
  s.PutBytes(9, pair);
  Writer(scope).PutBytes(2, span);
  Writer(resource).PutBytes(2, scope);
  Writer(body).PutBytes(1, resource);
  return body;
}

TEST(OtlpTracesTest, NestingIsAllowedAsFarAsProtobufAllowsItAndBombsAreRefused) {
  for (int levels = 0; levels < 60; ++levels) {
    test::ExportTraceServiceRequest decoded;
    EXPECT_EQ(CheckTraces(Nested(levels)).has_value(), decoded.ParseFromString(Nested(levels)))
        << levels;
  }
  EXPECT_TRUE(CheckTraces(Nested(40)));
  EXPECT_FALSE(CheckTraces(Nested(5000)));
}

TEST(OtlpTracesTest, AnEmptyRequestIsFine) {
  const auto check = CheckTraces("");
  ASSERT_TRUE(check);
  EXPECT_EQ(check->spans, 0u);
}

TEST(OtlpTracesTest, AKnownFieldOfAnotherTypeIsRefusedAndAnUnknownFieldIsKept) {
  std::string span;
  Writer w(span);
  w.PutBytes(1, std::string(16, 'a'));
  w.PutBytes(2, std::string(8, 'b'));
  w.PutBytes(99, "from the future");
  EXPECT_TRUE(IsGoodSpan(span));
  w.PutVarint(5, 3);  // a name that is a number
  EXPECT_FALSE(IsGoodSpan(span));
}

}  // namespace
}  // namespace picket::proto
