// SPDX-License-Identifier: Apache-2.0
#include "exporters/remote_write/encoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <thread>

#include "tests/exporters/remote_write/decode.h"

namespace picket::exporters::remote_write {
namespace {

using namespace testing;
using namespace std::chrono_literals;

constexpr UnixMs kNow = 1'700'000'000'000;

/// Every case holds for both protocols.
class EncoderTest : public ::testing::TestWithParam<bool> {
 protected:
  struct Sent {
    uint16_t lane;
    uint32_t samples;
    uint16_t type;
    DecodedRequest request;
  };
  bool v2() const { return GetParam(); }

  void Make(EncoderOptions o = {}) {
    o.v2 = v2();
    o.clock = &clock_;
    encoder_ = std::make_unique<Encoder>(o, [this](const EncodedRequest& r) {
      auto decoded = Decode(r.type == kRecordV2, r.body);
      EXPECT_EQ(decoded.samples(), r.samples);
      std::lock_guard lock(mutex_);
      sent_.push_back({r.lane, r.samples, r.type, std::move(decoded)});
    });
  }
  void Series(SeriesId id, std::string name,
              std::vector<std::pair<std::string, std::string>> more = {},
              std::shared_ptr<const MetricMetadata> metadata = nullptr) {
    more.emplace_back("__name__", name);
    encoder_->OnSeries(id, Labels(std::move(more)), metadata);
  }
  uint32_t Row(SourceId source, uint64_t layout, UnixMs t, std::vector<SeriesId> ids,
               std::vector<double> values) {
    return encoder_->OnRow({source, layout, t, ids, values});
  }
  /// All series sent, merged in order of sending.
  std::map<std::string, std::vector<DecodedSample>> All() {
    encoder_->Flush(Duration::max(), true);
    std::map<std::string, std::vector<DecodedSample>> out;
    for (const auto& s : sent_)
      for (const auto& series : s.request.series)
        for (const auto& sample : series.samples) out[series.Key()].push_back(sample);
    return out;
  }

