// SPDX-License-Identifier: Apache-2.0
// The whole destination against a loopback server that answers as it is told.
#include "exporters/remote_write/remote_write.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>

#include "core/net/http_server.h"
#include "exporters/remote_write/transport.h"
#include "tests/core/spool/faults.h"
#include "tests/exporters/remote_write/decode.h"

namespace picket::exporters::remote_write {
namespace {

using namespace testing;
using namespace std::chrono_literals;
namespace asio = boost::asio;

constexpr UnixMs kNow = 1'700'000'000'000;

/// A backend that notes what it gets and answers from a script, then well.
class Backend {
 public:
  struct Got {
    net::HttpHeaders headers;
    std::string body;
    int status;
  };
  explicit Backend(net::Runtime& runtime)
      : server_(std::make_unique<net::HttpServer>(runtime, net::HttpServerOptions())) {
    server_->Post("/api/v1/write",
                  [this](net::HttpServerRequest r) { return Handle(std::move(r)); });
    EXPECT_TRUE(server_->Start());
  }
  ~Backend() { server_->Stop(Duration(0)); }
  std::string url() const { return fmt::format("http://{}/api/v1/write", server_->address()); }

  void Script(std::vector<net::HttpReply> replies) {
    std::lock_guard lock(mutex_);
    script_.assign(replies.begin(), replies.end());
  }
  /// Decides from the whole request; empty: a good answer.
  void Decide(std::function<std::optional<net::HttpReply>(const Got&)> f) {
    std::lock_guard lock(mutex_);
    decide_ = std::move(f);
  }
  std::vector<Got> got() const {
    std::lock_guard lock(mutex_);
    return got_;
  }
  /// All samples of requests that were answered well, by series.
  std::map<std::string, std::vector<DecodedSample>> Stored() const {
    std::map<std::string, std::vector<DecodedSample>> out;
    for (const auto& g : got()) {
      if (g.status / 100 != 2) continue;
      const bool v2 = g.headers.Get("X-Prometheus-Remote-Write-Version") == "2.0.0";
      for (const auto& s : Decode(v2, g.body).series)
        out[s.Key()].insert(out[s.Key()].end(), s.samples.begin(), s.samples.end());
    }
    return out;
  }

