// SPDX-License-Identifier: Apache-2.0
// The exporter against a Loki that misbehaves.
#include "exporters/loki/loki.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/exporters/loki/batches.h"
#include "tests/exporters/loki/fake_loki.h"

namespace picket::exporters::loki {
namespace {

using ::testing::HasSubstr;

class LokiTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(loki_.started) << loki_.started.error().ToString();
    config_.url = loki_.url();
    config_.batch_wait = Milliseconds(5);
    config_.min_backoff = Milliseconds(1);
    config_.max_backoff = Milliseconds(20);
    config_.timeout = Milliseconds(5'000);
  }
  void TearDown() override {
    exporter_.reset();
    loki_.Stop();
  }
  void Start() {
    exporter_ = std::make_unique<LokiExporter>(
        runtime_, config_, Environment{&SystemClock::Get(), &balances_, &telemetry_});
  }
  void Send(uint64_t stream, int from, int to, const std::string& prefix = "line ") {
    LogBatch batch =
        MakeBatch(stream, "{s=\"" + std::to_string(stream) + "\"}", Lines(from, to, prefix));
    batch.receipt = Receipt([this](bool ok) { ++(ok ? settled_ : returned_); });
    exporter_->OnLogs(batch);
  }
  std::vector<std::string> StoredOf(uint64_t stream) const {
    std::vector<std::string> out;
    for (const auto& e : loki_.Stored())
      if (e.labels == "{s=\"" + std::to_string(stream) + "\"}") out.push_back(e.line);
    return out;
  }
  static std::vector<std::string> Texts(int from, int to, const std::string& prefix = "line ") {
    std::vector<std::string> out;
    for (const auto& l : Lines(from, to, prefix)) out.push_back(l.text);
    return out;
  }
  Balance::Snapshot BalanceNow() const { return balances_.Read().at(0); }
  /// Sends what is left and ends the exporter.
  void Drain() { exporter_->Stop(std::chrono::seconds(60)); }

