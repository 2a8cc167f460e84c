// SPDX-License-Identifier: Apache-2.0
// Series, sources and samples as they come and go.
#include <chrono>
#include <cstdio>
#include <fstream>
#include <random>
#include <set>
#include <thread>

#include "tests/store/tsdb/story.h"
#include "tests/support/effort.h"

namespace picket::store::tsdb {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

class LifeTest : public testing::Test {
 protected:
  void SetUp() override { store_ = OpenWith({}); }
  std::unique_ptr<Tsdb> OpenWith(TsdbConfig config, std::function<bool()> admit = {}) {
    TsdbOptions options;
    options.config = config;
    options.clock = &clock_;
    options.balance = balance_ = std::make_shared<Balance>("store", "tsdb", "samples");
    options.admit_series = std::move(admit);
    return *Tsdb::Open(std::move(options));
  }
  SeriesId Intern(SourceId source, std::string name) {
    return *store_->Intern(source, Labels{{"__name__", std::move(name)}}, nullptr);
  }
  void Row(SourceId source, uint64_t layout, UnixMs ms,
           std::vector<std::pair<SeriesId, double>> samples) {
    std::vector<SeriesId> ids;
    std::vector<double> values;
    for (auto [id, v] : samples) {
      ids.push_back(id);
      values.push_back(v);
    }
    store_->Append({source, layout, ms, ids, values});
  }
  uint64_t Dropped(DropReason r) const { return balance_->dropped(r); }
  bool Balanced() const {
    const auto b = balance_->Read();
    return b.in == b.out + b.dropped;
  }
  ManualClock clock_;
  std::shared_ptr<Balance> balance_;
  std::unique_ptr<Tsdb> store_;
};

TEST_F(LifeTest, OutOfOrderAndDuplicateRowsAreDroppedAndCounted) {
  const SourceId s = store_->OpenSource("s");
  const SeriesId a = Intern(s, "a"), b = Intern(s, "b");
  const UnixMs t = clock_.NowMs();
  Row(s, 1, t, {{a, 1}, {b, 2}});
  Row(s, 1, t, {{a, 1}, {b, 2}});
  EXPECT_EQ(Dropped(DropReason::kDuplicate), 0U) << "the same again is no loss";
  Row(s, 1, t, {{a, 1}, {b, 3}});
  EXPECT_EQ(Dropped(DropReason::kDuplicate), 1U);
  Row(s, 1, t - 1, {{a, 1}, {b, 2}});
  EXPECT_EQ(Dropped(DropReason::kOutOfOrder), 2U);
  const NaiveStore want = {{"a", {{t, std::bit_cast<uint64_t>(1.0)}}},
                           {"b", {{t, std::bit_cast<uint64_t>(2.0)}}}};
  EXPECT_EQ(Difference(want, ReadAll(*store_)), "");
  EXPECT_TRUE(Balanced());
}

TEST_F(LifeTest, SeveralRowsOfOneTimeMakeOneScrape) {
  // A rule group appends each rule's result by itself, so that the next rule sees it.
  const SourceId s = store_->OpenSource("group");
  NaiveStore want;
  std::vector<SeriesId> ids;
  for (int i = 0; i < 20; ++i) ids.push_back(Intern(s, "r" + std::to_string(i)));
  for (int cycle = 0; cycle < 300; ++cycle) {
    const UnixMs t = clock_.NowMs() + cycle * 15'000;
    for (size_t i = 0; i < 20; i += 2) {
      Row(s, i + 1, t, {{ids[i], cycle}, {ids[i + 1], 1}});
      want["r" + std::to_string(i)][t] = std::bit_cast<uint64_t>(static_cast<double>(cycle));
      want["r" + std::to_string(i + 1)][t] = std::bit_cast<uint64_t>(1.0);
    }
  }
  EXPECT_EQ(Difference(want, ReadAll(*store_)), "");
  EXPECT_TRUE(Balanced());
}

TEST_F(LifeTest, TimedSamplesKeepTheirTimes) {
  const SourceId s = store_->OpenSource("s");
  const SeriesId a = Intern(s, "a");
  const UnixMs t = -5'000;
  const TimedSample batch[] = {{a, t, 1}, {a, t + 1, 2}, {a, t + 1, 2},
                               {a, t, 9}, {a, t + 1, 3}, {a, t + 2, StaleNan()}};
  store_->AppendTimed(s, batch);
  EXPECT_EQ(Dropped(DropReason::kOutOfOrder), 1U);
  EXPECT_EQ(Dropped(DropReason::kDuplicate), 1U);
  EXPECT_TRUE(Balanced());
  const NaiveStore want = {{"a",
                            {{t, std::bit_cast<uint64_t>(1.0)},
                             {t + 1, std::bit_cast<uint64_t>(2.0)},
                             {t + 2, kStaleNanBits}}}};
  EXPECT_EQ(Difference(want, ReadAll(*store_)), "");
}

TEST_F(LifeTest, ASecondSourceOfASeriesFillsInWithoutHarm) {
  const SourceId one = store_->OpenSource("one"), two = store_->OpenSource("two");
  const SeriesId a = Intern(one, "a");
  ASSERT_EQ(Intern(two, "a"), a);
  const UnixMs t = clock_.NowMs();
  NaiveStore want;
  for (int i = 0; i < 400; ++i) {
    Row(one, 1, t + i * 1000, {{a, i}});
    Row(two, 1, t + i * 1000 + 500, {{a, -i}});
    Row(two, 1, t + i * 1000 + 500, {{a, -i}});
    want["a"][t + i * 1000] = std::bit_cast<uint64_t>(static_cast<double>(i));
    want["a"][t + i * 1000 + 500] =
        std::bit_cast<uint64_t>(i == 0 ? -0.0 + 0.0 : -static_cast<double>(i));
  }
  EXPECT_EQ(Difference(want, ReadAll(*store_)), "");
  // The same instants from both: the owner's value is the one that is seen.
  Row(one, 1, t + 1'000'000, {{a, 1}});
  Row(two, 1, t + 1'000'000, {{a, 2}});
  want["a"][t + 1'000'000] = std::bit_cast<uint64_t>(1.0);
  EXPECT_EQ(Difference(want, ReadAll(*store_)), "");
  // When the owner lets go the other becomes the owner, and nothing is lost on the way.
  store_->CloseSource(one);
  for (int i = 0; i < 300; ++i) {
    Row(two, 2 + static_cast<uint64_t>(i == 0), t + 2'000'000 + i * 1000, {{a, i}});
    want["a"][t + 2'000'000 + i * 1000] = std::bit_cast<uint64_t>(static_cast<double>(i));
  }
  EXPECT_EQ(Difference(want, ReadAll(*store_)), "");
  EXPECT_TRUE(Balanced());
}

TEST_F(LifeTest, IdsAreUsedAgainOnlyWhenTheirSamplesAreGone) {
  TsdbConfig config;
  config.retention = hours(2);
  store_ = OpenWith(config);
  const SourceId s = store_->OpenSource("s");
  const SeriesId keep = Intern(s, "keep");
  const SeriesId old = Intern(s, "old");
  uint64_t layout = 1;
  Row(s, layout, clock_.NowMs(), {{keep, 1}, {old, 42}});
  clock_.Advance(seconds(15));
  Row(s, layout++, clock_.NowMs(), {{keep, 1}, {old, StaleNan()}});
  store_->Release(s, old);
  std::set<SeriesId> fresh;
  for (int i = 0; i < 470; ++i) {  // just under two hours
    clock_.Advance(seconds(15));
    const std::string name = "short_" + std::to_string(i);
    const SeriesId id = Intern(s, name);
    EXPECT_NE(id, old) << "its samples are still in the window";
    fresh.insert(id);
    Row(s, layout++, clock_.NowMs(), {{keep, 1}, {id, i}});
    store_->Release(s, id);
    if (i % 20 == 0) store_->Maintain();
    const Matcher m[] = {Eq("__name__", "old")};
    const NaiveStore have = Read(*store_, m, INT64_MIN, INT64_MAX);
    ASSERT_EQ(have.size(), 1U);
    ASSERT_EQ(have.at("old").size(), 2U);
  }
  for (int i = 0; i < 1200; ++i) {
    clock_.Advance(seconds(15));
    Row(s, layout, clock_.NowMs(), {{keep, 1}});
    if (i % 20 == 0) store_->Maintain();
  }
  EXPECT_EQ(store_->Stats().series, 1U);
  EXPECT_LE(Intern(s, "reuse"), *fresh.rbegin()) << "freed ids come back";
  EXPECT_EQ(ReadAll(*store_).size(), 1U);
}

TEST_F(LifeTest, RestartingPodsLeaveMemoryFlat) {
  // A pod a second, for three hours: each a source with twenty series of its own.
  using picket::Rounds;
  const int pods = Rounds(3 * 3600);
  TsdbConfig config;
  config.retention = minutes(Rounds(20));
  TempDir dir;
  TsdbOptions options;
  options.data_dir = dir.path();
  options.config = config;
  options.clock = &clock_;
  store_ = *Tsdb::Open(std::move(options));
  TsdbStats early, late;
  uintmax_t early_file = 0;
  for (int pod = 0; pod < pods; ++pod) {
    clock_.Advance(seconds(1));
    const std::string name = "pod-" + std::to_string(pod);
    const SourceId s = store_->OpenSource(name);
    std::vector<std::pair<SeriesId, double>> row;
    for (int i = 0; i < 20; ++i)
      row.emplace_back(
          *store_->Intern(s, Labels{{"__name__", "m" + std::to_string(i)}, {"pod", name}}, nullptr),
          i);
    Row(s, 1, clock_.NowMs(), row);
    Row(s, 1, clock_.NowMs() + 500, row);
    store_->CloseSource(s);
    if (pod % 10 == 0) store_->Maintain();
    if (pod == pods / 3) {
      early = store_->Stats();
      early_file = std::filesystem::file_size(dir.path() + "/series.tsdb");
    }
  }
  late = store_->Stats();
  EXPECT_LT(static_cast<double>(late.TotalBytes()),
            1.1 * static_cast<double>(early.TotalBytes()) + (4 << 20));
  EXPECT_LT(static_cast<double>(late.series), 1.2 * static_cast<double>(early.series));
  EXPECT_LT(std::filesystem::file_size(dir.path() + "/series.tsdb"), 3 * early_file + (4 << 20));
}

TEST_F(LifeTest, LimitsRefuseNewSeriesWhileKnownOnesGoOn) {
  TsdbConfig config;
  config.max_series = 2;
  store_ = OpenWith(config);
  const SourceId s = store_->OpenSource("s");
  const SeriesId a = Intern(s, "a");
  Intern(s, "b");
  const auto refused = store_->Intern(s, Labels{{"__name__", "c"}}, nullptr);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().kind(), ErrorKind::kOverloaded);
  EXPECT_EQ(Intern(s, "a"), a);
  Row(s, 1, clock_.NowMs(), {{a, 1}});
  EXPECT_EQ(ReadAll(*store_).size(), 1U);

