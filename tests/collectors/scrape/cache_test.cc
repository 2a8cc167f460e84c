// SPDX-License-Identifier: Apache-2.0
#include "collectors/scrape/cache.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstdlib>
#include <new>
#include <random>

#include "core/base/strings.h"
#include "tests/collectors/scrape/fake_intake.h"

namespace picket::collectors::scrape {
namespace {

/// A target and its cache. Scrape(body) does what the loop does with one.
class Target {
 public:
  explicit Target(SeriesCache::Options options = {}) : resolver(intake), cache(options) {
    const Labels up({{"__name__", "up"}});
    const SeriesId id = *intake.Intern(1, up, nullptr);
    cache.SetTail(std::span(&id, 1));
  }

  Status Scrape(std::string_view body, Format format = Format::kText) {
    now += 15'000;
    const Status status = cache.Scan(body, format, resolver, scratch, counts);
    SeriesCache::Row row = status ? cache.row() : cache.StaleRow();
    row.tail[0] = status ? 1 : 0;
    intake.Append({1, row.layout, now, row.series, row.values});
    layout = row.layout;
    if (status) {
      intake.AppendTimed(1, cache.timed());
      cache.Commit(resolver);
    }
    EXPECT_TRUE(intake.faults.empty()) << intake.faults.front();
    return status;
  }
  /// Values of the last row without `up`; StaleNan as "stale".
  std::map<std::string, std::string> Row() const {
    std::map<std::string, std::string> out;
    for (const auto& [name, value] : intake.last_row) {
      if (name != "up") out[name] = IsStaleNan(value) ? "stale" : FormatFloat(value);
    }
    return out;
  }

