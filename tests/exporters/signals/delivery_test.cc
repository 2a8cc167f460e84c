// SPDX-License-Identifier: Apache-2.0
// A receiver on a real socket that fails first, and restarts in between.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <sstream>
#include <thread>

#include "core/net/http_server.h"
#include "exporters/signals/message.h"
#include "exporters/signals/signals.h"

namespace picket::exporters::signals {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

RolloutSignal Rollback(std::string rollout) {
  RolloutSignal s;
  s.canary = "shop";
  s.rollout_id = std::move(rollout);
  s.action = "rollback";
  s.verdict = Verdict::kBad;
  s.reason = "errors";
  s.decided_at_ms = 1'700'000'000'000;
  s.evidence_json = "{\"n\":1}";
  return s;
}

/// Answers with the statuses it was given, then 200; keeps what it got.
class Receiver {
 public:
  explicit Receiver(net::Runtime& runtime, std::string listen = "127.0.0.1:0")
      : server_(runtime, Options(listen)) {
    server_.Post("/hook", [this](net::HttpServerRequest r) { return Take(std::move(r)); });
    EXPECT_TRUE(server_.Start());
  }
  static net::HttpServerOptions Options(const std::string& listen) {
    net::HttpServerOptions o;
    o.listen = listen;
    return o;
  }
  net::asio::awaitable<net::HttpReply> Take(net::HttpServerRequest request) {
    int status = 200;
    {
      std::lock_guard lock(mutex_);
      got_.push_back(std::move(request));
      if (!statuses_.empty()) {
        status = statuses_.front();
        statuses_.pop_front();
      }
      if (on_request_) on_request_(got_.size());
    }
    changed_.notify_all();
    if (status == 0) co_await net::Sleep(std::chrono::hours(1));  // never answers
    net::HttpReply reply = net::HttpReply::Text(status, status < 300 ? "thanks" : "not now");
    if (status == 302) reply.headers.Add("Location", "http://127.0.0.1/login");
    co_return reply;
  }
  void Answer(std::deque<int> statuses) {
    std::lock_guard lock(mutex_);
    statuses_ = std::move(statuses);
  }
  void OnRequest(std::function<void(size_t)> f) {
    std::lock_guard lock(mutex_);
    on_request_ = std::move(f);
  }
  std::vector<net::HttpServerRequest> Await(size_t n) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(30), [&] { return got_.size() >= n; });
    EXPECT_GE(got_.size(), n);
    return got_;
  }
  size_t count() {
    std::lock_guard lock(mutex_);
    return got_.size();
  }
  std::string url() const { return "http://" + server_.address() + "/hook"; }
  std::string address() const { return server_.address(); }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<int> statuses_;
  std::vector<net::HttpServerRequest> got_;
  std::function<void(size_t)> on_request_;
  net::HttpServer server_;
};