  bool room = true;
  store_ = OpenWith({}, [&] { return room; });
  const SourceId t = store_->OpenSource("t");
  Intern(t, "a");
  room = false;
  EXPECT_FALSE(store_->Intern(t, Labels{{"__name__", "b"}}, nullptr).has_value());
  EXPECT_TRUE(store_->Intern(t, Labels{{"__name__", "a"}}, nullptr).has_value());
}

TEST_F(LifeTest, RetentionKeepsTheWindowAndDropsTheRest) {
  TsdbConfig config;
  config.retention = hours(1);
  store_ = OpenWith(config);
  const SourceId s = store_->OpenSource("s");
  std::vector<std::pair<SeriesId, double>> row;
  for (int i = 0; i < 900; ++i) row.emplace_back(Intern(s, "m" + std::to_string(i)), 0);
  std::mt19937_64 rng(1);
  for (int i = 0; i < 4000; ++i) {
    clock_.Advance(seconds(15));
    for (auto& [id, v] : row) v = std::bit_cast<double>(rng() >> 2);
    Row(s, 1, clock_.NowMs(), row);
  }
  store_->Maintain();
  const UnixMs now = clock_.NowMs();
  EXPECT_LE(store_->OldestMs(), now - 3'600'000);
  EXPECT_GE(store_->OldestMs(), now - 2 * 3'600'000);
  const Matcher m[] = {Eq("__name__", "m7")};
  EXPECT_EQ(Read(*store_, m, now - 3'599'999, now).at("m7").size(), 240U);
}

