// SPDX-License-Identifier: Apache-2.0
#include "agent/api/params.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace picket::agent {
namespace {

TEST(Params, AreReadFromTheQueryAndAForm) {
  const Params p("query=a%2Bb+c&match[]=x&match[]=y&empty=", "timeout=5s&match%5B%5D=z");
  EXPECT_EQ(p.Get("query"), "a+b c");
  EXPECT_THAT(p.All("match[]"), testing::ElementsAre("z", "x", "y"))
      << "a form comes first, as in Go";
  EXPECT_EQ(p.Get("timeout"), "5s");
  EXPECT_EQ(p.Get("none"), "");
  EXPECT_FALSE(p.Has("none"));
}

TEST(Params, TimesAreSecondsOrRfc3339) {
  const std::pair<const char*, UnixMs> good[] = {{"1700000000", 1'700'000'000'000},
                                                 {"1700000000.5", 1'700'000'000'500},
                                                 {"-1.25", -1250},
                                                 {"2023-11-14T22:13:20Z", 1'700'000'000'000},
                                                 {"2023-11-14T22:13:20.123Z", 1'700'000'000'123},
                                                 {"2023-11-14T23:13:20+01:00", 1'700'000'000'000},
                                                 {"2023-11-14T20:43:20-01:30", 1'700'000'000'000}};
  for (const auto& [text, ms] : good) {
    const auto t = ParseTime(text);
    ASSERT_TRUE(t) << text;
    EXPECT_EQ(*t, ms) << text;
  }
  for (const char* text :
       {"", "now", "2023-11-14", "2023-13-14T22:13:20Z", "2023-02-30T00:00:00Z",
        "2023-11-14T24:00:00Z", "2023-11-14T22:13:20", "2023-11-14T22:13:20+1:00", "1e400", "NaN",
        "Inf", "1700000000s", "0x10"})
    EXPECT_FALSE(ParseTime(text)) << text;
}

TEST(Params, StepsAreSecondsOrDurationsAboveZero) {
  EXPECT_EQ(*ParseStep("15"), Milliseconds(15'000));
  EXPECT_EQ(*ParseStep("0.5"), Milliseconds(500));
  EXPECT_EQ(*ParseStep("1m30s"), Milliseconds(90'000));
  for (const char* text : {"", "0", "-1", "0s", "x", "1 m", "1e30"})
    EXPECT_FALSE(ParseStep(text)) << text;
}

TEST(Params, TimesAreWrittenWithTheDigitsTheyNeed) {
  EXPECT_EQ(FormatTime(1'700'000'000'000), "2023-11-14T22:13:20Z");
  EXPECT_EQ(FormatTime(1'700'000'000'120), "2023-11-14T22:13:20.12Z");
  for (const UnixMs ms : {UnixMs{0}, UnixMs{1}, UnixMs{1'700'000'000'999}})
    EXPECT_EQ(*ParseTime(FormatTime(ms)), ms);
}

}  // namespace
}  // namespace picket::agent
