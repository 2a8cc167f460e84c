// SPDX-License-Identifier: Apache-2.0
// The sender against a scripted destination, on a clock that the test moves.
#include "core/spool/sender.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "tests/core/spool/faults.h"

namespace picket::spool {
namespace {

namespace asio = boost::asio;
using namespace testing;
using namespace std::chrono_literals;
using ::testing::ElementsAre;

/// Alarms that ring when the test moves the clock.
class Alarms {
 public:
  explicit Alarms(ManualClock& clock) : clock_(clock) {}
  std::unique_ptr<Alarm> Make() { return std::make_unique<One>(*this); }
  /// The next instant at which one would ring.
  std::optional<Duration> Next() const {
    std::optional<Duration> next;
    for (const auto* a : set_)
      if (!next || a->at < *next) next = a->at;
    return next;
  }
  void Fire() {
    for (bool again = true; std::exchange(again, false);)
      for (auto* a : set_)
        if (a->at <= clock_.Steady()) {
          auto callback = std::move(a->callback);
          set_.erase(a);
          callback();
          again = true;
          break;
        }
  }

 private:
  struct One final : Alarm {
    explicit One(Alarms& o) : owner(o) {}
    ~One() override { owner.set_.erase(this); }
    void Set(Duration steady, std::function<void()> c) override {
      at = steady;
      callback = std::move(c);
      owner.set_.insert(this);
    }
    void Cancel() override { owner.set_.erase(this); }
    Alarms& owner;
    Duration at{0};
    std::function<void()> callback;
  };
  ManualClock& clock_;
  std::set<One*> set_;
};

class SenderTest : public ::testing::Test {
 protected:
  struct Request {
    std::string body;
    uint16_t lane;
    uint32_t attempt;
    Duration at;
  };

  void SetUp() override { Make(); }
  void Make(bool memory = false) {
    SpoolOptions o;
    o.directory = dir_.path();
    o.fsync = FsyncPolicy::kNever;
    o.clock = &clock_;
    spool_ = memory ? Spool::OpenMemory(o) : *Spool::Open(o);
    balance_ = NewBalance();
    options_.clock = &clock_;
    options_.seed = 7;
    options_.name = "test";
    options_.make_alarm = [this](auto) { return alarms_.Make(); };
  }
  void Start() {
    sender_ = std::make_unique<Sender>(
        io_.get_executor(), *spool_->OpenConsumer("prom", balance_),
        [this](Outgoing out) { return Answer(std::move(out)); }, options_, splitter_);
    sender_->Start();
    Run();
  }
  asio::awaitable<SendOutcome> Answer(Outgoing out) {
    requests_.push_back({std::string(out.body), out.info.lane, out.attempt, clock_.Steady()});
    ++flying_;
    most_flying_ = std::max(most_flying_, flying_);
    if (hold_) {
      asio::steady_timer never(io_, asio::steady_timer::time_point::max());
      held_.push_back(&never);
      try {
        co_await never.async_wait(asio::use_awaitable);
      } catch (const std::exception&) {
      }
      std::erase(held_, &never);
    }
    --flying_;
    co_return answer_ ? answer_(out) : SendOutcome::Delivered();
  }
  void LetGo() {
    hold_ = false;
    for (auto* t : std::vector(held_)) t->cancel();
    Run();
  }
  void Append(uint64_t n, uint16_t lane = 0, uint32_t items = 10) {
    balance_->In(items);
    ASSERT_TRUE(spool_->Append({1, lane, items, 0}, Body(n)));
    Run();
  }
  void Run() {
    io_.restart();
    io_.poll();
  }
  void Advance(Duration d) {
    clock_.Advance(d);
    alarms_.Fire();
    Run();
  }
  /// Jumps from alarm to alarm.
  void AdvanceThrough(Duration total) {
    const Duration end = clock_.Steady() + total;
    for (auto next = alarms_.Next(); next && *next <= end; next = alarms_.Next())
      Advance(std::max(*next - clock_.Steady(), Duration(0)));
    Advance(end - clock_.Steady());
  }
  void Stop(Duration within = 1s) {
    bool done = false;
    asio::co_spawn(io_, sender_->Stop(within), [&](std::exception_ptr e) {
      if (e) std::rethrow_exception(e);
      done = true;
    });
    Run();
    if (!done) AdvanceThrough(within);
    Run();
    ASSERT_TRUE(done);
  }
  void ExpectBalanced() {
    EXPECT_EQ(balance_->Read().queued(), static_cast<int64_t>(sender_->Read().backlog.items));
  }
  std::vector<std::string> Bodies() const {
    std::vector<std::string> out;
    for (const auto& r : requests_) out.push_back(r.body);
    return out;
  }