TEST_F(LifeTest, InstantLooksAtTheNewestRow) {
  const SourceId s = store_->OpenSource("s");
  const SeriesId a = Intern(s, "a"), b = Intern(s, "b");
  const UnixMs t = clock_.NowMs();
  for (int i = 0; i < 130; ++i) Row(s, 1, t + i * 1000, {{a, i}, {b, 1}});
  const Matcher m[] = {Eq("__name__", "a")};
  const auto at = [&](UnixMs ms, Milliseconds lookback) -> std::pair<UnixMs, double> {
    const auto set = *store_->SelectInstant(m, ms, lookback);
    if (set->series().empty()) return {0, -1};
    EXPECT_EQ(set->series()[0].values.size(), 1U);
    return {set->series()[0].times_ms[0], set->series()[0].values[0]};
  };
  EXPECT_EQ(at(t + 129'500, minutes(5)), std::pair(t + 129'000, 129.0));
  EXPECT_EQ(at(t + 128'999, minutes(5)), std::pair(t + 128'000, 128.0))
      << "newer rows are not seen";
  EXPECT_EQ(at(t + 3'000, minutes(5)), std::pair(t + 3'000, 3.0)) << "from a sealed block";
  EXPECT_EQ(at(t - 1, minutes(5)).second, -1);
  EXPECT_EQ(at(t + 129'000 + 300'000, minutes(5)).second, -1) << "the window is open on the left";
  EXPECT_EQ(at(t + 129'000 + 299'999, minutes(5)).second, 129);
  LastSample last;
  ASSERT_TRUE(store_->Last(a, last));
  EXPECT_EQ(last.value, 129);
  EXPECT_EQ(last.timestamp_ms, t + 129'000);
}

TEST_F(LifeTest, MetadataAndLabelsAreListed) {
  const SourceId s = store_->OpenSource("s");
  const auto meta = std::make_shared<MetricMetadata>(
      MetricMetadata{MetricType::kCounter, "http_requests", "Requests.", ""});
  for (const char* code : {"200", "500"})
    Row(s, code[0], clock_.NowMs(),
        {{*store_->Intern(s, Labels{{"__name__", "http_requests_total"}, {"code", code}}, meta),
          1}});
  Row(s, 9, clock_.NowMs(), {{Intern(s, "up"), 1}});
  ASSERT_EQ(store_->Metadata().size(), 1U);
  EXPECT_EQ(store_->Metadata()[0]->help, "Requests.");
  EXPECT_EQ(store_->LabelNames({}), (std::vector<std::string>{"__name__", "code"}));
  EXPECT_EQ(store_->LabelValues("code", {}), (std::vector<std::string>{"200", "500"}));
  const Matcher m[] = {Eq("code", "500")};
  EXPECT_EQ(store_->LabelValues("code", m), std::vector<std::string>{"500"});
  const Matcher up[] = {Eq("__name__", "up")};
  EXPECT_EQ(store_->LabelNames(up), std::vector<std::string>{"__name__"});
  EXPECT_EQ(store_->SelectLabels(up, clock_.NowMs() - 1000, clock_.NowMs()).size(), 1U);
  EXPECT_EQ(store_->SelectLabels(up, clock_.NowMs() - 1000, clock_.NowMs() - 1).size(), 0U);
}

TEST_F(LifeTest, RowsFromManyThreadsWhileReadersRead) {
  constexpr int kThreads = 4, kSeries = 50, kRows = 400;
  std::vector<std::thread> threads;
  std::vector<SourceId> sources;
  std::vector<std::vector<SeriesId>> ids(kThreads);
  for (int t = 0; t < kThreads; ++t) {
    sources.push_back(store_->OpenSource("t" + std::to_string(t)));
    for (int i = 0; i < kSeries; ++i)
      ids[t].push_back(*store_->Intern(
          sources[t], Labels{{"__name__", "m"}, {"t", std::to_string(t)}, {"i", std::to_string(i)}},
          nullptr));
  }
  const UnixMs start = clock_.NowMs();
  std::atomic<bool> done{false};
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int r = 0; r < kRows; ++r) {
        const std::vector<double> values(kSeries, r);
        store_->Append({sources[t], 1, start + r * 1000, ids[t], values});
        if (r % 50 == 7) {
          const SeriesId extra = *store_->Intern(
              sources[t],
              Labels{{"__name__", "x"}, {"t", std::to_string(t)}, {"r", std::to_string(r)}},
              nullptr);
          const TimedSample sample{extra, start + r, 1};
          store_->AppendTimed(sources[t], {&sample, 1});
          store_->Release(sources[t], extra);
        }
      }
    });
  }
  threads.emplace_back([&] {
    while (!done) store_->Maintain();
  });
  const Matcher m[] = {Eq("__name__", "m")};
  for (int i = 0; i < 60; ++i) {
    const auto set = *store_->Select(m, INT64_MIN, INT64_MAX);
    std::map<std::string, size_t> rows_of_target;
    for (const SeriesColumns& c : set->series()) {
      for (size_t k = 0; k < c.values.size(); ++k)
        ASSERT_EQ(c.values[k], static_cast<double>(k)) << "a prefix, without holes";
      // Of a row all or nothing: the series of a target end together.
      const auto [it, added] =
          rows_of_target.emplace(std::string(c.labels->Get("t")), c.values.size());
      ASSERT_EQ(it->second, c.values.size());
    }
    (void)*store_->SelectInstant(m, start + 100'000, minutes(5));
  }
  for (int t = 0; t < kThreads; ++t) threads[static_cast<size_t>(t)].join();
  done = true;
  threads.back().join();
  EXPECT_TRUE(Balanced());
  EXPECT_EQ(Dropped(DropReason::kOutOfOrder), 0U);
}