class DeliveryTest : public testing::Test {
 protected:
  DeliveryTest() {
    std::string name = (std::filesystem::temp_directory_path() / "picket-signals-XXXXXX").string();
    dir = ::mkdtemp(name.data());
  }
  ~DeliveryTest() override {
    sink.reset();
    runtime.Stop();
    std::filesystem::remove_all(dir);
  }
  SignalConfig Hook(const std::string& url) {
    SignalConfig c;
    c.url = url;
    c.min_backoff = Milliseconds(1);
    c.max_backoff = Milliseconds(4);
    return c;
  }
  void Open(SignalConfig config) {
    sink.reset();
    auto made = MakeSignal("hook", std::move(config),
                           SignalsDeps{runtime, telemetry, balances, dir, clock});
    ASSERT_TRUE(made) << made.error().ToString();
    sink = *made;
  }
  std::string Settled(const std::string& rollout) {
    std::string state;
    for (int i = 0; i < 3000; ++i) {
      state = sink->StateOf(rollout);
      if (!state.starts_with("pending")) return state;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return state;
  }
  Balance::Snapshot Books() {
    return balances.Open("exporters.signals", "hook", "signals")->Read();
  }
  double Metric(const std::string& name, const std::string& outcome = "") {
    for (const auto& family : telemetry.Collect())
      for (const auto& sample : family.samples)
        if (family.name == name && (outcome.empty() || sample.labels.back().second == outcome))
          return sample.value;
    return -1;
  }

  std::string dir;
  ManualClock clock;
  Telemetry telemetry;
  BalanceBook balances;
  net::Runtime runtime{2};
  std::shared_ptr<SignalSink> sink;
};

TEST_F(DeliveryTest, ComesThroughAfterFailuresSignedAndWithOneKey) {
  Receiver receiver(runtime);
  receiver.Answer({500, 503, 429});
  SignalConfig config = Hook(receiver.url());
  config.secret = Secret("hush");
  config.headers["X-Team"] = "payments";
  config.http.basic_auth = net::BasicAuthConfig{"u", "", Secret("p"), ""};
  Open(config);
  sink->OnSignal(Rollback("r1"));
  EXPECT_EQ(Settled("r1"), "delivered");
  const auto got = receiver.Await(4);
  ASSERT_EQ(got.size(), 4u);
  for (const auto& request : got) {
    EXPECT_EQ(request.body, MessageJson(Rollback("r1")));
    EXPECT_EQ(request.headers.Get("content-type"), "application/json");
    EXPECT_EQ(request.headers.Get("idempotency-key"), IdempotencyKey(Rollback("r1")));
    EXPECT_EQ(request.headers.Get("x-picket-signature"),
              Signature("hush", clock.NowMs() / 1000, request.body));
    EXPECT_EQ(request.headers.Get("x-team"), "payments");
    EXPECT_EQ(request.headers.Get("authorization"), "Basic dTpw");
  }
  const auto books = Books();
  EXPECT_EQ(books.in, 1u);
  EXPECT_EQ(books.out, 1u);
  EXPECT_EQ(books.dropped, 0u);
  EXPECT_EQ(Metric("picket_signal_attempts_total", "retry"), 3);
  EXPECT_EQ(Metric("picket_signal_attempts_total", "delivered"), 1);
  EXPECT_EQ(Metric("picket_signal_pending"), 0);
}

TEST_F(DeliveryTest, AnUnreachableReceiverIsTriedUntilItIsThere) {
  std::string address;
  {
    Receiver gone(runtime);
    address = gone.address();
  }
  Open(Hook("http://" + address + "/hook"));
  sink->OnSignal(Rollback("r1"));
  for (int i = 0; i < 3000 && sink->StateOf("r1") == "pending"; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_THAT(sink->StateOf("r1"), HasSubstr("Connection refused"));
  Receiver back(runtime, address);
  EXPECT_EQ(Settled("r1"), "delivered");
}

TEST_F(DeliveryTest, ASilentReceiverIsTriedAgain) {
  Receiver receiver(runtime);
  receiver.Answer({0});
  SignalConfig config = Hook(receiver.url());
  config.timeout = Milliseconds(50);
  Open(config);
  sink->OnSignal(Rollback("r1"));
  receiver.Await(2);
  // A slow machine may need more attempts; what counts is that it comes through.
  EXPECT_EQ(Settled("r1"), "delivered");
}

TEST_F(DeliveryTest, OneActionARolloutAlsoAcrossRestarts) {
  Receiver receiver(runtime);
  Open(Hook(receiver.url()));
  sink->OnSignal(Rollback("r1"));
  sink->OnSignal(Rollback("r1"));
  EXPECT_EQ(Settled("r1"), "delivered");
  Open(Hook(receiver.url()));
  RolloutSignal other = Rollback("r1");
  other.action = "promote";
  sink->OnSignal(Rollback("r1"));
  sink->OnSignal(other);
  EXPECT_EQ(sink->StateOf("r1"), "delivered");
  sink->OnSignal(Rollback("r2"));
  EXPECT_EQ(Settled("r2"), "delivered");
  EXPECT_EQ(receiver.count(), 2u);
  EXPECT_EQ(Metric("picket_signal_repeated_total"), 3);
  EXPECT_EQ(sink->StateOf("unknown"), "");
}

TEST_F(DeliveryTest, WhatWasPendingGoesOnAfterARestart) {
  Receiver receiver(runtime);
  receiver.Answer({0});
  SignalConfig config = Hook(receiver.url());
  config.timeout = std::chrono::hours(1);
  Open(config);
  sink->OnSignal(Rollback("r1"));
  receiver.Await(1);
  Open(config);  // the first attempt is cut off in the middle
  EXPECT_EQ(Settled("r1"), "delivered");
  const auto got = receiver.Await(2);
  EXPECT_EQ(got[0].body, got[1].body);
  EXPECT_EQ(got[0].headers.Get("idempotency-key"), got[1].headers.Get("idempotency-key"));
  const auto books = Books();
  EXPECT_EQ(books.in, 1u);
  EXPECT_EQ(books.queued(), 0);
}

TEST_F(DeliveryTest, RefusalsAreFinal) {
  Receiver receiver(runtime);
  receiver.Answer({404, 302});
  Open(Hook(receiver.url()));
  sink->OnSignal(Rollback("r1"));
  EXPECT_EQ(Settled("r1"), "failed: status 404: not now");
  sink->OnSignal(Rollback("r2"));
  EXPECT_EQ(Settled("r2"), "failed: status 302: redirects to http://127.0.0.1/login: not now");
  EXPECT_EQ(receiver.count(), 2u);
  EXPECT_EQ(balances.Open("exporters.signals", "hook", "signals")->dropped(DropReason::kRejected),
            2u);
}

TEST_F(DeliveryTest, GivesUpAtItsDeadlineAndSaysWhy) {
  Receiver receiver(runtime);
  receiver.Answer(std::deque<int>(1000, 503));
  receiver.OnRequest([this](size_t n) {
    if (n == 3) clock.Advance(std::chrono::minutes(11));
  });
  Open(Hook(receiver.url()));
  sink->OnSignal(Rollback("r1"));
  EXPECT_EQ(Settled("r1"), "failed: given up after 10m: status 503: not now");
  EXPECT_EQ(receiver.count(), 3u);
  EXPECT_EQ(balances.Open("exporters.signals", "hook", "signals")->dropped(DropReason::kTooOld),
            1u);
}

TEST_F(DeliveryTest, AVerdictThatGotOldWhileWeWereDownIsNotActedOn) {
  Receiver receiver(runtime);
  receiver.Answer({0});
  SignalConfig config = Hook(receiver.url());
  config.timeout = std::chrono::hours(1);
  Open(config);
  sink->OnSignal(Rollback("r1"));
  receiver.Await(1);
  sink.reset();
  clock.Advance(std::chrono::hours(1));
  Open(config);
  EXPECT_THAT(Settled("r1"), StartsWith("failed: given up after 10m"));
  EXPECT_EQ(receiver.count(), 1u);
}

TEST_F(DeliveryTest, ProgramsAreRunUntilTheySucceed) {
  SignalConfig config = Hook("");
  config.kind = Kind::kExec;
  // Fails twice, then notes what it was given.
  config.command = {"sh", "-c",
                    "n=$(cat " + dir + "/n 2>/dev/null || echo 0); echo $((n+1)) > " + dir +
                        "/n; [ $n -ge 2 ] || { echo busy; exit 1; }; "
                        "echo \"$PICKET_ACTION $PICKET_CANARY $PICKET_ROLLOUT_ID $PICKET_VERDICT "
                        "$PICKET_SIGNAL\" > " +
                        dir + "/got; cat >> " + dir + "/got"};
  Open(config);
  sink->OnSignal(Rollback("r1"));
  EXPECT_EQ(Settled("r1"), "delivered");
  std::ifstream in(dir + "/got");
  std::stringstream text;
  text << in.rdbuf();
  EXPECT_EQ(text.str(), "rollback shop r1 bad hook\n" + MessageJson(Rollback("r1")));
  EXPECT_EQ(Metric("picket_signal_attempts_total", "retry"), 2);
}

TEST_F(DeliveryTest, StoppingEndsAProgramAndKeepsTheSignal) {
  SignalConfig config = Hook("");
  config.kind = Kind::kExec;
  config.timeout = std::chrono::hours(1);
  config.command = {"sh", "-c", "touch " + dir + "/started; sleep 3600"};
  Open(config);
  sink->OnSignal(Rollback("r1"));
  for (int i = 0; i < 3000 && !std::filesystem::exists(dir + "/started"); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  config.command = {"true"};
  Open(config);  // returns: the sleeping program did not hold it up
  EXPECT_EQ(Settled("r1"), "delivered");
}

}  // namespace
}  // namespace picket::exporters::signals