 private:
  asio::awaitable<net::HttpReply> Handle(net::HttpServerRequest r) {
    net::HttpReply reply = net::HttpReply::Text(204, "");
    std::lock_guard lock(mutex_);
    Got got{std::move(r.headers), std::move(r.body), 0};
    const bool v2 = got.headers.Get("X-Prometheus-Remote-Write-Version") == "2.0.0";
    if (v2)
      reply.headers.Add("X-Prometheus-Remote-Write-Samples-Written",
                        std::to_string(Decode(true, got.body).samples()));
    if (!script_.empty()) {
      reply = script_.front();
      script_.pop_front();
    } else if (decide_) {
      if (auto decided = decide_(got)) reply = std::move(*decided);
    }
    got.status = reply.status;
    got_.push_back(std::move(got));
    co_return reply;
  }
  mutable std::mutex mutex_;
  std::deque<net::HttpReply> script_;
  std::function<std::optional<net::HttpReply>(const Got&)> decide_;
  std::vector<Got> got_;
  std::unique_ptr<net::HttpServer> server_;
};

class RemoteWriteTest : public ::testing::TestWithParam<Protocol> {
 protected:
  void SetUp() override {
    backend_ = std::make_unique<Backend>(runtime_);
    config_.url = backend_->url();
    config_.name = "prom";
    config_.protobuf_message = GetParam();
    config_.queue_config.max_samples_per_send = 40;  // rows from 10 go at once
    config_.queue_config.batch_send_deadline = 1h;   // what is smaller waits for Flush
    config_.queue_config.min_backoff = 1ms;
    config_.queue_config.max_backoff = 5ms;
    config_.metadata_config.send = false;
  }
  void Open(bool memory = false) {
    destination_.reset();
    books_.push_back(std::make_unique<BalanceBook>());
    RemoteWriteContext c;
    c.runtime = &runtime_;
    c.balances = books_.back().get();
    c.spool.directory = memory ? "" : dir_.path();
    c.spool.fsync = spool::FsyncPolicy::kNever;
    c.version = "1.2.3";
    c.external_labels = Labels{{"cluster", "c"}};
    auto made = RemoteWrite::Make(config_, c);
    ASSERT_TRUE(made) << made.error().ToString();
    destination_ = std::move(*made);
    for (SeriesId i = 0; i < 20; ++i)
      destination_->OnSeries(i, Labels{{"__name__", "m"}, {"i", std::to_string(i)}}, nullptr);
  }
  void Row(int k, SourceId source = 1, SeriesId count = 20) {
    std::vector<SeriesId> ids(count);
    std::vector<double> values(count);
    for (SeriesId i = 0; i < count; ++i) ids[i] = i, values[i] = k * 100 + i;
    destination_->OnRow({source, count, kNow + k * 1000, ids, values});
  }
  Balance::Snapshot Balance_() { return books_.back()->Read().at(0); }
  /// Sends until all is out; the condition is asked of the destination, no time is measured.
  void Drain(Duration within = 20s) {
    std::mutex mutex;
    std::condition_variable ended;
    bool done = false;
    auto* d = destination_.get();
    runtime_.Spawn(
        runtime_.At(0), "stop",
        [](RemoteWrite* w, Duration t, std::function<void()> end) -> asio::awaitable<void> {
          co_await w->Stop(t);
          end();
        }(d, within, [&] {
          std::lock_guard lock(mutex);
          done = true;
          ended.notify_all();
        }));
    std::unique_lock lock(mutex);
    ASSERT_TRUE(ended.wait_for(lock, 60s, [&] { return done; }));
  }
  void ExpectStored(int rows, SeriesId count = 20) {
    const auto stored = backend_->Stored();
    ASSERT_EQ(stored.size(), count);
    for (SeriesId i = 0; i < count; ++i) {
      const auto& samples = stored.at(fmt::format("__name__=m;cluster=c;i={};", i));
      ASSERT_EQ(samples.size(), static_cast<size_t>(rows)) << i;
      for (int k = 0; k < rows; ++k) {
        ASSERT_EQ(samples[static_cast<size_t>(k)].t, kNow + k * 1000) << "in order";
        ASSERT_EQ(samples[static_cast<size_t>(k)].value(), k * 100 + static_cast<int>(i));
      }
    }
  }
  void ExpectBalance(uint64_t in, uint64_t out, uint64_t dropped, int64_t queued) {
    const auto b = Balance_();
    EXPECT_EQ(b.in, in);
    EXPECT_EQ(b.out, out);
    EXPECT_EQ(b.dropped, dropped) << b.last_drop;
    EXPECT_EQ(b.queued(), queued);
  }
  bool v2() const { return GetParam() != Protocol::kV1; }

