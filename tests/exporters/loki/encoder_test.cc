// SPDX-License-Identifier: Apache-2.0
// Bytes, answers, queue: the parts that need no network.
#include "exporters/loki/encoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/config/object.h"
#include "exporters/loki/answer.h"
#include "exporters/loki/config.h"
#include "exporters/loki/queue.h"
#include "tests/exporters/loki/batches.h"
#include "tests/exporters/loki/fake_loki.h"

namespace picket::exporters::loki {
namespace {

using ::testing::ElementsAre;

TEST(Encoder, EveryFieldComesBack) {
  const LogBatch a =
      MakeBatch(1, "{app=\"a\"}",
                {{1'700'000'000'123'456'789, "first", {{"trace_id", "4bf9"}, {"n", ""}}},
                 {1'700'000'000'000'000'000, "", {}},
                 {-1, "before 1970", {}},
                 {0, std::string(300, 'x'), {}}});
  const LogBatch b = MakeBatch(2, "{app=\"b\"}", {{5, std::string("\xff\0 bytes", 8), {}}});
  PushEncoder encoder;
  const Slice slices[] = {{std::make_shared<LogBatch>(a), 0, 2},
                          {std::make_shared<LogBatch>(a), 2, 4}};
  encoder.AddStream("{app=\"a\"}", slices);
  const Slice other[] = {{std::make_shared<LogBatch>(b), 0, 1}};
  encoder.AddStream("{app=\"b\"}", other);
  const auto entries = DecodePush(encoder.Compress());
  ASSERT_EQ(entries.size(), 5u);
  EXPECT_EQ(entries[0].labels, "{app=\"a\"}");
  EXPECT_EQ(entries[0].time_ns, 1'700'000'000'123'456'789);
  EXPECT_EQ(entries[0].line, "first");
  EXPECT_EQ(entries[0].metadata,
            (std::map<std::string, std::string>{{"trace_id", "4bf9"}, {"n", ""}}));
  EXPECT_EQ(entries[1].time_ns, 1'700'000'000'000'000'000);
  EXPECT_EQ(entries[2].time_ns, -1);
  EXPECT_EQ(entries[3].line.size(), 300u);
  EXPECT_EQ(entries[4].labels, "{app=\"b\"}");
  EXPECT_EQ(entries[4].line, std::string("\xff\0 bytes", 8));
  EXPECT_EQ(ReadStreams(encoder.raw()).size(), 2u);
}

TEST(Encoder, TheSameLinesGiveTheSameBytes) {
  const Slice slice[] = {
      {std::make_shared<LogBatch>(MakeBatch(1, "{a=\"b\"}", Lines(0, 500))), 0, 500}};
  PushEncoder one, two;
  one.AddStream("{a=\"b\"}", slice);
  two.AddStream("{x=\"y\"}", slice);  // a used encoder has no memory of it
  two.Clear();
  two.AddStream("{a=\"b\"}", slice);
  EXPECT_EQ(one.Compress(), two.Compress());
}

TEST(Encoder, HalvingKeepsEveryEntryInOrder) {
  PushEncoder encoder;
  for (int s = 0; s < 3; ++s) {
    const Slice slice[] = {{std::make_shared<LogBatch>(MakeBatch(1, "", Lines(0, 100 * (s + 1)))),
                            0, static_cast<size_t>(100 * (s + 1))}};
    encoder.AddStream("{s=\"" + std::to_string(s) + "\"}", slice);
  }
  const auto whole = DecodePush(encoder.Compress());
  std::vector<std::string> work = {std::string(encoder.raw())};
  std::vector<FakeEntry> entries;
  while (!work.empty()) {
    const std::string raw = work.back();
    work.pop_back();
    const auto parts = Halve(raw);
    if (parts.size() == 1) {
      EXPECT_EQ(parts[0].lines, 1u);
      for (auto& e : DecodePush(SnappyCompress(raw))) entries.push_back(e);
      continue;
    }
    work.push_back(parts[1].raw);
    work.push_back(parts[0].raw);
  }
  ASSERT_EQ(entries.size(), whole.size());
  for (size_t i = 0; i < whole.size(); ++i) {
    EXPECT_EQ(entries[i].labels, whole[i].labels);
    EXPECT_EQ(entries[i].line, whole[i].line);
  }
}

struct AnswerCase {
  int status;
  const char* body;
  Verdict verdict;
  uint64_t lost;
  DropReason reason;
};

class Answers : public ::testing::TestWithParam<AnswerCase> {};

TEST_P(Answers, MeanWhatTheySay) {
  const AnswerCase& c = GetParam();
  const Answer a = ReadAnswer(c.status, c.body, 10);
  EXPECT_EQ(a.verdict, c.verdict) << c.status << " " << c.body;
  if (c.verdict != Verdict::kPartial) return;
  EXPECT_EQ(a.lost, c.lost) << c.body;
  EXPECT_EQ(a.reason, c.reason) << c.body;
}

INSTANTIATE_TEST_SUITE_P(
    All, Answers,
    ::testing::Values(
        AnswerCase{204, "", Verdict::kDelivered, 0, {}},
        AnswerCase{200, "", Verdict::kDelivered, 0, {}},
        AnswerCase{260, "", Verdict::kRetry, 0, {}}, AnswerCase{202, "", Verdict::kRetry, 0, {}},
        AnswerCase{302, "", Verdict::kRetry, 0, {}},
        AnswerCase{401, "no org id", Verdict::kRetry, 0, {}},
        AnswerCase{404, "", Verdict::kRetry, 0, {}}, AnswerCase{500, "", Verdict::kRetry, 0, {}},
        AnswerCase{503, "", Verdict::kRetry, 0, {}}, AnswerCase{413, "", Verdict::kSplit, 0, {}},
        AnswerCase{422, "error at least one valid stream is required", Verdict::kPartial, 10,
                   DropReason::kRejected},
        AnswerCase{400, "something else", Verdict::kPartial, 10, DropReason::kRejected},
        AnswerCase{
            400,
            "entry for stream '{a=\"b\"}' has timestamp too old: 2020-01-01, oldest acceptable "
            "timestamp is: 2026-01-01",
            Verdict::kPartial, 1, DropReason::kTooOld},
        AnswerCase{400,
                   "3 errors like: entry for stream '{a=\"b\"}' has timestamp too old: x; 2 errors "
                   "like: y",
                   Verdict::kPartial, 5, DropReason::kTooOld},
        AnswerCase{400,
                   "entry with timestamp 2026 ignored, reason: 'entry too far behind, entry "
                   "timestamp is: x',\n"
                   "user 'fake', total ignored: 4 out of 10 for stream: {a=\"b\"}",
                   Verdict::kPartial, 4, DropReason::kTooOld},
        AnswerCase{400, "max entry size '262144' bytes exceeded for stream '{}'", Verdict::kPartial,
                   1, DropReason::kTooLarge},
        AnswerCase{400, "2 errors like: something odd", Verdict::kPartial, 2, DropReason::kPartial},
        AnswerCase{429, "ingestion rate limit exceeded for user fake", Verdict::kSlowTenant, 0, {}},
        AnswerCase{429,
                   "entry with timestamp x ignored, reason: 'Per stream rate limit exceeded "
                   "(limit: 3MB/sec) "
                   "while attempting to ingest for stream '{a=\"b\"}' totaling 1B'",
                   Verdict::kSlowStream,
                   0,
                   {}},
        AnswerCase{
            429,
            "maximum active stream limit exceeded when trying to create stream {a=\"b\"}, reduce",
            Verdict::kSlowStream,
            0,
            {}}));

TEST(Answer, NamesTheSlowStream) {
  EXPECT_EQ(
      ReadAnswer(429,
                 "Per stream rate limit exceeded ... for stream '{a=\"b}'\", c=\"d\"}' totaling", 1)
          .stream,
      "{a=\"b}'\", c=\"d\"}");
}

TEST(SameStream, EveryPairMustBeThere) {
  EXPECT_TRUE(StreamQueue::SameStream("{a=\"b\"}", "{a=\"b\", service_name=\"x\"}"));
  EXPECT_TRUE(StreamQueue::SameStream("{a=\"b, c=\\\"d\"}", "{a=\"b, c=\\\"d\"}"));
  EXPECT_FALSE(StreamQueue::SameStream("{a=\"b\", c=\"d\"}", "{a=\"b\"}"));
  EXPECT_FALSE(StreamQueue::SameStream("{a=\"b\"}", "{aa=\"b\"}"));
}

TEST(Queue, TakesTheOldestStreamsFirstAndCutsAtTheLimit) {
  StreamQueue queue({});
  queue.Add(MakeBatch(1, "{s=\"1\"}", Lines(0, 10)), Duration(1));
  queue.Add(MakeBatch(2, "{s=\"2\"}", Lines(0, 10)), Duration(2));
  queue.Add(MakeBatch(1, "{s=\"1\"}", Lines(10, 20)), Duration(3));
  EXPECT_EQ(*queue.OldestReady(), Duration(1));
  const uint64_t all = queue.ReadyBytes();
  Selection first = queue.Take(all / 4);
  ASSERT_EQ(first.streams.size(), 1u);
  EXPECT_EQ(first.streams[0].id, 1u);
  EXPECT_LE(first.held_bytes, all / 4);
  // Stream 1 is under way: only the other one is there to take.
  Selection second = queue.Take(all);
  ASSERT_EQ(second.streams.size(), 1u);
  EXPECT_EQ(second.streams[0].id, 2u);
  EXPECT_TRUE(queue.Take(all).empty());
  queue.Release(1);
  Selection third = queue.Take(all);
  EXPECT_EQ(first.lines + third.lines, 20u);
  EXPECT_EQ(third.streams[0].slices.front().from, first.lines);
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.bytes(), 0u);
}

TEST(Queue, AReceiptSettlesWithTheLastRequest) {
  int settled = 0;
  bool ok = false;
  StreamQueue queue({});
  {
    LogBatch batch = MakeBatch(1, "{s=\"1\"}", Lines(0, 10));
    batch.receipt = Receipt([&](bool good) { ++settled, ok = good; });
    queue.Add(batch, {});
  }
  Selection first = queue.Take(queue.bytes() / 2);
  queue.Release(1);
  Selection second = queue.Take(1 << 20);
  for (auto& d : second.deliveries) d->Close();
  second = {};
  EXPECT_EQ(settled, 0);
  for (auto& d : first.deliveries) d->Close();
  first = {};
  EXPECT_EQ(settled, 1);
  EXPECT_TRUE(ok);
}

TEST(Queue, WhatIsNeverDoneIsNotDelivered) {
  bool ok = true;
  {
    StreamQueue queue({});
    LogBatch batch = MakeBatch(1, "{s=\"1\"}", Lines(0, 10));
    batch.receipt = Receipt([&](bool good) { ok = good; });
    queue.Add(batch, {});
    batch = {};
    const Selection lost = queue.Take(1 << 20);
  }
  EXPECT_FALSE(ok);
}

TEST(Queue, ExternalLabelsFillInAndNoStreamIsBare) {
  StreamQueue queue({{"env", "dev"}, {"s", "other"}});
  queue.Add(MakeBatch(1, "{s=\"1\"}", Lines(0, 1), Labels{{"s", "1"}}), {});
  EXPECT_EQ(queue.Take(1 << 20).streams[0].labels_text, "{env=\"dev\", s=\"1\"}");
  StreamQueue bare({});
  bare.Add(MakeBatch(1, "{}", Lines(0, 1), Labels{}), {});
  EXPECT_EQ(bare.Take(1 << 20).streams[0].labels_text, "{job=\"picket\"}");
}

TEST(Config, AddressAndBounds) {
  LokiConfig c;
  auto push_url = [&](const char* url) { return c.url = url, PushUrl(c); };
  EXPECT_EQ(push_url("http://loki:3100"), "http://loki:3100/loki/api/v1/push");
  EXPECT_EQ(push_url("http://loki:3100/"), "http://loki:3100/loki/api/v1/push");
  EXPECT_EQ(push_url("http://gw/x/push"), "http://gw/x/push");
  c.url = "https://u:p@loki";
  c.tenant = "dev";
  EXPECT_EQ(DestinationName(c), "loki https://loki/loki/api/v1/push dev");
  const auto good = config::FromYaml<LokiConfig>(
      "url: http://loki:3100/loki/api/v1/push\ntenant: dev\nbatch_size: 512KiB\nbasic_auth: "
      "{username: u, "
      "password: p}\n");
  ASSERT_TRUE(good) << good.error().ToString();
  EXPECT_EQ(good->batch_size, 512_KiB);
  ASSERT_TRUE(good->http.basic_auth);
  for (const char* bad :
       {"tenant: x\n", "url: loki:3100\n", "url: http://x\nbatch_size: 5MiB\n",
        "url: http://x\nmin_backoff: 1m\nmax_backoff: 1s\n", "url: http://x\nlabels: {a-b: c}\n"})
    EXPECT_FALSE(config::FromYaml<LokiConfig>(bad)) << bad;
}

}  // namespace
}  // namespace picket::exporters::loki
