// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/base/hash.h"
#include "core/base/log.h"
#include "core/base/secret.h"
#include "core/base/strings.h"
#include "core/base/telemetry.h"
#include "core/base/units.h"

namespace picket {
namespace {

TEST(Duration, ReadsPrometheusForm) {
  EXPECT_EQ(ParseDuration("1h30m")->count(), 5'400'000);
  EXPECT_EQ(ParseDuration("10ms")->count(), 10);
  EXPECT_EQ(ParseDuration("1m")->count(), 60'000);
  EXPECT_EQ(ParseDuration("0")->count(), 0);
  EXPECT_EQ(ParseDuration("1y2w3d")->count(), (365LL + 14 + 3) * 86'400'000);
}

TEST(Duration, RefusesWhatPrometheusRefuses) {
  for (const char* bad : {"", "1", "s", "1.5h", "1m1h", "1s1s", "-1s", " 1s", "1x", "99999999999y"})
    EXPECT_FALSE(ParseDuration(bad)) << bad;
}

TEST(Duration, PrintsWhatItReads) {
  for (const char* text : {"1h30m", "15s", "1m30s", "250ms", "30d", "2w", "1y", "0s"})
    EXPECT_EQ(FormatDuration(*ParseDuration(std::string(text) == "0s" ? "0" : text)),
              std::string(text) == "30d" ? "30d" : text);
}

TEST(BytesUnit, BothKindsOfUnit) {
  EXPECT_EQ(ParseBytes("64MiB")->value, 64U << 20);
  EXPECT_EQ(ParseBytes("1MB")->value, 1'000'000U);
  EXPECT_EQ(ParseBytes("17")->value, 17U);
  EXPECT_EQ(FormatBytes(Bytes(64U << 20)), "64MiB");
  EXPECT_FALSE(ParseBytes("64 MiB"));
  EXPECT_FALSE(ParseBytes("99999999999EiB"));
}

TEST(Floats, PrintAsPrometheusDoes) {
  EXPECT_EQ(FormatFloat(1), "1");
  EXPECT_EQ(FormatFloat(0.1), "0.1");
  EXPECT_EQ(FormatFloat(1e21), "1e+21");
  EXPECT_EQ(FormatFloat(1e-7), "1e-07");
  EXPECT_EQ(FormatFloat(123456789012345680.0), "123456789012345680");
  EXPECT_EQ(FormatFloat(-INFINITY), "-Inf");
  EXPECT_EQ(FormatFloat(NAN), "NaN");
}

TEST(SecretValue, CannotBePrinted) { EXPECT_EQ(fmt::format("{}", Secret("hunter2")), "<secret>"); }

TEST(Crc, KnownAnswers) {
  EXPECT_EQ(Crc32c("123456789"), 0xE3069283U);
  EXPECT_EQ(Crc32c("6789", Crc32c("12345")), 0xE3069283U);
  EXPECT_EQ(Crc32c(""), 0U);
}

TEST(Names, NearestWithinTwoEdits) {
  const std::vector<std::string> names = {"scrape_interval", "scrape_timeout", "params"};
  EXPECT_EQ(NearestName("scrape_intervall", names), "scrape_interval");
  EXPECT_EQ(NearestName("scraep_timeout", names), "scrape_timeout");
  EXPECT_EQ(NearestName("zebra", names), "");
}

TEST(Json, QuotesAndRepairs) { EXPECT_EQ(JsonQuote("a\"b\n\xff"), "\"a\\\"b\\n\xEF\xBF\xBD\""); }

TEST(ErrorText, CarriesPlaceAndContext) {
  Error e = Error(ErrorKind::kInvalidArgument, "bad").Context("reading x").Context("loading y");
  e.At({"f.yml", 3, 7});
  EXPECT_EQ(e.ToString(), "f.yml:3:7: loading y: reading x: bad");
}

TEST(TelemetryTable, SameRowSameHandle) {
  Telemetry t;
  const MetricRow row{MetricRow::Kind::kCounter, "picket_x_total", "X."};
  t.AddCounter(row, {{"a", "1"}})->Add(2);
  t.AddCounter(row, {{"a", "1"}})->Add(3);
  auto token = t.AddCallback({MetricRow::Kind::kGauge, "picket_y", "Y."}, {}, [] { return 4.0; });
  auto families = t.Collect();
  ASSERT_EQ(families.size(), 2U);
  EXPECT_EQ(families[0].samples[0].value, 5);
  EXPECT_EQ(families[1].samples[0].value, 4);
  token.reset();
  EXPECT_EQ(t.Collect().size(), 1U);
}

}  // namespace
}  // namespace picket
