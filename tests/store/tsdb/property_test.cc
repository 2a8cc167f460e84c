// SPDX-License-Identifier: Apache-2.0
// Random lives of a store against a naive model: appends, layouts, churn, restarts, queries.
#include <random>

#include "tests/store/tsdb/model_store.h"

namespace picket::store::tsdb {
namespace {

using Rng = std::mt19937_64;

/// A value stream like those of real exporters.
double NextValue(Rng& rng, int kind, double last) {
  switch (kind % 8) {
    case 0:
      return 1;
    case 1:
      return last + static_cast<double>(rng() % 10);
    case 2:
      return last + static_cast<double>(rng() % 1000) / 977.0;
    case 3:
      return static_cast<double>(rng() % 10000) / 100.0;
    case 4:
      return rng() % 20 == 0 ? StaleNan() : last + 1;
    case 5:
      return rng() % 10 == 0 ? last * -1.5 : last;
    case 6: {
      const double odd[] = {0.0,
                            -0.0,
                            1e300,
                            -1e-300,
                            std::numeric_limits<double>::infinity(),
                            std::numeric_limits<double>::quiet_NaN(),
                            9007199254740993.0,
                            -4503599627370497.5};
      return odd[rng() % 8];
    }
    default:
      return std::bit_cast<double>(rng());
  }
}

/// A scrape target whose series come and go.
class Target {
 public:
  Target(int number, size_t size, Rng& rng) : number_(number), rng_(&rng) {
    for (size_t i = 0; i < size; ++i) AddSeries();
  }
  void Open(Tsdb& store) {
    source_ = store.OpenSource("target " + std::to_string(number_));
    for (Member& m : members_) m.id = *store.Intern(source_, m.labels, nullptr);
    ++layout_;
  }
  /// Some series leave (with a marker in one last row), some come.
  void Churn(Tsdb& store, NaiveStore& naive, UnixMs now) {
    std::vector<SeriesId> ids;
    std::vector<double> values;
    std::vector<Member> stay, leave;
    for (Member& m : members_) {
      const bool leaves = (*rng_)() % 8 == 0 && members_.size() > 4;
      (leaves ? leave : stay).push_back(m);
      m.value = leaves ? StaleNan() : NextValue(*rng_, m.kind, m.value);
      ids.push_back(m.id);
      values.push_back(m.value);
      naive[m.labels.ToString()][now] = std::bit_cast<uint64_t>(m.value);
    }
    store.Append({source_, layout_, now, ids, values});
    for (const Member& m : leave) store.Release(source_, m.id);
    members_ = stay;
    for (size_t i = (*rng_)() % 5; i > 0; --i) {
      AddSeries();
      members_.back().id = *store.Intern(source_, members_.back().labels, nullptr);
    }
    ++layout_;
  }
  void Scrape(Tsdb& store, NaiveStore& naive, UnixMs now) {
    std::vector<SeriesId> ids;
    std::vector<double> values;
    for (Member& m : members_) {
      m.value = NextValue(*rng_, m.kind, m.value);
      ids.push_back(m.id);
      values.push_back(m.value);
      naive[m.labels.ToString()][now] = std::bit_cast<uint64_t>(m.value);
    }
    store.Append({source_, layout_, now, ids, values});
  }
  /// Only part of the series, in another order, as a target does that fails half-way.
  void ScrapePart(Tsdb& store, NaiveStore& naive, UnixMs now) {
    std::vector<SeriesId> ids;
    std::vector<double> values;
    for (size_t i = members_.size(); i-- > 0;) {
      Member& m = members_[i];
      if ((*rng_)() % 3 == 0) continue;
      m.value = NextValue(*rng_, m.kind, m.value);
      ids.push_back(m.id);
      values.push_back(m.value);
      naive[m.labels.ToString()][now] = std::bit_cast<uint64_t>(m.value);
    }
    store.Append({source_, 1'000'000 + ++part_layout_, now, ids, values});
  }
  void Timed(Tsdb& store, NaiveStore& naive, UnixMs now) {
    // Series of their own, as a gateway pushes them.
    std::vector<TimedSample> samples;
    for (int i = 0; i < 5; ++i) {
      const Labels labels{
          {"__name__", "pushed"}, {"instance", std::to_string(number_)}, {"n", std::to_string(i)}};
      const SeriesId id = *store.Intern(source_, labels, nullptr);
      for (int k = 0; k < 3; ++k) {
        const UnixMs ms = now - 10 + k * 3 + i;
        const double v = NextValue(*rng_, i, static_cast<double>(now));
        samples.push_back({id, ms, v});
        naive[labels.ToString()][ms] = std::bit_cast<uint64_t>(v);
      }
    }
    store.AppendTimed(source_, samples);
  }

