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

struct Kept final : CounterMemory {
  std::optional<Last> Recall(uint64_t key) const override {
    auto it = map.find(key);
    return it == map.end() ? std::nullopt : std::optional(it->second);
  }
  void Remember(uint64_t key, const Last& last) override { map[key] = last; }
  void Forget(uint64_t key) override { map.erase(key); }
  std::map<uint64_t, Last> map;
};

TEST_F(Counters, AMemoryContinuesAcrossARestart) {
  Kept kept;
  const std::vector<std::vector<Matcher>> selectors{{Matcher::Equal("__name__", "requests_total")}};
  reader_ = IncrementReader(selectors, &kept);
  Scrape("200", 50);
  Read();
  now_ += 1000;
  Scrape("200", 60);
  Scrape("500", 2);
  reader_ = IncrementReader(selectors, &kept);
  EXPECT_EQ(Read(), 12);
  reader_ = IncrementReader(selectors, &kept);
  EXPECT_EQ(Read(), 0);
}

TEST_F(Counters, WhatIsGoneForAnHourIsForgotten) {
  Kept kept;
  reader_ = IncrementReader({{Matcher::Equal("__name__", "requests_total")}}, &kept);
  Scrape("200", 50, "old");
  Read();
  now_ += 2 * 3'600'000;
  Scrape("200", 1, "new");
  Read();
  EXPECT_EQ(kept.map.size(), 2U);  // the series and the target of "new"
}

}  // namespace
}  // namespace picket
