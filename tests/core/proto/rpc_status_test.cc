// SPDX-License-Identifier: Apache-2.0
#include "core/proto/rpc_status.h"

#include <gtest/gtest.h>

#include <set>

namespace picket::proto {
namespace {

using namespace std::chrono_literals;

TEST(RpcStatusTest, SurvivesTheWireWithItsDelay) {
  for (auto delay : {0ms, 1ms, 999ms, 1000ms, 5250ms}) {
    const auto back = DecodeRpcStatus(EncodeRpcStatus({RpcCode::kUnavailable, "busy", delay}));
    ASSERT_TRUE(back);
    EXPECT_EQ(back->code, RpcCode::kUnavailable);
    EXPECT_EQ(back->message, "busy");
    EXPECT_EQ(back->retry_delay, delay);
  }
  const auto plain = DecodeRpcStatus(EncodeRpcStatus({RpcCode::kInvalidArgument, "bad", {}}));
  ASSERT_TRUE(plain);
  EXPECT_FALSE(plain->retry_delay);
}

TEST(RpcStatusTest, BytesLaidOutByHandReadTheSame) {
  // From the interface definition: code 8, "slow down", RetryInfo of 5 s.
  const std::string bytes(
      "\x08\x08\x12\x09slow down\x1a\x30\x0a\x28type.googleapis.com/google.rpc.RetryInfo"
      "\x12\x04\x0a\x02\x08\x05",
      63);
  const auto status = DecodeRpcStatus(bytes);
  ASSERT_TRUE(status);
  EXPECT_EQ(status->code, RpcCode::kResourceExhausted);
  EXPECT_EQ(status->message, "slow down");
  EXPECT_EQ(status->retry_delay, 5000ms);
  EXPECT_EQ(EncodeRpcStatus(*status), bytes);
}

TEST(RpcStatusTest, JsonFormIsProtobufs) {
  EXPECT_EQ(RpcStatusJson({RpcCode::kInvalidArgument, "a \"b\"", {}}),
            R"({"code":3,"message":"a \"b\""})");
  EXPECT_EQ(
      RpcStatusJson({RpcCode::kUnavailable, "x", 1500ms}),
      R"({"code":14,"message":"x","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"1.500s"}]})");
}

TEST(RpcStatusTest, RetryTableOfTheSpecification) {
  const std::set<RpcCode> retryable = {RpcCode::kCancelled,   RpcCode::kDeadlineExceeded,
                                       RpcCode::kAborted,     RpcCode::kOutOfRange,
                                       RpcCode::kUnavailable, RpcCode::kDataLoss};
  for (int i = 1; i <= 16; ++i) {
    const auto code = static_cast<RpcCode>(i);
    EXPECT_EQ(IsRetryable(code, false), retryable.contains(code)) << RpcCodeName(code);
  }
  EXPECT_TRUE(IsRetryable(RpcCode::kResourceExhausted, true));
}

TEST(RpcStatusTest, PartialSuccessAndItsAbsence) {
  EXPECT_EQ(EncodeExportResponse({}), "");
  const PartialSuccess back = DecodeExportResponse(EncodeExportResponse({3, "no ids"}));
  EXPECT_EQ(back.rejected, 3);
  EXPECT_EQ(back.message, "no ids");
  EXPECT_TRUE(DecodeExportResponse("").empty());
  EXPECT_TRUE(DecodeExportResponse("\xff\xff").empty());
  EXPECT_EQ(TraceExportResponseJson({}), "{}");
  EXPECT_EQ(TraceExportResponseJson({2, "x"}),
            R"({"partialSuccess":{"rejectedSpans":"2","errorMessage":"x"}})");
}

}  // namespace
}  // namespace picket::proto