  TempDir dir_;
  ManualClock clock_;
  Alarms alarms_{clock_};
  asio::io_context io_;
  std::shared_ptr<Balance> balance_;
  std::unique_ptr<Spool> spool_;
  SenderOptions options_;
  Splitter splitter_;
  std::unique_ptr<Sender> sender_;
  std::function<SendOutcome(const Outgoing&)> answer_;
  std::vector<Request> requests_;
  bool hold_ = false;
  std::vector<asio::steady_timer*> held_;
  int flying_ = 0, most_flying_ = 0;
};

TEST_F(SenderTest, SendsWhatComesAndCountsItOut) {
  Start();
  Append(1);
  Append(2);
  EXPECT_THAT(Bodies(), ElementsAre(Body(1), Body(2)));
  EXPECT_EQ(Out(*balance_), 20U);
  ExpectBalanced();
  EXPECT_TRUE(sender_->Read().last_error.empty());
}

TEST_F(SenderTest, LanesRunBesideEachOtherUpToTheLimitAndEachInOrder) {
  options_.max_in_flight = 3;
  hold_ = true;
  Start();
  for (uint64_t i = 0; i < 20; ++i) Append(i, i % 5);
  EXPECT_EQ(flying_, 3);
  LetGo();
  EXPECT_EQ(most_flying_, 3);
  ASSERT_EQ(requests_.size(), 20U);
  std::map<uint16_t, std::vector<std::string>> by_lane;
  for (const auto& r : requests_) by_lane[r.lane].push_back(r.body);
  for (uint16_t lane = 0; lane < 5; ++lane)
    EXPECT_THAT(by_lane[lane],
                ElementsAre(Body(lane), Body(lane + 5), Body(lane + 10), Body(lane + 15)));
}

TEST_F(SenderTest, BacksOffExponentiallyWithJitterAndNeverGivesUp) {
  answer_ = [](auto&) { return SendOutcome::Retry("down", 503); };
  Start();
  for (uint64_t i = 0; i < 6; ++i) Append(i, static_cast<uint16_t>(i));
  AdvanceThrough(1h);
  std::vector<double> gaps;
  for (size_t i = 1; i < requests_.size(); ++i)
    gaps.push_back(std::chrono::duration<double>(requests_[i].at - requests_[i - 1].at).count());
  ASSERT_GT(gaps.size(), 20U);
  EXPECT_NEAR(gaps[0], 0.03, 0.004);
  for (size_t i = 1; i < gaps.size(); ++i) {
    EXPECT_GE(gaps[i], 0.8 * gaps[i - 1]);
    EXPECT_LE(gaps[i], 5.5 + 1e-9);
  }
  EXPECT_GT(gaps.back(), 4.4);
  EXPECT_NE(gaps[gaps.size() - 1], gaps[gaps.size() - 2]) << "jitter";
  EXPECT_EQ(most_flying_, 1) << "probes one at a time while the destination is down";
  ExpectBalanced();
  EXPECT_NE(sender_->Read().last_error.find("503"), std::string::npos);
  answer_ = nullptr;
  AdvanceThrough(10s);
  EXPECT_EQ(Out(*balance_), 60U);
  EXPECT_TRUE(sender_->Read().last_error.empty());
}

TEST_F(SenderTest, RetryAfterIsHonouredWithinReason) {
  Duration asked = 90s;
  answer_ = [&](auto&) { return SendOutcome::Retry("slow down", 429, asked); };
  Start();
  Append(1);
  Append(2, 1);
  AdvanceThrough(89s);
  EXPECT_EQ(requests_.size(), 1U);
  asked = 100h;
  AdvanceThrough(2s);
  EXPECT_EQ(requests_.size(), 2U);
  answer_ = nullptr;
  AdvanceThrough(11min);
  EXPECT_EQ(Out(*balance_), 20U) << "a backend may not silence us for ever";
}

TEST_F(SenderTest, ARefusedRecordIsDroppedWithItsReasonAndTheNextGoesOn) {
  answer_ = [](const Outgoing& o) {
    return o.body == Body(1) ? SendOutcome::Drop(DropReason::kRejected, "bad label", 400)
                             : SendOutcome::Delivered(3, "old");
  };
  Start();
  Append(1);
  Append(2);
  EXPECT_EQ(requests_.size(), 2U) << "neither is sent again";
  EXPECT_EQ(balance_->dropped(DropReason::kRejected), 10U);
  EXPECT_EQ(balance_->dropped(DropReason::kPartial), 3U);
  EXPECT_EQ(Out(*balance_), 7U);
  ExpectBalanced();
}

TEST_F(SenderTest, ARecordTheBackendChokesOnDoesNotStopTheOthers) {
  answer_ = [](const Outgoing& o) {
    return o.body == Body(0) ? SendOutcome::Retry("panic", 500) : SendOutcome::Delivered();
  };
  Start();
  for (uint64_t i = 0; i < 50; ++i) Append(i, static_cast<uint16_t>(i % 5));
  AdvanceThrough(1min);
  EXPECT_EQ(Out(*balance_), 400U) << "four lanes of five";
  EXPECT_EQ(sender_->Read().backlog.records, 10U);
  answer_ = nullptr;
  AdvanceThrough(10s);
  EXPECT_EQ(Out(*balance_), 500U);
}

TEST_F(SenderTest, ALaneThatIsRefusedAloneWaitsAlone) {
  answer_ = [](const Outgoing& o) {
    auto out =
        o.info.lane == 2 ? SendOutcome::Retry("stream limit", 429, 60s) : SendOutcome::Delivered();
    out.whole_destination = false;
    return out;
  };
  Start();
  for (uint64_t i = 0; i < 20; ++i) Append(i, static_cast<uint16_t>(i % 4));
  EXPECT_EQ(Out(*balance_), 150U) << "without waiting at all";
}

TEST_F(SenderTest, TheAgeLimitEndsWaiting) {
  options_.max_age = 10min;
  answer_ = [](auto&) { return SendOutcome::Retry("down"); };
  Start();
  Append(1);
  AdvanceThrough(9min);
  Append(2);
  AdvanceThrough(2min);
  EXPECT_EQ(balance_->dropped(DropReason::kTooOld), 10U);
  answer_ = nullptr;
  AdvanceThrough(10s);
  EXPECT_EQ(Out(*balance_), 10U);
  EXPECT_EQ(requests_.back().body, Body(2));
}

TEST_F(SenderTest, TooLargeIsSplitUntilItFitsAndOneItemTooLargeIsDropped) {
  // Bodies are texts of digits, one item each; the backend takes at most two, and never a 9.
  splitter_ = [](const RecordInfo& info, std::string_view body) -> Result<std::vector<Piece>> {
    if (body.size() < 2) return Fail(ErrorKind::kInvalidArgument, "one item");
    std::vector<Piece> out;
    for (auto half : {body.substr(0, body.size() / 2), body.substr(body.size() / 2)}) {
      RecordInfo i = info;
      i.items = static_cast<uint32_t>(half.size());
      out.push_back({i, std::string(half)});
    }
    return out;
  };
  bool hiccup = true;
  answer_ = [&](const Outgoing& o) {
    if (o.body.size() > 2 || o.body == "9") return SendOutcome::TooLarge("limit");
    if (o.body.find('9') != o.body.npos) return SendOutcome::TooLarge("limit");
    if (o.body == "56" && std::exchange(hiccup, false)) return SendOutcome::Retry("reset");
    return SendOutcome::Delivered();
  };
  Start();
  balance_->In(8);
  ASSERT_TRUE(spool_->Append({1, 0, 8, 0}, "12345679"));
  Run();
  AdvanceThrough(10s);
  EXPECT_EQ(balance_->dropped(DropReason::kTooLarge), 1U) << "the 9";
  ExpectBalanced();
  EXPECT_EQ(Out(*balance_), 7U);
  std::string taken;
  for (const auto& r : requests_)
    if (r.body.size() <= 2 && r.body.find('9') == r.body.npos && !(taken.ends_with(r.body)))
      taken += r.body;
  EXPECT_EQ(taken, "1234567") << "in order";
}

TEST_F(SenderTest, WithoutASplitterTooLargeIsDropped) {
  answer_ = [](auto&) { return SendOutcome::TooLarge("limit"); };
  Start();
  Append(1);
  EXPECT_EQ(balance_->dropped(DropReason::kTooLarge), 10U);
  ExpectBalanced();
}

TEST_F(SenderTest, AnExceptionOfATransportIsARetry) {
  bool thrown = false;
  answer_ = [&](auto&) -> SendOutcome {
    if (!std::exchange(thrown, true)) throw std::runtime_error("connection reset");
    return SendOutcome::Delivered();
  };
  Start();
  Append(1);
  AdvanceThrough(1s);
  EXPECT_EQ(Out(*balance_), 10U);
}

TEST_F(SenderTest, StopDrainsWithinItsDeadline) {
  hold_ = true;
  Start();
  for (uint64_t i = 0; i < 3; ++i) Append(i);
  bool done = false;
  asio::co_spawn(io_, sender_->Stop(10s), [&](std::exception_ptr) { done = true; });
  Run();
  EXPECT_FALSE(done);
  LetGo();
  EXPECT_TRUE(done);
  EXPECT_EQ(Out(*balance_), 30U);
}

TEST_F(SenderTest, AfterTheDeadlineADurableQueueKeepsTheRestForTheNextStart) {
  answer_ = [](auto&) { return SendOutcome::Retry("down"); };
  Start();
  for (uint64_t i = 0; i < 3; ++i) Append(i);
  Stop();
  EXPECT_EQ(balance_->Read().queued(), 30);
  sender_.reset();
  Run();
  spool_.reset();
  Make();
  answer_ = nullptr;
  requests_.clear();
  Start();
  EXPECT_THAT(Bodies(), ElementsAre(Body(0), Body(1), Body(2)));
}

TEST_F(SenderTest, WhatAnEarlierProcessLeftGoesOutBeforeWhatCameSince) {
  answer_ = [](auto&) { return SendOutcome::Retry("down"); };
  Start();
  for (uint64_t i = 0; i < 4; ++i) Append(i, static_cast<uint16_t>(i));
  Stop();
  sender_.reset();
  Run();
  spool_.reset();
  Make();
  requests_.clear();
  answer_ = nullptr;
  hold_ = true;
  options_.max_in_flight = 8;
  Start();
  for (uint64_t i = 10; i < 14; ++i) Append(i, static_cast<uint16_t>(i));
  EXPECT_EQ(flying_, 4)
      << "the lanes of the new ones are free, but a series may have changed its lane";
  LetGo();
  ASSERT_EQ(requests_.size(), 8U);
  for (size_t i = 0; i < 4; ++i) EXPECT_LT(std::stoi(requests_[i].body), 4);
}

TEST_F(SenderTest, AnOldRecordTheBackendChokesOnDoesNotHoldUpTheNewOnesForEver) {
  answer_ = [](const Outgoing& o) {
    return o.body == Body(0) ? SendOutcome::Retry("panic", 500) : SendOutcome::Delivered();
  };
  Start();
  Append(0);
  Stop();
  sender_.reset();
  Run();
  spool_.reset();
  Make();
  Start();
  Append(1, 5);
  EXPECT_EQ(Out(*balance_), 0U);
  AdvanceThrough(1min);
  EXPECT_EQ(Out(*balance_), 10U);
}

TEST_F(SenderTest, ARequestThatNeverEndsIsCancelledAtTheDeadline) {
  hold_ = true;
  Start();
  Append(1);
  Stop(5s);
  EXPECT_EQ(flying_, 0);
}

TEST_F(SenderTest, WithoutADiskTheRestIsCountedAsLostAtShutdown) {
  Make(true);
  answer_ = [](auto&) { return SendOutcome::Retry("down"); };
  Start();
  for (uint64_t i = 0; i < 3; ++i) Append(i);
  Stop();
  EXPECT_EQ(balance_->dropped(DropReason::kShutdown), 30U);
  EXPECT_EQ(balance_->Read().queued(), 0);
}

TEST_F(SenderTest, OneDestinationDoesNotHarmAnotherOnTheSameSpool) {
  auto other_balance = NewBalance();
  std::vector<std::string> got;
  Sender other(
      io_.get_executor(), *spool_->OpenConsumer("other", other_balance),
      [&got](Outgoing o) -> asio::awaitable<SendOutcome> {
        got.emplace_back(o.body);
        co_return SendOutcome::Delivered();
      },
      options_);
  answer_ = [](auto&) { return SendOutcome::Retry("down"); };
  Start();
  other.Start();
  for (uint64_t i = 0; i < 5; ++i) {
    other_balance->In(10);
    Append(i);
  }
  EXPECT_EQ(got.size(), 5U);
  EXPECT_EQ(other_balance->Read().queued(), 0);
  ExpectBalanced();
}

TEST_F(SenderTest, ShowsItselfAsMetrics) {
  Telemetry telemetry;
  options_.telemetry = &telemetry;
  answer_ = [](const Outgoing& o) {
    return o.attempt == 1 ? SendOutcome::Retry("x") : SendOutcome::Delivered();
  };
  Start();
  Append(1);
  std::map<std::string, double> seen;
  const auto collect = [&] {
    for (const auto& f : telemetry.Collect())
      for (const auto& s : f.samples)
        seen[f.name + (s.labels.size() > 1 ? "/" + s.labels[1].second : "")] = s.value;
  };
  clock_.Advance(10ms);
  collect();
  EXPECT_EQ(seen["picket_queue_items"], 10);
  EXPECT_GT(seen["picket_queue_oldest_age_seconds"], 0);
  AdvanceThrough(1s);
  collect();
  EXPECT_EQ(seen["picket_sender_requests_total/delivered"], 1);
  EXPECT_EQ(seen["picket_sender_requests_total/retry"], 1);
  EXPECT_EQ(seen["picket_queue_items"], 0);
}

}  // namespace
}  // namespace picket::spool