  net::Runtime runtime_{2};
  FakeLoki loki_{runtime_};
  LokiConfig config_;
  BalanceBook balances_;
  Telemetry telemetry_;
  std::unique_ptr<LokiExporter> exporter_;
  std::atomic<int> settled_{0}, returned_{0};
};

TEST_F(LokiTest, SendsProtobufWithTenantAndLabels) {
  config_.tenant = "dev";
  config_.labels = {{"env", "test"}};
  Start();
  exporter_->OnLogs(MakeBatch(7, "{app=\"shop\"}",
                              {{1'700'000'000'000'000'001, "hello", {{"trace_id", "4bf9"}}}},
                              Labels{{"app", "shop"}}));
  ASSERT_TRUE(loki_.WaitForLines(1));
  const auto push = loki_.Pushes().at(0);
  EXPECT_EQ(push.tenant, "dev");
  EXPECT_EQ(push.content_type, "application/x-protobuf");
  const FakeEntry e = loki_.Stored().at(0);
  EXPECT_EQ(e.labels, "{app=\"shop\", env=\"test\"}");
  EXPECT_EQ(e.line, "hello");
  EXPECT_EQ(e.time_ns, 1'700'000'000'000'000'001);
  EXPECT_EQ(e.metadata.at("trace_id"), "4bf9");
}

TEST_F(LokiTest, BatchesUpToTheSizeAndKeepsOrderWithManyRequestsInFlight) {
  config_.batch_size = 4_KiB;
  config_.max_in_flight = 4;
  Start();
  for (int i = 0; i < 50; ++i)
    for (uint64_t s = 1; s <= 8; ++s) Send(s, i * 20, (i + 1) * 20);
  Drain();
  for (uint64_t s = 1; s <= 8; ++s) EXPECT_EQ(StoredOf(s), Texts(0, 1000));
  for (const auto& push : loki_.Pushes()) EXPECT_LE(push.raw_bytes, 4096u);
  EXPECT_EQ(settled_, 400);
  const auto b = BalanceNow();
  EXPECT_EQ(b.in, 8000u);
  EXPECT_EQ(b.out, 8000u);
  EXPECT_EQ(exporter_->HeldBytes(), UINT64_MAX);
}

TEST_F(LokiTest, FailuresAreRetriedUntilTheyEndAndTheOldestGoFirst) {
  config_.batch_size = 1_KiB;
  loki_.OnPush([](const FakeLoki::Push& p) {
    constexpr int kAnswers[] = {500, 503, 502, 260, 429, 401};
    FakeLoki::Reply r;
    r.store = p.number >= 30;
    if (p.number < 30) r.status = kAnswers[p.number % 6];
    return r;
  });
  Start();
  for (int i = 0; i < 20; ++i) Send(1, i * 10, (i + 1) * 10);
  ASSERT_TRUE(loki_.WaitForLines(200));
  Drain();
  EXPECT_EQ(StoredOf(1), Texts(0, 200));
  EXPECT_EQ(settled_, 20);
  EXPECT_EQ(BalanceNow().out, 200u);
}

TEST_F(LokiTest, APartial400IsCountedAndNotSentAgain) {
  loki_.OnPush([](const FakeLoki::Push& p) {
    if (p.number > 0) return FakeLoki::Reply{};
    return FakeLoki::Reply{400,
                           "entry with timestamp x ignored, reason: 'entry too far behind',\n"
                           "user 'fake', total ignored: 3 out of 10 for stream: {s=\"1\"}",
                           "", false};
  });
  Start();
  Send(1, 0, 10);
  while (settled_ == 0) std::this_thread::yield();
  Send(1, 10, 20);
  Drain();
  EXPECT_EQ(StoredOf(1), Texts(10, 20));
  EXPECT_EQ(loki_.Pushes().size(), 2u);
  const auto b = BalanceNow();
  EXPECT_EQ(b.in, 20u);
  EXPECT_EQ(b.out, 17u);
  ASSERT_EQ(b.dropped_by_reason.size(), 1u);
  EXPECT_EQ(b.dropped_by_reason[0], (std::pair<std::string, uint64_t>("too_old", 3)));
  EXPECT_THAT(b.last_drop, HasSubstr("too far behind"));
}

TEST_F(LokiTest, TooLargeIsSplitDownToTheLineThatIsTooLarge) {
  loki_.OnPush([](const FakeLoki::Push& p) {
    FakeLoki::Reply r;
    if (p.raw_bytes > 500) r.status = 413;
    r.store = r.status == 204;
    return r;
  });
  Start();
  Send(1, 0, 40);
  exporter_->OnLogs(MakeBatch(1, "{s=\"1\"}", {{1, std::string(1000, 'x'), {}}}));
  Send(1, 40, 80);
  Send(2, 0, 40);
  Drain();
  EXPECT_EQ(StoredOf(1), Texts(0, 80));
  EXPECT_EQ(StoredOf(2), Texts(0, 40));
  const auto b = BalanceNow();
  EXPECT_EQ(b.dropped_by_reason.at(0), (std::pair<std::string, uint64_t>("too_large", 1)));
  EXPECT_EQ(b.in, b.out + b.dropped);
  EXPECT_EQ(settled_, 3);
}

TEST_F(LokiTest, OnlyTheStreamOverItsRateIsDelayed) {
  std::atomic<bool> limited{true};
  loki_.OnPush([&](const FakeLoki::Push& p) {
    FakeLoki::Reply r;
    bool hot = false;
    for (const auto& e : p.entries) hot |= e.labels == "{s=\"1\"}";
    if (hot && limited)
      r = {429,
           "reason: 'Per stream rate limit exceeded (limit: 3MB/sec) while attempting to ingest "
           "for stream '{s=\"1\", service_name=\"unknown_service\"}' totaling 5B'",
           "", false};
    return r;
  });
  Start();
  Send(1, 0, 10);
  Send(2, 0, 10);
  Send(3, 0, 10);
  ASSERT_TRUE(loki_.WaitForLines(20));
  Send(2, 10, 20);
  Send(1, 10, 20);
  ASSERT_TRUE(loki_.WaitForLines(30));
  EXPECT_TRUE(StoredOf(1).empty());
  limited = false;
  Drain();
  EXPECT_EQ(StoredOf(1), Texts(0, 20));
  EXPECT_EQ(StoredOf(2), Texts(0, 20));
  EXPECT_EQ(StoredOf(3), Texts(0, 10));
  EXPECT_EQ(settled_, 5);
}

TEST_F(LokiTest, ALostReplyRepeatsTheSameBytes) {
  // Stored, but the answer says otherwise, as after a timeout in between.
  loki_.OnPush([](const FakeLoki::Push& p) {
    FakeLoki::Reply r;
    if (p.number == 0) r = {500, "lost", "", true};
    return r;
  });
  Start();
  Send(1, 0, 100);
  Drain();
  const auto pushes = loki_.Pushes();
  ASSERT_EQ(pushes.size(), 2u);
  ASSERT_EQ(pushes[0].entries.size(), pushes[1].entries.size());
  for (size_t i = 0; i < pushes[0].entries.size(); ++i) {
    EXPECT_EQ(pushes[0].entries[i].time_ns, pushes[1].entries[i].time_ns);
    EXPECT_EQ(pushes[0].entries[i].line, pushes[1].entries[i].line);
  }
}

TEST_F(LokiTest, WithoutAServerEverythingIsKeptAndGivenBackAtTheEnd) {
  config_.url = "http://127.0.0.1:9/loki/api/v1/push";
  Start();
  Send(1, 0, 10);
  Send(2, 0, 10);
  while (exporter_->Status().failures == 0) std::this_thread::yield();
  EXPECT_GT(exporter_->HeldBytes(), 0u);
  EXPECT_THAT(exporter_->Status().last_error, HasSubstr("127.0.0.1:9"));
  exporter_->Stop(Duration::zero());
  EXPECT_EQ(settled_, 0);
  EXPECT_EQ(returned_, 2);
  const auto b = BalanceNow();
  EXPECT_EQ(b.queued(), 0);
  Send(3, 0, 1);
  EXPECT_EQ(returned_, 3);
}

}  // namespace
}  // namespace picket::exporters::loki