TEST(RestartTest, AHundredThousandSeriesAreBackAtOnce) {
  TempDir dir;
  Story story(dir.path(), Unbounded());
  story.Open();
  story.OpenTargets(100, 1000);
  for (int64_t r = 0; r < 130; ++r) story.ScrapeAll(r, false);
  const auto begin = std::chrono::steady_clock::now();
  story.Reopen();
  const auto took = std::chrono::steady_clock::now() - begin;
  // A figure for people; the goal (under a second) is judged in bench/.
  std::printf(
      "reopened 100,000 series, 13 M samples in %lld ms\n",
      static_cast<long long>(std::chrono::duration_cast<std::chrono::milliseconds>(took).count()));
  EXPECT_EQ(story.store->Stats().series, 100'000U);
  EXPECT_EQ(story.store->recovery().damaged_parts, 0U);
  const Matcher m[] = {Eq("target", "99"), Eq("i", "999")};
  const NaiveStore have = Read(*story.store, m, INT64_MIN, INT64_MAX);
  ASSERT_EQ(have.size(), 1U);
  EXPECT_EQ(have.begin()->second.size(), 130U);
}

/// Bytes of the files below `dir` that are mapped into this process and resident.
uint64_t ResidentOf(const std::string& dir) {
  std::ifstream maps("/proc/self/smaps");
  uint64_t total = 0, kib = 0;
  bool ours = false;
  for (std::string line; std::getline(maps, line);) {
    if (line.find('-') != std::string::npos && line.find(" rw-s ") != std::string::npos)
      ours = line.find(dir) != std::string::npos;
    else if (line.starts_with("Rss:") && ours && std::sscanf(line.c_str(), "Rss: %lu", &kib) == 1)
      total += kib * 1024;
    if (line.starts_with("VmFlags:")) ours = false;
  }
  return total;
}

TEST(MemoryTest, TheWindowIsThePageCachesAndNotTheProcesses) {
  TempDir dir;
  Story story(dir.path(), Unbounded());
  story.Open();
  story.OpenTargets(20, 500);
  for (int64_t r = 0; r < 500; ++r) story.ScrapeAll(r, false);
  const auto stats = story.store->Stats();
  const uint64_t window = stats.segment_bytes + stats.open_bytes;
  ASSERT_GT(window, 4U << 20);
  EXPECT_LT(ResidentOf(dir.path()), window / 4) << "while it is written";

  const NaiveStore all = Read(*story.store, {}, INT64_MIN, INT64_MAX);
  EXPECT_GT(ResidentOf(dir.path()), window / 2) << "a reader touches it";
  story.clock.Advance(minutes(2));
  story.store->Maintain();
  EXPECT_LT(ResidentOf(dir.path()), window / 4) << "some time after";
  EXPECT_EQ(Read(*story.store, {}, INT64_MIN, INT64_MAX), all) << "nothing of it was lost";

  story.Reopen();
  EXPECT_LT(ResidentOf(dir.path()), window / 4) << "after a restart has checked it";
  EXPECT_EQ(Read(*story.store, {}, INT64_MIN, INT64_MAX), all);
}

}  // namespace
}  // namespace picket::store::tsdb
