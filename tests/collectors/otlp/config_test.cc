// SPDX-License-Identifier: Apache-2.0
#include "collectors/otlp/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/config/object.h"

namespace picket::collectors::otlp {
namespace {

TEST(OtlpConfigTest, DefaultsAreLoopbackAndTheStandardPorts) {
  const auto config = config::FromYaml<OtlpConfig>("{}");
  ASSERT_TRUE(config) << config.error().ToString();
  EXPECT_EQ(config->grpc, "127.0.0.1:4317");
  EXPECT_EQ(config->http, "127.0.0.1:4318");
  EXPECT_TRUE(config->span_metrics.enabled);
}

TEST(OtlpConfigTest, EverySettingIsRead) {
  const auto config = config::FromYaml<OtlpConfig>(R"(
grpc: ""
http: 0.0.0.0:4318
max_request_size: 8MiB
bearer_token: x
span_metrics:
  interval: 5s
  dimensions: [http.method]
  buckets: [0.1, 1]
)");
  ASSERT_TRUE(config) << config.error().ToString();
  EXPECT_EQ(config->grpc, "");
  EXPECT_EQ(config->max_request_size, 8_MiB);
  EXPECT_EQ(config->web.bearer_token.Reveal(), "x");
  EXPECT_EQ(config->span_metrics.interval, Milliseconds(5000));
  EXPECT_THAT(config->span_metrics.buckets, testing::ElementsAre(0.1, 1));
}

TEST(OtlpConfigTest, FaultsAreNamed) {
  const auto fault = [](const char* yaml) {
    const auto config = config::FromYaml<OtlpConfig>(yaml);
    return config ? "no error" : config.error().message();
  };
  EXPECT_THAT(fault("span_metrics: {buckets: [1, 0.5]}"), testing::HasSubstr("ascending"));
  EXPECT_THAT(fault("basic_auth_users: {a: b}"), testing::HasSubstr("HTTP server only"));
  EXPECT_THAT(fault("grcp: x"), testing::HasSubstr("grpc"));
}

}  // namespace
}  // namespace picket::collectors::otlp