  spool::testing::TempDir dir_;
  std::vector<std::unique_ptr<BalanceBook>> books_;
  net::Runtime runtime_{2};
  std::unique_ptr<Backend> backend_;
  RemoteWriteConfig config_;
  std::unique_ptr<RemoteWrite> destination_;
};

INSTANTIATE_TEST_SUITE_P(Protocols, RemoteWriteTest,
                         ::testing::Values(Protocol::kV1, Protocol::kV2, Protocol::kAuto),
                         [](const auto& p) {
                           return p.param == Protocol::kV1   ? "v1"
                                  : p.param == Protocol::kV2 ? "v2"
                                                             : "auto";
                         });

TEST_P(RemoteWriteTest, RowsArriveValueByValueWithTheHeadersOfTheProtocol) {
  config_.headers = {{"X-Scope-OrgID", "team"}};
  Open();
  destination_->Start();
  for (int k = 0; k < 10; ++k) Row(k);
  Drain();
  ExpectStored(10);
  ExpectBalance(200, 200, 0, 0);
  for (const auto& g : backend_->got()) {
    EXPECT_EQ(g.headers.Get("Content-Encoding"), "snappy");
    EXPECT_EQ(g.headers.Get("Content-Type"),
              v2() ? "application/x-protobuf;proto=io.prometheus.write.v2.Request"
                   : "application/x-protobuf");
    EXPECT_EQ(g.headers.Get("X-Prometheus-Remote-Write-Version"), v2() ? "2.0.0" : "0.1.0");
    EXPECT_EQ(g.headers.Get("User-Agent"), "Picket/1.2.3");
    EXPECT_EQ(g.headers.Get("X-Scope-OrgID"), "team");
  }
}

TEST_P(RemoteWriteTest, ServerErrorsAreRetriedUntilItTakesThem) {
  Open();
  backend_->Script({net::HttpReply::Text(500, "a"), net::HttpReply::Text(503, "b"),
                    net::HttpReply::Text(502, "c"), net::HttpReply::Text(504, "d")});
  destination_->Start();
  for (int k = 0; k < 5; ++k) Row(k);
  Drain();
  ExpectStored(5);
  ExpectBalance(100, 100, 0, 0);
  EXPECT_EQ(backend_->got().size(), 9U);
}

TEST_P(RemoteWriteTest, ARejectedRequestIsDroppedOnceAndTheRestGoesOn) {
  for (const int status : {400, 401, 404, 422, 429}) {
    SetUp();
    Open();
    backend_->Script({net::HttpReply::Text(status, "no: out of order")});
    destination_->Start();
    for (int k = 0; k < 3; ++k) Row(k);
    Drain();
    EXPECT_EQ(backend_->got().size(), 3U) << status << " is not retried";
    ExpectBalance(60, 40, 20, 0);
    EXPECT_NE(Balance_().last_drop.find("no: out of order"), std::string::npos)
        << "the backend's words are kept";
  }
}

TEST_P(RemoteWriteTest, TooManyRequestsIsRetriedWhenAskedTo) {
  config_.queue_config.retry_on_http_429 = true;
  Open();
  auto busy = net::HttpReply::Text(429, "slow");
  busy.headers.Add("Retry-After", "0");
  backend_->Script({busy, busy});
  destination_->Start();
  Row(0);
  Drain();
  ExpectStored(1);
  ExpectBalance(20, 20, 0, 0);
}

TEST_P(RemoteWriteTest, ABodyTooLargeIsSplit) {
  backend_->Decide([this](const Backend::Got& g) -> std::optional<net::HttpReply> {
    if (Decode(v2(), g.body).samples() > 5) return net::HttpReply::Text(413, "too large");
    return std::nullopt;
  });
  Open();
  destination_->Start();
  for (int k = 0; k < 3; ++k) Row(k);
  Drain();
  ExpectStored(3);
  ExpectBalance(60, 60, 0, 0);
}

TEST_P(RemoteWriteTest, ASeriesTooLargeByItselfIsDropped) {
  backend_->Decide([this](const Backend::Got& g) -> std::optional<net::HttpReply> {
    for (const auto& s : Decode(v2(), g.body).series)
      if (s.Get("i") == "7") return net::HttpReply::Text(413, "too large");
    return std::nullopt;
  });
  Open();
  destination_->Start();
  Row(0);
  Drain();
  ExpectBalance(20, 19, 1, 0);
  EXPECT_EQ(Balance_().dropped_by_reason.at(0).first, "too_large");
}

TEST_P(RemoteWriteTest, WhatABackendSaysItDidNotWriteIsCountedPartial) {
  if (!v2()) GTEST_SKIP() << "v1 has no such answer";
  Open();
  auto some = net::HttpReply::Text(200, "ignored");
  some.headers.Add("X-Prometheus-Remote-Write-Samples-Written", "15");
  auto refused = net::HttpReply::Text(400, "5 out of order");
  refused.headers.Add("X-Prometheus-Remote-Write-Samples-Written", "12");
  backend_->Script({some, refused, net::HttpReply::Text(200, "no header")});
  destination_->Start();
  for (int k = 0; k < 3; ++k) Row(k);
  Drain();
  EXPECT_EQ(backend_->got().size(), 3U) << "none is sent again";
  ExpectBalance(60, 27, 33, 0);
  EXPECT_EQ(Balance_().dropped_by_reason.at(0).first, "partial");
}

TEST_P(RemoteWriteTest, ABackendWithoutV2IsGivenV1WhenThatIsLeftToPicket) {
  backend_->Decide([](const Backend::Got& g) -> std::optional<net::HttpReply> {
    if (g.headers.Get("X-Prometheus-Remote-Write-Version") == "2.0.0")
      return net::HttpReply::Text(415, "what?");
    return std::nullopt;
  });
  Open();
  for (int k = 0; k < 3; ++k) Row(k);  // queued as v2
  destination_->Start();
  Row(3);
  Drain();
  if (GetParam() == Protocol::kV2) {
    ExpectBalance(80, 0, 80, 0);
    return;
  }
  ExpectStored(4);
  ExpectBalance(80, 80, 0, 0);
  size_t refused = 0;
  for (const auto& g : backend_->got()) refused += g.status == 415 ? 1 : 0;
  EXPECT_LE(refused, GetParam() == Protocol::kV1 ? 0U : 4U) << "asked once, then remembered";
  EXPECT_FALSE(destination_->Read().v2);
}

TEST_P(RemoteWriteTest, ABackendThatSaysYesToV2AndWritesNothingIsGivenV1) {
  if (GetParam() != Protocol::kAuto) GTEST_SKIP() << "only where the choice is left to Picket";
  backend_->Decide([](const Backend::Got& g) -> std::optional<net::HttpReply> {
    if (g.headers.Get("X-Prometheus-Remote-Write-Version") == "2.0.0")
      return net::HttpReply::Text(204, "");
    return std::nullopt;
  });
  Open();
  destination_->Start();
  for (int k = 0; k < 3; ++k) Row(k);
  Drain();
  ExpectBalance(60, 60, 0, 0);
  size_t samples = 0;
  for (const auto& g : backend_->got()) {
    const bool v1 = g.headers.Get("X-Prometheus-Remote-Write-Version") == "0.1.0";
    if (v1) samples += Decode(false, g.body).samples();
  }
  EXPECT_EQ(samples, 60U);
}

TEST_P(RemoteWriteTest, ARestartSendsWhatWasQueuedInOrder) {
  Open();
  for (int k = 0; k < 6; ++k) Row(k, 1);
  ExpectBalance(120, 0, 0, 120);
  Open();  // a new process: nothing is in memory
  ExpectBalance(120, 0, 0, 120);
  for (int k = 6; k < 12; ++k) Row(k, 5);  // its source has another number now
  destination_->Start();
  Drain();
  ExpectStored(12);
  ExpectBalance(240, 240, 0, 0);
}

TEST_P(RemoteWriteTest, SmallSourcesAreFlushedAtStop) {
  Open();
  destination_->Start();
  for (int k = 0; k < 3; ++k) Row(k, 1, 3);
  EXPECT_EQ(destination_->Read().pending_samples, 9U);
  ExpectBalance(9, 0, 0, 9);
  Drain();
  ExpectStored(3, 3);
  EXPECT_EQ(backend_->got().size(), 1U);
  ExpectBalance(9, 9, 0, 0);
}

TEST_P(RemoteWriteTest, SmallSourcesAreSentWhenTheirDeadlineComes) {
  config_.queue_config.batch_send_deadline = 20ms;
  Open();
  destination_->Start();
  Row(0, 1, 3);
  while (Balance_().out < 3) std::this_thread::yield();
  ExpectStored(1, 3);
}

TEST_P(RemoteWriteTest, WithoutADiskTheQueueLivesInMemory) {
  Open(true);
  destination_->Start();
  for (int k = 0; k < 5; ++k) Row(k);
  Drain();
  ExpectStored(5);
  EXPECT_FALSE(destination_->Read().spool.durable);
}

TEST_P(RemoteWriteTest, AnUnreachableBackendKeepsTheQueue) {
  config_.url = "http://127.0.0.1:1/api/v1/write";
  Open();
  destination_->Start();
  Row(0);
  Drain(50ms);
  ExpectBalance(20, 0, 0, 20);
  EXPECT_FALSE(destination_->Read().sender.last_error.empty());
  config_.url = backend_->url();
  Open();
  destination_->Start();
  Drain();
  ExpectStored(1);
}

TEST_P(RemoteWriteTest, V1SendsMetadataApart) {
  config_.metadata_config.send = true;
  config_.metadata_config.send_interval = 10ms;
  Open();
  auto m =
      std::make_shared<MetricMetadata>(MetricMetadata{MetricType::kCounter, "m", "helps", "u"});
  destination_->OnSeries(0, Labels{{"__name__", "m"}, {"i", "0"}}, m);
  destination_->Start();
  if (v2()) {
    Row(0);
    Drain();
    EXPECT_EQ(Decode(true, backend_->got().at(0).body).series.at(0).help, "helps");
    return;
  }
  while (backend_->got().empty()) std::this_thread::yield();
  const auto request = Decode(false, backend_->got().at(0).body);
  ASSERT_EQ(request.metadata.size(), 1U);
  EXPECT_EQ(request.metadata[0].help, "helps");
  EXPECT_TRUE(request.series.empty());
}

TEST(RemoteWriteName, HidesCredentialsAndIsStable) {
  const auto name = DefaultName("https://user:secret@prom.example:9090/api/v1/write?token=x");
  EXPECT_EQ(name.find("secret"), name.npos);
  EXPECT_EQ(name.find("token"), name.npos);
  EXPECT_EQ(name, DefaultName("https://user:secret@prom.example:9090/api/v1/write?token=x"));
  EXPECT_NE(name, DefaultName("https://prom.example:9091/api/v1/write"));
}

TEST(RemoteWriteOutcome, FollowsTheTable) {
  using Kind = spool::SendOutcome::Kind;
  const auto of = [](int status, bool v2 = false, bool retry_429 = false,
                     std::string_view body = "", net::HttpHeaders headers = {}) {
    net::HttpResponse r;
    r.status = status;
    r.body = body;
    r.headers = std::move(headers);
    return OutcomeOf(r, v2, 10, retry_429, kNow);
  };
  for (const int s : {200, 201, 204, 206}) EXPECT_EQ(of(s).kind, Kind::kDelivered) << s;
  for (const int s : {500, 501, 502, 503, 504, 599}) EXPECT_EQ(of(s).kind, Kind::kRetry) << s;
  for (const int s : {300, 304, 400, 401, 403, 404, 409, 415, 422, 429})
    EXPECT_EQ(of(s).kind, Kind::kDrop) << s;
  EXPECT_EQ(of(413).kind, Kind::kTooLarge);
  EXPECT_EQ(of(429, false, true).kind, Kind::kRetry);
  EXPECT_EQ(of(503, false, false, "", {{"Retry-After", "7"}}).retry_after, Duration(7s));
  EXPECT_EQ(of(503, false, false, "", {{"Retry-After", "soon"}}).retry_after, std::nullopt);
  EXPECT_EQ(
      of(200, true, false, "", {{"X-Prometheus-Remote-Write-Samples-Written", "10"}}).rejected, 0U);
  EXPECT_EQ(of(200, true).rejected, 10U) << "no header: nothing was written";
  EXPECT_EQ(of(200, true, false, "", {{"X-Prometheus-Remote-Write-Samples-Written", "x"}}).rejected,
            10U);
  EXPECT_EQ(
      of(200, true, false, "", {{"X-Prometheus-Remote-Write-Samples-Written", "99"}}).rejected, 0U);
  EXPECT_EQ(of(400, false, false, std::string(100'000, 'x')).message.size(), 512U);
}

}  // namespace
}  // namespace picket::exporters::remote_write