  FakeIntake intake;
  PlainResolver resolver;
  SeriesCache cache;
  SeriesCache::Scratch scratch;
  ScrapeCounts counts;
  UnixMs now = 1'700'000'000'000;
  uint64_t layout = 0;
};
using Values = std::map<std::string, std::string>;

TEST(SeriesCache, PredictsTheSameBody) {
  Target t;
  ASSERT_TRUE(t.Scrape("# TYPE a counter\na 1\nb{x=\"y\"} 2.5\n"));
  const uint64_t layout = t.layout;
  ASSERT_TRUE(t.Scrape("# TYPE a counter\na 2\nb{x=\"y\"} 2.5\n"));
  EXPECT_EQ(t.Row(), (Values{{"a", "2"}, {"b{x=\"y\"}", "2.5"}}));
  EXPECT_EQ(t.layout, layout);
  EXPECT_EQ(t.resolver.asked, 2u);
  EXPECT_EQ(t.counts.scraped, 2u);
  EXPECT_EQ(t.counts.added, 0u);
}

TEST(SeriesCache, EndsWhatVanishedOnce) {
  Target t;
  ASSERT_TRUE(t.Scrape("a 1\nb 2\nc 3\n"));
  ASSERT_TRUE(t.Scrape("a 1\nc 3\n"));
  EXPECT_EQ(t.Row(), (Values{{"a", "1"}, {"b", "stale"}, {"c", "3"}}));
  ASSERT_TRUE(t.Scrape("a 1\nc 3\n"));
  EXPECT_EQ(t.Row(), (Values{{"a", "1"}, {"c", "3"}}));
  EXPECT_EQ(t.intake.held.size(), 3u);  // a, c, up
}

TEST(SeriesCache, FindsLinesThatMoved) {
  Target t;
  std::string body;
  for (int i = 0; i < 100; ++i) body += "m{i=\"" + std::to_string(i) + "\"} 1\n";
  ASSERT_TRUE(t.Scrape(body));
  const size_t half = body.find("m{i=\"50\"}");
  ASSERT_TRUE(t.Scrape(body.substr(half) + "new 1\n" + body.substr(0, half)));
  EXPECT_EQ(t.resolver.asked, 101u);
  EXPECT_EQ(t.intake.last_row.size(), 102u);
  ASSERT_TRUE(t.Scrape(body.substr(half) + "new 2\n" + body.substr(0, half)));
  EXPECT_EQ(t.resolver.asked, 101u);
  EXPECT_EQ(t.Row()["new"], "2");
}

TEST(SeriesCache, CountsTheSecondSampleOfASeries) {
  Target t;
  ASSERT_TRUE(t.Scrape("a{x=\"1\",y=\"2\"} 1\na{y=\"2\",x=\"1\"} 2\na{x=\"1\",y=\"2\"} 3\n"));
  EXPECT_EQ(t.Row(), (Values{{"a{x=\"1\", y=\"2\"}", "1"}}));
  EXPECT_EQ(t.counts.duplicates, 2u);
  ASSERT_TRUE(t.Scrape("a{x=\"1\",y=\"2\"} 4\na{y=\"2\",x=\"1\"} 5\na{x=\"1\",y=\"2\"} 6\n"));
  EXPECT_EQ(t.counts.duplicates, 2u);
  EXPECT_EQ(t.Row(), (Values{{"a{x=\"1\", y=\"2\"}", "4"}}));
  ASSERT_TRUE(t.Scrape("a{y=\"2\",x=\"1\"} 7\n"));  // the second line stays and is the series now
  EXPECT_EQ(t.Row(), (Values{{"a{x=\"1\", y=\"2\"}", "7"}}));
  EXPECT_EQ(t.counts.duplicates, 0u);
}

TEST(SeriesCache, TheReportedSeriesAreNotTheTargets) {
  Target t;
  ASSERT_TRUE(t.Scrape("up 5\na 1\n"));
  EXPECT_EQ(t.intake.last_row.at("up"), 1);
  EXPECT_EQ(t.counts.duplicates, 1u);
  ASSERT_TRUE(t.Scrape("a 1\n"));
  EXPECT_EQ(t.intake.last_row.at("up"), 1);
}

TEST(SeriesCache, ABadLineFailsTheScrapeAndEndsEverything) {
  Target t;
  ASSERT_TRUE(t.Scrape("a 1\nb 2\n"));
  const Status status = t.Scrape("a 3\nnew 1\nb x\n");
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().position().line, 3);
  EXPECT_EQ(t.Row(), (Values{{"a", "stale"}, {"b", "stale"}}));
  EXPECT_EQ(t.intake.held.size(), 3u);  // not "new"
  ASSERT_FALSE(t.Scrape("a 3\nb x\n"));
  EXPECT_EQ(t.Row(), Values{});  // markers are written once
  ASSERT_TRUE(t.Scrape("a 3\nb 2\n"));
  EXPECT_EQ(t.Row(), (Values{{"a", "3"}, {"b", "2"}}));
  EXPECT_EQ(t.resolver.asked, 3u);
}

TEST(SeriesCache, RemembersDroppedSeries) {
  Target t;
  ASSERT_TRUE(t.Scrape("a 1\ndrop_b 2\nc 3\n"));
  ASSERT_TRUE(t.Scrape("a 1\ndrop_b 4\nc 3\n"));
  EXPECT_EQ(t.resolver.asked, 3u);
  EXPECT_EQ(t.counts.scraped, 3u);
  EXPECT_EQ(t.counts.kept, 2u);
  EXPECT_FALSE(t.Scrape("a 1\ndrop_b x\nc 3\n"));  // still a bad line
}

TEST(SeriesCache, HonoursTimestamps) {
  Target t;
  ASSERT_TRUE(t.Scrape("a 1 1000\na 2 2000\nb 5\n"));
  ASSERT_TRUE(t.Scrape("a 2 2000\na 3 3000\nb 5\n"));
  EXPECT_EQ(t.intake.samples["a"].back().timestamp_ms, 3000);
  EXPECT_EQ(t.Row(), (Values{{"b", "5"}}));
  ASSERT_TRUE(t.Scrape("b 5\n"));
  EXPECT_EQ(t.Row(), (Values{{"b", "5"}}));  // no marker for samples with times of their own
  EXPECT_EQ(t.intake.held.size(), 2u);

  Target ignoring({.honor_timestamps = false});
  ASSERT_TRUE(ignoring.Scrape("a 1 1000\n"));
  ASSERT_TRUE(ignoring.Scrape("a 2 1000\n"));
  EXPECT_EQ(ignoring.Row(), (Values{{"a", "2"}}));

  Target tracking({.track_timestamps_staleness = true});
  ASSERT_TRUE(tracking.Scrape("a 1 1000\n"));
  ASSERT_TRUE(tracking.Scrape("b 1\n"));
  EXPECT_EQ(tracking.Row(), (Values{{"a", "stale"}, {"b", "1"}}));
  ASSERT_TRUE(tracking.Scrape("a 1 2000\nb 1\n"));
  ASSERT_FALSE(tracking.Scrape("a 1 2000\nb x\n"));
  EXPECT_EQ(tracking.Row(), (Values{{"a", "stale"}, {"b", "stale"}}));
}

TEST(SeriesCache, ASeriesMayGetAndLoseATimestamp) {
  Target t;
  ASSERT_TRUE(t.Scrape("a 1\nb 1\n"));
  ASSERT_TRUE(t.Scrape("a 1 1700000020000\nb 1\n"));
  EXPECT_EQ(t.Row(), (Values{{"b", "1"}}));
  ASSERT_TRUE(t.Scrape("a 4\nb 1\n"));
  EXPECT_EQ(t.Row(), (Values{{"a", "4"}, {"b", "1"}}));
}

TEST(SeriesCache, KeepsTheSampleLimit) {
  Target t({.sample_limit = 2});
  ASSERT_TRUE(t.Scrape("a 1\nb 2\ndrop_x 1\n"));
  ASSERT_FALSE(t.Scrape("a 1\nb 2\nc 3\nd 4\n"));
  EXPECT_EQ(t.Row(), (Values{{"a", "stale"}, {"b", "stale"}}));
  EXPECT_EQ(t.counts.scraped, 4u);
  EXPECT_EQ(t.intake.held.size(), 3u);
}

TEST(SeriesCache, GoesOnWithKnownSeriesWhenNewOnesAreRefused) {
  Target t;
  ASSERT_TRUE(t.Scrape("a 1\n"));
  t.intake.refuse = true;
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(t.Scrape("a 1\nb 2\n"));
  EXPECT_EQ(t.counts.refused, 1u);
  EXPECT_EQ(t.Row(), (Values{{"a", "1"}}));
  EXPECT_LT(t.resolver.asked, 6u);
  t.intake.refuse = false;
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(t.Scrape("a 1\nb 2\n"));
  EXPECT_EQ(t.Row(), (Values{{"a", "1"}, {"b", "2"}}));
}

TEST(SeriesCache, KnowsTheFamilyOfANewSeries) {
  Target t;
  ASSERT_TRUE(t.Scrape(
      "# HELP a Help of a.\n# TYPE a histogram\na_bucket{le=\"1\"} 1\na_count 1\nother 1\n"));
  ASSERT_TRUE(
      t.Scrape("# HELP a Help of a.\n# TYPE a histogram\na_bucket{le=\"1\"} 1\na_bucket{le=\"2\"} "
               "1\na_count 1\nother 1\n"));
  const SeriesId id = t.intake.ids.at("a_bucket{le=\"2.0\"}");
  ASSERT_TRUE(t.intake.metadatas[id]);
  EXPECT_EQ(t.intake.metadatas[id]->help, "Help of a.");
  EXPECT_EQ(t.intake.metadatas[id]->type, MetricType::kHistogram);
  EXPECT_FALSE(t.intake.metadatas[t.intake.ids.at("other")]);
}

TEST(SeriesCache, OpenMetricsNeedsItsEndEveryTime) {
  Target t;
  ASSERT_TRUE(t.Scrape("a 1\n# EOF\n", Format::kOpenMetrics));
  EXPECT_FALSE(t.Scrape("a 1\n", Format::kOpenMetrics));
  EXPECT_FALSE(t.Scrape("a 1\n# EOF\na 1\n", Format::kOpenMetrics));
  ASSERT_TRUE(t.Scrape("a 1 # {x=\"y\"} 1\n# EOF\n", Format::kOpenMetrics));
  EXPECT_FALSE(t.Scrape("a 1 # {x=\"y\" 1\n# EOF\n", Format::kOpenMetrics));
  ASSERT_TRUE(t.Scrape("a 2\n"));  // the same series in the other format
  EXPECT_EQ(t.resolver.asked, 1u);
}

}  // namespace
}  // namespace picket::collectors::scrape
