// SPDX-License-Identifier: Apache-2.0
#include "exporters/otlp/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/config/object.h"
#include "exporters/otlp/client.h"

namespace picket::exporters::otlp {
namespace {

using namespace std::chrono_literals;
using proto::RpcCode;
using Kind = spool::SendOutcome::Kind;

OtlpExporterConfig At(std::string endpoint, Protocol protocol = Protocol::kAuto) {
  OtlpExporterConfig config;
  config.endpoint = std::move(endpoint);
  config.protocol = protocol;
  return config;
}

TEST(OtlpExporterConfigTest, TheEndpointSaysWhatIsSpoken) {
  struct Case {
    const char* endpoint;
    Protocol protocol;
    bool grpc, tls;
    const char* address;
  };
  for (const Case& c : {
           Case{"tempo:4317", Protocol::kAuto, true, false, "tempo:4317"},
           Case{"tempo", Protocol::kAuto, true, false, "tempo:4317"},
           Case{"[::1]", Protocol::kAuto, true, false, "[::1]:4317"},
           Case{"https://tempo:4317", Protocol::kGrpc, true, true, "tempo:4317"},
           Case{"http://tempo:4318", Protocol::kAuto, false, false, "http://tempo:4318/v1/traces"},
           Case{"http://tempo:4318/", Protocol::kAuto, false, false, "http://tempo:4318/v1/traces"},
           Case{"https://x.test/otlp", Protocol::kAuto, false, true,
                "https://x.test/otlp/v1/traces"},
           Case{"https://x.test/otlp/v1/traces", Protocol::kAuto, false, true,
                "https://x.test/otlp/v1/traces"},
           Case{"tempo:4318", Protocol::kHttp, false, false, "http://tempo:4318/v1/traces"},
       }) {
    const auto target = TargetOf(At(c.endpoint, c.protocol));
    ASSERT_TRUE(target) << c.endpoint;
    EXPECT_EQ(target->grpc, c.grpc) << c.endpoint;
    EXPECT_EQ(target->tls, c.tls) << c.endpoint;
    EXPECT_EQ(c.grpc ? target->address : target->url, c.address);
  }
  EXPECT_FALSE(TargetOf(At("ftp://x")));
  EXPECT_FALSE(TargetOf(At("http://")));
  EXPECT_FALSE(TargetOf(At("tempo:4317/path")));
}

TEST(OtlpExporterConfigTest, YamlIsReadAndFaultsAreNamed) {
  const auto config = config::FromYaml<OtlpExporterConfig>(R"(
endpoint: https://tempo:4318
compression: zstd
tenant: dev
headers: {X-Key: abc}
batch: {max_bytes: 1MiB, max_wait: 50ms}
retry: {min_backoff: 10ms, max_backoff: 1s}
)");
  ASSERT_TRUE(config) << config.error().ToString();
  EXPECT_EQ(config->compression, Compression::kZstd);
  EXPECT_EQ(config->batch.max_bytes, 1_MiB);
  EXPECT_EQ(config->headers.at("X-Key").Reveal(), "abc");
  const auto fault = [](const char* yaml) {
    const auto c = config::FromYaml<OtlpExporterConfig>(yaml);
    return c ? "no error" : c.error().message();
  };
  EXPECT_THAT(fault("{}"), testing::HasSubstr("endpoint"));
  EXPECT_THAT(fault("{endpoint: 'tempo:4317', compression: zstd}"),
              testing::HasSubstr("not spoken"));
  EXPECT_THAT(fault("{endpoint: 'ftp://x'}"), testing::HasSubstr("scheme"));
}

net::HttpResponse Response(int status, std::string_view body = {}, net::HttpHeaders headers = {}) {
  net::HttpResponse response;
  response.status = status;
  response.body = body;
  response.headers = std::move(headers);
  return response;
}

TEST(OtlpOutcomeTest, HttpAnswersMeanWhatTheSpecificationSays) {
  for (int status : {200, 201, 204})
    EXPECT_EQ(OutcomeOfHttp(Response(status), 0).kind, Kind::kDelivered) << status;
  for (int status : {429, 502, 503, 504})
    EXPECT_EQ(OutcomeOfHttp(Response(status), 0).kind, Kind::kRetry) << status;
  for (int status : {400, 401, 403, 404, 405, 415, 500, 501})
    EXPECT_EQ(OutcomeOfHttp(Response(status), 0).kind, Kind::kDrop) << status;
  EXPECT_EQ(OutcomeOfHttp(Response(413), 0).kind, Kind::kTooLarge);

  const auto wait = OutcomeOfHttp(Response(503, "", {{"Retry-After", "7"}}), 0);
  EXPECT_EQ(wait.retry_after, Duration(7s));
  EXPECT_FALSE(OutcomeOfHttp(Response(503), 0).retry_after);
  const auto partial = OutcomeOfHttp(Response(200, proto::EncodeExportResponse({3, "no"})), 0);
  EXPECT_EQ(partial.rejected, 3u);
  EXPECT_EQ(partial.message, "no");
  EXPECT_EQ(OutcomeOfHttp(
                Response(400, proto::EncodeRpcStatus({RpcCode::kInvalidArgument, "why", {}})), 0)
                .message,
            "why");
}

TEST(OtlpOutcomeTest, GrpcAnswersMeanWhatTheSpecificationSays) {
  const auto kind = [](RpcCode code, std::string_view message = "", std::string_view details = "") {
    return OutcomeOfGrpc(code, message, details, "", false).kind;
  };
  EXPECT_EQ(kind(RpcCode::kOk), Kind::kDelivered);
  for (auto code : {RpcCode::kCancelled, RpcCode::kDeadlineExceeded, RpcCode::kAborted,
                    RpcCode::kOutOfRange, RpcCode::kUnavailable, RpcCode::kDataLoss})
    EXPECT_EQ(kind(code), Kind::kRetry) << proto::RpcCodeName(code);
  for (auto code :
       {RpcCode::kUnknown, RpcCode::kInvalidArgument, RpcCode::kNotFound, RpcCode::kAlreadyExists,
        RpcCode::kPermissionDenied, RpcCode::kUnauthenticated, RpcCode::kFailedPrecondition,
        RpcCode::kUnimplemented, RpcCode::kInternal, RpcCode::kResourceExhausted})
    EXPECT_EQ(kind(code), Kind::kDrop) << proto::RpcCodeName(code);

  const std::string details = proto::EncodeRpcStatus({RpcCode::kResourceExhausted, "slow", 5000ms});
  const auto slow = OutcomeOfGrpc(RpcCode::kResourceExhausted, "slow", details, "", false);
  EXPECT_EQ(slow.kind, Kind::kRetry);
  EXPECT_EQ(slow.retry_after, Duration(5s));
  EXPECT_EQ(kind(RpcCode::kResourceExhausted, "grpc: received message larger than max (5 vs. 4)"),
            Kind::kTooLarge);
  EXPECT_EQ(OutcomeOfGrpc(RpcCode::kResourceExhausted, "quota", "", "", true).kind, Kind::kRetry);
  EXPECT_EQ(
      OutcomeOfGrpc(RpcCode::kOk, "", "", proto::EncodeExportResponse({4, ""}), false).rejected,
      4u);
}

}  // namespace
}  // namespace picket::exporters::otlp