 private:
  struct Member {
    Labels labels;
    int kind;
    double value;
    SeriesId id;
  };
  void AddSeries() {
    const int n = next_++;
    members_.push_back({Labels{{"__name__", "m" + std::to_string(n % 7)},
                               {"instance", std::to_string(number_)},
                               {"n", std::to_string(n)},
                               {"job", number_ % 2 == 0 ? "even" : "odd"}},
                        n, static_cast<double>(n), kNoSeries});
  }
  int number_;
  Rng* rng_;
  int next_ = 0;
  SourceId source_ = 0;
  uint64_t layout_ = 1;
  uint64_t part_layout_ = 0;
  std::vector<Member> members_;
};

class PropertyTest : public testing::TestWithParam<int> {};

TEST_P(PropertyTest, ReadsBackWhatWasAppended) {
  Rng rng(static_cast<uint64_t>(GetParam()));
  const bool on_disk = GetParam() % 2 == 0;
  TempDir dir;
  ManualClock clock;
  TsdbConfig config;
  config.retention = Milliseconds(0);
  NaiveStore naive;
  std::vector<Target> targets;
  for (int i = 0; i < 4; ++i) targets.emplace_back(i, i == 3 ? 1500 : 5 + rng() % 150, rng);
  auto store = OpenStore(on_disk ? dir.path() : "", clock, config);
  for (Target& t : targets) t.Open(*store);
  // Times before 1970 too: conformance replays need them.
  UnixMs now = GetParam() % 3 == 0 ? -2'000'000 : 1'700'000'000'000;
  for (int round = 0; round < 400; ++round) {
    now += 15'000 + static_cast<UnixMs>(rng() % 7);
    clock.Advance(std::chrono::seconds(15));
    for (size_t t = 0; t < targets.size(); ++t) {
      if (t == 3 && round % 4 != 0) continue;
      const auto dice = rng() % 40;
      if (dice == 0)
        targets[t].Churn(*store, naive, now);
      else if (dice == 1)
        targets[t].ScrapePart(*store, naive, now);
      else if (dice != 2)
        targets[t].Scrape(*store, naive, now);
      if (t < 2) targets[t].Timed(*store, naive, now);
    }
    if (on_disk && rng() % 50 == 0) {
      store.reset();
      store = OpenStore(dir.path(), clock, config);
      EXPECT_EQ(store->recovery().damaged_parts, 0U);
      for (Target& t : targets) t.Open(*store);
    }
    if (rng() % 25 == 0) {
      const UnixMs from = now - static_cast<UnixMs>(rng() % 4'000'000);
      const UnixMs to = from + static_cast<UnixMs>(rng() % 4'000'000);
      const Matcher all[] = {Everything()};
      ASSERT_EQ(Difference(Cut(naive, from, to), Read(*store, all, from, to)), "")
          << "round " << round;
    }
    if (rng() % 60 == 0) store->Maintain();
  }
  EXPECT_EQ(Difference(naive, ReadAll(*store)), "");
  EXPECT_GT(store->Stats().blocks, 0U);
}

INSTANTIATE_TEST_SUITE_P(Seeds, PropertyTest, testing::Range(0, 8));

TEST(SelectTest, AgreesWithTheMatchersOnEachSeries) {
  Rng rng(7);
  ManualClock clock;
  auto store = OpenStore("", clock);
  const SourceId source = store->OpenSource("s");
  std::vector<Labels> series;
  std::vector<SeriesId> ids;
  std::vector<double> values;
  for (int i = 0; i < 300; ++i) {
    std::vector<std::pair<std::string, std::string>> pairs = {
        {"__name__", "m" + std::to_string(i % 5)}, {"n", std::to_string(i)}};
    if (i % 3 != 0) pairs.emplace_back("a", std::string(1, static_cast<char>('x' + i % 3)));
    if (i % 4 == 0) pairs.emplace_back("b", "only some");
    series.emplace_back(pairs);
    ids.push_back(*store->Intern(source, series.back(), nullptr));
    values.push_back(i);
  }
  const UnixMs now = clock.NowMs();
  store->Append({source, 1, now, ids, values});
  const char* names[] = {"__name__", "a", "b", "n", "absent"};
  const char* patterns[] = {"m1",     "m1|m2", "m.*", "x",  "y|z",   "",
                            "only.*", "1.*",   ".*",  ".+", "m[^1]", "x|"};
  for (int round = 0; round < 2000; ++round) {
    std::vector<Matcher> matchers;
    for (size_t n = 1 + rng() % 3; n > 0; --n)
      matchers.push_back(
          Make(static_cast<Matcher::Type>(rng() % 4), names[rng() % 5], patterns[rng() % 12]));
    NaiveStore want;
    for (size_t i = 0; i < series.size(); ++i)
      if (std::all_of(matchers.begin(), matchers.end(),
                      [&](const Matcher& m) { return m.Matches(series[i].Get(m.name())); }))
        want[series[i].ToString()][now] = std::bit_cast<uint64_t>(values[i]);
    std::string text;
    for (const Matcher& m : matchers) text += m.ToString() + " ";
    ASSERT_EQ(Difference(want, Read(*store, matchers, now, now)), "") << text;
    ASSERT_EQ(store->SelectLabels(matchers, INT64_MIN, INT64_MAX).size(), want.size()) << text;
  }
}

}  // namespace
}  // namespace picket::store::tsdb