  ManualClock clock_;
  std::unique_ptr<Encoder> encoder_;
  std::mutex mutex_, series_mutex_;
  std::vector<Sent> sent_;
};

INSTANTIATE_TEST_SUITE_P(Protocols, EncoderTest, ::testing::Bool(),
                         [](const auto& parameter) { return parameter.param ? "v2" : "v1"; });

TEST_P(EncoderTest, ValuesArriveBitByBit) {
  const std::vector<double> values = {0,
                                      -0.0,
                                      1,
                                      -1.5,
                                      0.1,
                                      1e-300,
                                      5e-324,
                                      std::numeric_limits<double>::max(),
                                      std::numeric_limits<double>::infinity(),
                                      -std::numeric_limits<double>::infinity(),
                                      std::bit_cast<double>(uint64_t{0x7ff8000000000001}),
                                      StaleNan(),
                                      123456789012345678.0};
  for (const uint32_t direct : {1U, 100U}) {
    sent_.clear();
    Make({.direct_samples = direct});
    std::vector<SeriesId> ids;
    for (SeriesId i = 0; i < values.size(); ++i) {
      Series(i, "m" + std::to_string(i), {{"job", "a"}, {"instance", "b:1"}});
      ids.push_back(i);
    }
    Row(1, 1, kNow, ids, values);
    Row(1, 1, kNow + 15'000, ids, {values.rbegin(), values.rend()});
    const auto all = All();
    ASSERT_EQ(all.size(), values.size());
    for (size_t i = 0; i < values.size(); ++i) {
      const auto& got = all.at("__name__=m" + std::to_string(i) + ";instance=b:1;job=a;");
      ASSERT_EQ(got.size(), 2U);
      EXPECT_EQ(got[0].bits, std::bit_cast<uint64_t>(values[i]));
      EXPECT_EQ(got[1].bits, std::bit_cast<uint64_t>(values[values.size() - 1 - i]));
      EXPECT_EQ(got[0].t, kNow);
      EXPECT_EQ(got[1].t, kNow + 15'000);
    }
  }
}

TEST_P(EncoderTest, AnyTimestampIsCarried) {
  Make({.direct_samples = 1});
  Series(0, "a");
  Series(1, "b");
  const std::vector<UnixMs> times = {0, 1, -1, kNow, kNow + 1, INT64_MAX, INT64_MIN, 127, 128};
  for (const UnixMs t : times) Row(1, 1, t, {0, 1}, {1, 2});
  const auto all = All();
  ASSERT_EQ(all.at("__name__=a;").size(), times.size());
  for (size_t i = 0; i < times.size(); ++i) {
    EXPECT_EQ(all.at("__name__=a;")[i].t, times[i]);
    EXPECT_EQ(all.at("__name__=b;")[i].t, times[i]);
  }
}

TEST_P(EncoderTest, ANewLayoutMakesANewTemplate) {
  Make({.direct_samples = 1});
  for (SeriesId i = 0; i < 4; ++i) Series(i, "m" + std::to_string(i));
  Row(1, 1, kNow, {0, 1, 2}, {10, 11, 12});
  Row(1, 2, kNow + 1, {2, 3, 0}, {22, 23, 20});
  Row(1, 1, kNow + 2, {0, 1, 2}, {30, 31, 32});
  Row(2, 1, kNow + 2, {3}, {33});
  const auto all = All();
  EXPECT_EQ(all.at("__name__=m0;").size(), 3U);
  EXPECT_EQ(all.at("__name__=m0;")[1].value(), 20);
  EXPECT_EQ(all.at("__name__=m2;")[1].value(), 22);
  EXPECT_EQ(all.at("__name__=m3;")[1].value(), 33);
}

TEST_P(EncoderTest, AnIdThatIsReusedMeansItsNewLabels) {
  for (const uint32_t direct : {1U, 100U}) {
    sent_.clear();
    Make({.direct_samples = direct});
    Series(0, "old", {{"pod", "old-1"}});
    Series(1, "stays");
    Row(1, 1, kNow, {0, 1}, {1, 2});
    encoder_->OnSeriesGone(0);
    Row(1, 2, kNow + 1, {1}, {3});
    Series(0, "new", {{"pod", "new-1"}});
    Row(1, 3, kNow + 2, {0, 1}, {4, 5});
    const auto all = All();
    EXPECT_EQ(all.at("__name__=old;pod=old-1;").size(), 1U);
    EXPECT_EQ(all.at("__name__=new;pod=new-1;").size(), 1U);
    EXPECT_EQ(all.at("__name__=stays;").size(), 3U);
  }
}

TEST_P(EncoderTest, ExternalLabelsThenRelabellingOncePerSeries) {
  EncoderOptions o;
  o.external_labels = Labels{{"cluster", "c1"}, {"job", "external"}};
  relabel::Config drop;
  drop.source_labels = {"__name__"};
  drop.regex = *relabel::Regex::Compile("go_.*");
  drop.action = relabel::Action::kDrop;
  relabel::Config rename;
  rename.source_labels = {"cluster"};
  rename.target_label = relabel::Template("region");
  rename.replacement = relabel::Template("eu-$1");
  o.relabel = {drop, rename};
  for (const uint32_t direct : {1U, 100U}) {
    sent_.clear();
    o.direct_samples = direct;
    Make(o);
    Series(0, "up", {{"job", "own"}});
    Series(1, "go_threads");
    Series(2, "z_last");
    EXPECT_EQ(Row(1, 1, kNow, {0, 1, 2}, {1, 2, 3}), 1U);
    EXPECT_EQ(Row(1, 1, kNow + 1, {0, 1, 2}, {1, 2, 4}), 1U);
    const auto all = All();
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all.at("__name__=up;cluster=c1;job=own;region=eu-c1;").size(), 2U);
    EXPECT_EQ(all.at("__name__=z_last;cluster=c1;job=external;region=eu-c1;")[1].value(), 4);
  }
}

TEST_P(EncoderTest, ALargeRowIsSplitAndALineIsNeverLonger) {
  Make({.max_samples = 100, .direct_samples = 25});
  std::vector<SeriesId> ids;
  std::vector<double> values;
  for (SeriesId i = 0; i < 250; ++i) {
    Series(i, "m", {{"i", std::to_string(i)}});
    ids.push_back(i);
    values.push_back(i * 2);
  }
  Row(7, 1, kNow, ids, values);
  ASSERT_EQ(sent_.size(), 3U) << "at once, without waiting for a batch";
  EXPECT_EQ(sent_[0].samples, 100U);
  EXPECT_EQ(sent_[2].samples, 50U);
  for (const auto& s : sent_) EXPECT_EQ(s.lane, sent_[0].lane);
  const auto all = All();
  for (SeriesId i = 0; i < 250; ++i)
    EXPECT_EQ(all.at("__name__=m;i=" + std::to_string(i) + ";")[0].value(), i * 2);
}

TEST_P(EncoderTest, SmallSourcesShareARequestUntilTheDeadline) {
  std::vector<Duration> deadlines;
  Make({.max_samples = 100, .direct_samples = 25, .deadline = 5s});
  encoder_->SetOnPending([&](Duration d) { deadlines.push_back(d); });
  for (SeriesId i = 0; i < 30; ++i) Series(i, "m", {{"i", std::to_string(i)}, {"job", "shared"}});
  for (int second = 0; second < 4; ++second) {
    for (SourceId source = 0; source < 3; ++source)
      Row(source, 1, kNow + second, {source * 2, source * 2 + 1}, {1.0 * second, 2});
    clock_.Advance(1s);
    EXPECT_TRUE(encoder_->Flush(clock_.Steady()).has_value());
  }
  EXPECT_TRUE(sent_.empty());
  EXPECT_EQ(encoder_->pending(), 24U);
  EXPECT_THAT(deadlines, ::testing::ElementsAre(Duration(5s)));
  clock_.Advance(1s);
  EXPECT_FALSE(encoder_->Flush(clock_.Steady()).has_value());
  ASSERT_EQ(sent_.size(), 1U);
  EXPECT_EQ(sent_[0].samples, 24U);
  EXPECT_EQ(encoder_->pending(), 0U);
  for (const auto& [key, samples] : All())
    EXPECT_TRUE(std::is_sorted(samples.begin(), samples.end(), [](auto& a, auto& b) {
      return a.t < b.t;
    })) << key;
}

TEST_P(EncoderTest, AFullBatchGoesAtOnce) {
  Make({.max_samples = 10, .direct_samples = 8});
  for (SeriesId i = 0; i < 4; ++i) Series(i, "m", {{"i", std::to_string(i)}});
  for (int k = 0; k < 6; ++k) Row(1, 1, kNow + k, {0, 1, 2, 3}, {1, 2, 3, 4});
  EXPECT_GE(sent_.size(), 2U);
  for (const auto& s : sent_) EXPECT_LE(s.samples, 10U);
  for (const auto& [key, samples] : All()) EXPECT_EQ(samples.size(), 6U) << key;
}

TEST_P(EncoderTest, ASourceKeepsItsLaneAndOrderWhateverTheSizeOfItsRows) {
  Make({.max_samples = 100, .direct_samples = 20});
  std::vector<SeriesId> many;
  for (SeriesId i = 0; i < 40; ++i) {
    Series(i, "m", {{"i", std::to_string(i)}});
    many.push_back(i);
  }
  const std::vector<double> values(40, 1.0);
  for (int k = 0; k < 6; ++k) {
    if (k % 2 == 0)
      Row(1, 1, kNow + k, {0, 1}, {1, 2});
    else
      Row(1, 2, kNow + k, many, values);
    if (k % 2 == 0)
      Row(2, 2, kNow + k, many, values);
    else
      Row(2, 1, kNow + k, {0, 1}, {1, 2});
  }
  encoder_->OnTimed(2, std::vector<TimedSample>{{0, kNow + 100, 1}});
  encoder_->OnTimed(1, std::vector<TimedSample>{{0, kNow + 100, 1}});
  encoder_->Flush(Duration::max(), true);
  std::map<uint16_t, int64_t> newest;
  std::set<uint16_t> lanes;
  for (const auto& s : sent_) {
    lanes.insert(s.lane);
    for (const auto& series : s.request.series)
      for (const auto& sample : series.samples) {
        if (series.Get("i") != "0") continue;
        EXPECT_GE(sample.t, newest[s.lane]);
        newest[s.lane] = sample.t;
      }
  }
  EXPECT_EQ(lanes.size(), 2U) << "one for the batches, one for the source that began large";
}

TEST_P(EncoderTest, SamplesWithTimesOfTheirOwn) {
  Make();
  Series(0, "a");
  Series(1, "b");
  EXPECT_EQ(encoder_->OnTimed(1,
                              std::vector<TimedSample>{
                                  {0, kNow, 1}, {0, kNow + 1, 2}, {1, kNow - 5, 3}, {9, kNow, 4}}),
            1U)
      << "an unknown series is not sent";
  const auto all = All();
  EXPECT_EQ(all.at("__name__=a;").size(), 2U);
  EXPECT_EQ(all.at("__name__=b;")[0].t, kNow - 5);
}

TEST_P(EncoderTest, LabelsAreSortedUniqueAndMayHoldAnything) {
  Make({.direct_samples = 1});
  const std::string large(12'000, 'x');
  Series(0, "m:colon",
         {{"zz", "1"}, {"aa", "\xc3\xa9\n\"\\"}, {"Z", "2"}, {"large", large}, {"empty", ""}});
  Row(1, 1, kNow, {0}, {1});
  const auto& labels = sent_.at(0).request.series.at(0).labels;
  ASSERT_EQ(labels.size(), 5U) << "an empty value is no label";
  EXPECT_TRUE(std::is_sorted(labels.begin(), labels.end()));
  EXPECT_EQ(sent_[0].request.series[0].Get("aa"), "\xc3\xa9\n\"\\");
  EXPECT_EQ(sent_[0].request.series[0].Get("large"), large);
  EXPECT_EQ(labels[1].first, "__name__");
}

TEST_P(EncoderTest, MetadataTravelsWithTheSeriesInV2AndApartInV1) {
  Make({.direct_samples = 1});
  auto counter = std::make_shared<MetricMetadata>(MetricMetadata{
      MetricType::kCounter, "requests_total", "Requests, \"all\"\nof them.", "requests"});
  auto bare = std::make_shared<MetricMetadata>(MetricMetadata{MetricType::kGauge, "temp", "", ""});
  Series(0, "requests_total", {{"code", "200"}}, counter);
  Series(1, "requests_total", {{"code", "500"}}, counter);
  Series(2, "temp", {}, bare);
  Row(1, 1, kNow, {0, 1, 2}, {1, 2, 3});
  const auto& series = sent_.at(0).request.series;
  if (v2()) {
    EXPECT_EQ(series[0].type, 1U);
    EXPECT_EQ(series[1].help, counter->help);
    EXPECT_EQ(series[1].unit, "requests");
    EXPECT_EQ(series[2].type, 2U);
    EXPECT_EQ(series[2].help, "");
  }
  const auto families = encoder_->Families();
  ASSERT_EQ(families.size(), 2U);
  const auto decoded = Decode(false, Compress(EncodeMetadata(families)));
  std::map<std::string, DecodedMetadata> by_family;
  for (const auto& m : decoded.metadata) by_family[m.family] = m;
  EXPECT_EQ(by_family.at("requests_total").type, 1U);
  EXPECT_EQ(by_family.at("requests_total").help, counter->help);
  EXPECT_EQ(by_family.at("requests_total").unit, "requests");
  EXPECT_EQ(by_family.at("temp").type, 2U);
  for (SeriesId i = 0; i < 3; ++i) encoder_->OnSeriesGone(i);
  EXPECT_TRUE(encoder_->Families().empty());
}

TEST(Compress, BodiesOfAnySizeComeBack) {
  for (size_t n = 0; n < 300; ++n) {
    std::string text;
    for (size_t i = 0; i < n; ++i) text += static_cast<char>('a' + i * i % 26);
    const std::string block(Compress(text));
    auto back = Uncompress(block);
    ASSERT_TRUE(back) << n << " in " << block.size();
    ASSERT_EQ(*back, text);
  }
}

TEST_P(EncoderTest, HalvesOfARequestAreWholeRequests) {
  Make({.direct_samples = 1});
  auto metadata =
      std::make_shared<MetricMetadata>(MetricMetadata{MetricType::kCounter, "m", "help", "unit"});
  std::vector<SeriesId> ids;
  std::vector<double> values;
  for (SeriesId i = 0; i < 9; ++i) {
    Series(i, "m", {{"i", std::to_string(i)}, {"even", i % 2 == 0 ? "yes" : "no"}}, metadata);
    ids.push_back(i);
    values.push_back(i);
  }
  std::string body;
  uint16_t type = 0;
  EncoderOptions o;
  o.v2 = v2();
  o.direct_samples = 1;
  Row(1, 1, kNow, ids, values);
  const auto whole = sent_.at(0).request;
  Encoder capture(o, [&](const EncodedRequest& r) {
    body = *Uncompress(r.body);
    type = r.type;
  });
  for (SeriesId i = 0; i < 9; ++i)
    capture.OnSeries(
        i, Labels{{"__name__", "m"}, {"i", std::to_string(i)}, {"even", i % 2 == 0 ? "yes" : "no"}},
        metadata);
  capture.OnRow({1, 1, kNow, ids, values});
  auto halves = SplitRequest(type, body);
  ASSERT_TRUE(halves);
  ASSERT_EQ(halves->size(), 2U);
  EXPECT_EQ((*halves)[0].second + (*halves)[1].second, 9U);
  std::vector<DecodedSeries> joined;
  for (const auto& [bytes, samples] : *halves) {
    const auto part = v2() ? DecodeV2(bytes) : DecodeV1(bytes);
    EXPECT_EQ(part.samples(), samples);
    joined.insert(joined.end(), part.series.begin(), part.series.end());
  }
  for (size_t i = 0; i < 9; ++i) {
    EXPECT_EQ(joined[i].Key(), whole.series[i].Key());
    EXPECT_EQ(joined[i].samples.at(0).bits, whole.series[i].samples[0].bits);
    EXPECT_EQ(joined[i].help, whole.series[i].help);
    EXPECT_EQ(joined[i].type, whole.series[i].type);
  }
  auto one = SplitRequest(
      type, (*SplitRequest(type, (*SplitRequest(type, (*halves)[0].first))[0].first))[0].first);
  EXPECT_FALSE(one) << "a single series is not split";
  if (v2()) {
    auto v1 = TranslateToV1(body);
    ASSERT_TRUE(v1);
    const auto translated = DecodeV1(*v1);
    ASSERT_EQ(translated.series.size(), 9U);
    for (size_t i = 0; i < 9; ++i) {
      EXPECT_EQ(translated.series[i].Key(), whole.series[i].Key());
      EXPECT_EQ(translated.series[i].samples.at(0).t, kNow);
      EXPECT_EQ(translated.series[i].samples.at(0).bits, whole.series[i].samples[0].bits);
    }
  }
}

TEST_P(EncoderTest, GoesOverToV1InTheMiddle) {
  for (const uint32_t direct : {1U, 100U}) {
    sent_.clear();
    Make({.direct_samples = direct});
    Series(0, "a");
    Row(1, 1, kNow, {0}, {1});
    encoder_->UseV1();
    Row(1, 1, kNow + 1, {0}, {2});
    Row(1, 1, kNow + 2, {0}, {3});
    const auto all = All();
    ASSERT_EQ(all.at("__name__=a;").size(), 3U);
    EXPECT_EQ(sent_.back().type, kRecordV1);
    EXPECT_EQ(sent_.front().type, v2() ? kRecordV2 : kRecordV1);
  }
}

TEST_P(EncoderTest, LabelsOfAnyLengthKeepTheirNeighboursWhole) {
  for (const uint32_t direct : {1U, 100U}) {
    sent_.clear();
    Make({.direct_samples = direct});
    std::vector<SeriesId> ids;
    std::vector<double> values;
    // Lengths around every step of copying and every width of a length, long ones beside short
    // ones.
    for (const size_t n :
         {1,  2,  20'000, 3,  14, 15, 16, 17, 31,  32,  33,  47,  48,  49,     80,     90,
          91, 92, 93,     94, 95, 96, 97, 98, 110, 120, 126, 127, 128, 16'300, 16'384, 5})
      for (const char c : {'a', 'b'}) {
        const auto id = static_cast<SeriesId>(ids.size());
        Series(id, "m", {{"v", std::string(n, c)}});
        ids.push_back(id);
        values.push_back(static_cast<double>(n));
      }
    for (int k = 0; k < 2; ++k) Row(1, 1, kNow + k, ids, values);
    const auto all = All();
    ASSERT_EQ(all.size(), ids.size());
    for (size_t i = 0; i < ids.size(); ++i) {
      const std::string text(static_cast<size_t>(values[i]), i % 2 == 0 ? 'a' : 'b');
      const auto& got = all.at("__name__=m;v=" + text + ";");
      ASSERT_EQ(got.size(), 2U);
      EXPECT_EQ(got[1].value(), values[i]);
      EXPECT_EQ(got[1].t, kNow + 1);
    }
  }
}

TEST_P(EncoderTest, RestartsOfPodsTakeNoMoreMemoryThanThePodsThatAreThere) {
  constexpr SeriesId kSeries = 200, kPods = 20;
  constexpr uint64_t kRestarts = 1'000, kSettled = 200;
  Make({.direct_samples = 100});
  size_t settled = 0, most = 0;
  for (uint64_t restart = 0; restart < kRestarts; ++restart) {
    const auto pod = static_cast<SourceId>(restart % kPods);
    // Half of the label texts come and go with the pod, and no two pods' are equally long.
    const std::string name = "pod-" + std::to_string(restart) + std::string(restart % 61, 'x');
    std::vector<SeriesId> ids;
    for (SeriesId i = 0; i < kSeries; ++i) {
      const SeriesId id = pod * kSeries + i;
      if (restart >= kPods) encoder_->OnSeriesGone(id);
      Series(id, "m" + std::to_string(i),
             {{"pod", name}, {"job", "a"}, {"path", name + "/" + std::to_string(i)}});
      ids.push_back(id);
    }
    sent_.clear();
    Row(pod, restart + 1, kNow + static_cast<UnixMs>(restart), ids,
        std::vector<double>(kSeries, static_cast<double>(restart)));
    ASSERT_EQ(sent_.size(), 1U);
    const auto& series = sent_[0].request.series;
    ASSERT_EQ(series.size(), kSeries);
    for (const SeriesId i : {0U, kSeries - 1})
      ASSERT_EQ(series[i].Key(), "__name__=m" + std::to_string(i) + ";job=a;path=" + name + "/" +
                                     std::to_string(i) + ";pod=" + name + ";");
    (restart < kSettled ? settled : most) =
        std::max(restart < kSettled ? settled : most, encoder_->memory_bytes());
  }
  EXPECT_LE(most, settled + settled / 20);
  for (SeriesId id = 0; id < kPods * kSeries; ++id) encoder_->OnSeriesGone(id);
}

TEST_P(EncoderTest, SourcesMayComeFromManyThreadsWhileSeriesComeAndGo) {
  Make({.max_samples = 100, .direct_samples = 30, .batches = 2});
  std::vector<std::thread> threads;
  for (SourceId source = 0; source < 4; ++source)
    threads.emplace_back([this, source] {
      const SeriesId base = source * 1000;
      std::vector<SeriesId> ids;
      const SeriesId count = source % 2 == 0 ? 10 : 40;
      std::mutex& serial = series_mutex_;
      for (uint64_t round = 1; round <= 50; ++round) {
        {
          std::lock_guard lock(serial);
          const SeriesId id = base + static_cast<SeriesId>(round);
          Series(id, "m", {{"source", std::to_string(source)}, {"id", std::to_string(id)}});
          ids.push_back(id);
          if (ids.size() > count) {
            encoder_->OnSeriesGone(ids.front());
            ids.erase(ids.begin());
          }
        }
        Row(source, round, kNow + static_cast<UnixMs>(round), ids,
            std::vector<double>(ids.size(), source));
      }
    });
  for (auto& t : threads) t.join();
  for (const auto& [key, samples] : All())
    for (const auto& s : samples)
      EXPECT_NE(key.find("source=" + std::to_string(static_cast<int>(s.value()))), key.npos);
}

}  // namespace
}  // namespace picket::exporters::remote_write
