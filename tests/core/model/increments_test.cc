// SPDX-License-Identifier: Apache-2.0
#include "core/model/increments.h"

#include <gtest/gtest.h>

#include "tests/support/memory_store.h"

namespace picket {
namespace {

class Counters : public ::testing::Test {
 protected:
  void Scrape(const std::string& code, double value, const std::string& pod = "a") {
    store_.Put(
        Labels{{"__name__", "requests_total"}, {"code", code}, {"job", "shop"}, {"instance", pod}},
        now_, value);
  }
  /// Sum of what is new.
  double Read() {
    double sum = 0;
    EXPECT_TRUE(reader_.Read(store_, now_ - 600'000, now_,
                             [&](size_t, const Labels&, UnixMs, double d) { sum += d; }));
    return sum;
  }
  testing::MemoryStore store_;
  IncrementReader reader_{{{Matcher::Equal("__name__", "requests_total")}}};
  UnixMs now_ = 1'000'000'000;
};

TEST_F(Counters, TheFirstScrapeOfATargetIsItsBase) {
  Scrape("200", 50);
  EXPECT_EQ(Read(), 0);
  now_ += 1000;
  Scrape("200", 57);
  EXPECT_EQ(Read(), 7);
  EXPECT_EQ(Read(), 0);
}

TEST_F(Counters, ANewSeriesOnAKnownTargetCountsFromZero) {
  Scrape("200", 50);
  Read();
  now_ += 1000;
  Scrape("200", 50);
  Scrape("500", 3);
  EXPECT_EQ(Read(), 3);
}

TEST_F(Counters, ARestartedCounterCountsFromZero) {
  Scrape("200", 50);
  now_ += 1000;
  Scrape("200", 4);
  EXPECT_EQ(Read(), 4);
}

TEST_F(Counters, StalenessMarkersAreNoSamples) {
  Scrape("200", 50);
  now_ += 1000;
  Scrape("200", StaleNan());
  now_ += 1000;
  Scrape("200", 51);
  EXPECT_EQ(Read(), 1);
}

TEST_F(Counters, SavedStateContinuesAcrossARestart) {
  Scrape("200", 50);
  Read();
  const std::string saved = reader_.Save();
  now_ += 1000;
  Scrape("200", 60);
  IncrementReader again{{{Matcher::Equal("__name__", "requests_total")}}};
  again.Restore(saved);
  reader_ = std::move(again);
  EXPECT_EQ(Read(), 10);
  reader_.Restore("damaged");
  EXPECT_EQ(Read(), 10);  // starts anew within the window: base at 50, then 60
}

}  // namespace
}  // namespace picket
