// SPDX-License-Identifier: Apache-2.0
#include "agent/wiring/metric_hub.h"

#include <atomic>
#include <map>
#include <mutex>
#include <thread>

#include "gtest/gtest.h"

namespace picket::wiring {
namespace {

/// A destination that knows a series only between OnSeries and OnSeriesGone, and complains
/// otherwise.
class Destination : public SampleSink {
 public:
  void OnSeries(SeriesId id, const Labels& labels,
                const std::shared_ptr<const MetricMetadata>& metadata) override {
    std::lock_guard lock(mutex_);
    EXPECT_FALSE(known_.contains(id)) << "told twice";
    known_[id] = labels.ToString();
    if (metadata != nullptr) help_ = metadata->help;
  }
  void OnSeriesGone(SeriesId id) override {
    std::lock_guard lock(mutex_);
    EXPECT_EQ(known_.erase(id), 1U);
  }
  void OnSourceGone(SourceId) override { ++sources_gone_; }
  void OnRow(const SampleRow& row) override {
    std::lock_guard lock(mutex_);
    for (size_t i = 0; i < row.series.size(); ++i) {
      ASSERT_TRUE(known_.contains(row.series[i]));
      values_[known_[row.series[i]]] = row.values[i];
    }
    ++rows_;
  }
  void OnTimed(SourceId, std::span<const TimedSample> samples) override {
    std::lock_guard lock(mutex_);
    for (const TimedSample& s : samples) values_[known_.at(s.series)] = s.value;
  }
  std::mutex mutex_;
  std::map<SeriesId, std::string> known_;
  std::map<std::string, double> values_;
  std::string help_;
  int rows_ = 0;
  std::atomic<int> sources_gone_{0};
};

class MetricHubTest : public testing::Test {
 protected:
  MetricHubTest() {
    store::tsdb::TsdbOptions options;
    options.clock = &clock_;
    options.balance = balance_;
    options.admit_series = [this] { return room_; };
    store_ = *store::tsdb::Tsdb::Open(std::move(options));
    hub_ = std::make_unique<MetricHub>(*store_);
  }
  SeriesId Intern(SourceId source, std::string name) {
    return *hub_->Intern(
        source, Labels{{"__name__", std::move(name)}},
        std::make_shared<MetricMetadata>(MetricMetadata{MetricType::kGauge, "f", "helps", ""}));
  }
  void Row(SourceId source, uint64_t layout, std::vector<SeriesId> ids,
           std::vector<double> values) {
    clock_.Advance(std::chrono::seconds(1));
    hub_->Append({source, layout, clock_.NowMs(), ids, values});
  }
  ManualClock clock_;
  std::shared_ptr<Balance> balance_ = std::make_shared<Balance>("store", "tsdb", "samples");
  bool room_ = true;
  std::unique_ptr<store::tsdb::Tsdb> store_;
  std::unique_ptr<MetricHub> hub_;
};

TEST_F(MetricHubTest, EverySinkAndTheStoreSeeEveryRow) {
  Destination a, b;
  hub_->AddSink(&a);
  hub_->AddSink(&b);
  const SourceId s = hub_->OpenSource("s");
  const SeriesId x = Intern(s, "x"), y = Intern(s, "y");
  Row(s, 1, {x, y}, {1, 2});
  const TimedSample late{x, clock_.NowMs() + 5, 7};
  hub_->AppendTimed(s, {&late, 1});
  for (Destination* d : {&a, &b}) {
    EXPECT_EQ(d->values_, (std::map<std::string, double>{{"x", 7}, {"y", 2}}));
    EXPECT_EQ(d->help_, "helps");
  }
  EXPECT_EQ(balance_->in(), 3U);
  EXPECT_EQ(balance_->out(), 3U);
  const Matcher m[] = {Matcher::Equal("__name__", "x")};
  EXPECT_EQ((*store_->Select(m, INT64_MIN, INT64_MAX))->series()[0].values.size(), 2U);
}

TEST_F(MetricHubTest, ASeriesIsAnnouncedOnceHoweverManySourcesHaveIt) {
  Destination d;
  hub_->AddSink(&d);
  const SourceId one = hub_->OpenSource("one"), two = hub_->OpenSource("two");
  const SeriesId x = Intern(one, "x");
  EXPECT_EQ(Intern(two, "x"), x);
  hub_->Release(one, x);
  EXPECT_EQ(d.known_.size(), 1U);
  hub_->Release(two, x);
  EXPECT_TRUE(d.known_.empty());
  EXPECT_EQ(Intern(one, "x"), x) << "still in the window, so still the same id";
  EXPECT_EQ(d.known_.size(), 1U);
}

TEST_F(MetricHubTest, ASinkAddedLaterKnowsAllLiveSeries) {
  const SourceId s = hub_->OpenSource("s");
  const SeriesId x = Intern(s, "x"), gone = Intern(s, "gone");
  Row(s, 1, {x, gone}, {1, 1});
  hub_->Release(s, gone);
  Destination d;
  hub_->AddSink(&d);
  EXPECT_EQ(d.known_, (std::map<SeriesId, std::string>{{x, "x"}}));
  EXPECT_EQ(d.help_, "helps");
  Row(s, 2, {x}, {2});
  EXPECT_EQ(d.values_.at("x"), 2);
  hub_->RemoveSink(&d);
  Row(s, 2, {x}, {3});
  EXPECT_EQ(d.values_.at("x"), 2);
}

TEST_F(MetricHubTest, ClosingASourceReleasesWhatItHolds) {
  Destination d;
  hub_->AddSink(&d);
  const SourceId s = hub_->OpenSource("s"), other = hub_->OpenSource("other");
  Intern(s, "x");
  Intern(s, "y");
  Intern(other, "y");
  hub_->CloseSource(s);
  EXPECT_EQ(d.known_.size(), 1U);
  EXPECT_EQ(d.sources_gone_, 1);
  hub_->CloseSource(s);
  Row(s, 1, {0}, {1});
  EXPECT_EQ(balance_->dropped(DropReason::kInvalid), 1U) << "rows of a closed source are counted";
}

TEST_F(MetricHubTest, UnderPressureNewSeriesAreRefusedAndKnownOnesGoOn) {
  Destination d;
  hub_->AddSink(&d);
  const SourceId s = hub_->OpenSource("s");
  const SeriesId x = Intern(s, "x");
  room_ = false;
  const auto refused = hub_->Intern(s, Labels{{"__name__", "new"}}, nullptr);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().kind(), ErrorKind::kOverloaded);
  EXPECT_EQ(d.known_.size(), 1U);
  Row(s, 1, {x}, {5});
  EXPECT_EQ(d.values_.at("x"), 5);
}

TEST_F(MetricHubTest, SinksComeAndGoWhileRowsFlow) {
  constexpr int kSources = 3;
  std::vector<std::thread> threads;
  std::atomic<bool> done{false};
  for (int t = 0; t < kSources; ++t) {
    const SourceId s = hub_->OpenSource("s" + std::to_string(t));
    threads.emplace_back([this, s, t, &done] {
      const SeriesId x = Intern(s, "x" + std::to_string(t));
      for (UnixMs ms = 0; !done; ++ms) {
        const double v = static_cast<double>(ms);
        hub_->Append({s, 1, ms, {&x, 1}, {&v, 1}});
        if (ms % 100 == 0)
          hub_->Release(s, Intern(s, "y" + std::to_string(t) + "_" + std::to_string(ms)));
      }
    });
  }
  for (int i = 0; i < 50; ++i) {
    Destination d;  // gone at the end of the block: no call may come afterwards
    hub_->AddSink(&d);
    while (true) {
      std::lock_guard lock(d.mutex_);
      if (d.rows_ > 20) break;
    }
    hub_->RemoveSink(&d);
  }
  done = true;
  for (auto& t : threads) t.join();
  EXPECT_EQ(balance_->in(), balance_->out());
}

}  // namespace
}  // namespace picket::wiring
