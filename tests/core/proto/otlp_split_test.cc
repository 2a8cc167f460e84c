// SPDX-License-Identifier: Apache-2.0
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <set>

#include "core/proto/otlp_traces.h"
#include "tests/core/proto/otlp_random.h"

namespace picket::proto {
namespace {

using google::protobuf::util::MessageDifferencer;
using test::RandomTraces;

/// One span with the headers it stands under: what a split must keep.
std::vector<std::string> Rows(const test::ExportTraceServiceRequest& request) {
  std::vector<std::string> rows;
  for (const auto& resource : request.resource_spans()) {
    for (const auto& scope : resource.scope_spans()) {
      for (const auto& span : scope.spans()) {
        rows.push_back(resource.resource().SerializeAsString() + "|" + resource.schema_url() + "|" +
                       scope.scope().SerializeAsString() + "|" + scope.schema_url() + "|" +
                       span.SerializeAsString());
      }
    }
  }
  return rows;
}

TEST(OtlpSplitTest, PartsAreWithinTheLimitAndTogetherSayTheSameInTheSameOrder) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    const auto request = RandomTraces(seed).Request(5, 20);
    const std::string body = request.SerializeAsString();
    for (size_t max : {1, 700, 1000, 4000, 20000, 1 << 20}) {
      std::vector<std::string> rows;
      uint32_t spans = 0;
      for (const TracePart& part : SplitTraces(body, max)) {
        EXPECT_TRUE(part.bytes.size() <= max || part.spans == 1)
            << part.bytes.size() << " of " << max << " in " << part.spans << " spans";
        EXPECT_GT(part.spans, 0u);
        ASSERT_TRUE(CheckTraces(part.bytes));
        EXPECT_EQ(CountSpans(part.bytes), part.spans);
        spans += part.spans;
        test::ExportTraceServiceRequest decoded;
        ASSERT_TRUE(decoded.ParseFromString(part.bytes));
        for (auto& row : Rows(decoded)) rows.push_back(std::move(row));
      }
      EXPECT_EQ(rows, Rows(request)) << seed << " " << max;
      EXPECT_EQ(spans, CountSpans(body));
    }
  }
}

TEST(OtlpSplitTest, ABodyThatFitsComesOutAsItWas) {
  const std::string body = RandomTraces(3).Request(4, 30).SerializeAsString();
  ASSERT_GT(CountSpans(body), 0u);
  const auto parts = SplitTraces(body, body.size());
  ASSERT_EQ(parts.size(), 1u);
  EXPECT_EQ(parts[0].bytes, body);
}

TEST(OtlpSplitTest, JoinedBodiesAreOneBody) {
  RandomTraces random(11);
  for (int i = 0; i < 50; ++i) {
    auto a = random.Request();
    const auto b = random.Request();
    const std::string joined = a.SerializeAsString() + b.SerializeAsString();
    a.MergeFrom(b);
    test::ExportTraceServiceRequest decoded;
    ASSERT_TRUE(decoded.ParseFromString(joined));
    EXPECT_TRUE(MessageDifferencer::Equals(decoded, a));
  }
}

}  // namespace
}  // namespace picket::proto
