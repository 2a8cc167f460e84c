// SPDX-License-Identifier: Apache-2.0
#include "agent/wiring/destinations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <set>

#include "agent/config/load.h"
#include "core/net/http_server.h"

namespace picket::wiring {
namespace {

/// A backend that takes everything and remembers with which credentials it came.
class Backend {
 public:
  explicit Backend(net::Runtime& runtime) : server_(runtime, {}) {
    server_.Post("/api/v1/write", [this](net::HttpServerRequest r) { return Take(std::move(r)); });
    EXPECT_TRUE(server_.Start());
  }
  ~Backend() { server_.Stop(Duration(0)); }
  std::string url() const { return "http://" + server_.address() + "/api/v1/write"; }
  bool WaitFor(const std::string& authorization) {
    std::unique_lock lock(mutex_);
    return came_.wait_for(lock, std::chrono::seconds(20),
                          [&] { return seen_.contains(authorization); });
  }

 private:
  net::asio::awaitable<net::HttpReply> Take(net::HttpServerRequest request) {
    {
      std::lock_guard lock(mutex_);
      seen_.insert(std::string(request.headers.Get("Authorization")));
    }
    came_.notify_all();
    co_return net::HttpReply::Text(200, "");
  }
  net::HttpServer server_;
  std::mutex mutex_;  // guards seen_
  std::condition_variable came_;
  std::multiset<std::string> seen_;
};

class DestinationsTest : public testing::Test {
 protected:
  DestinationsTest() {
    char name[] = "/tmp/picket-destinations-XXXXXX";
    dir_ = ::mkdtemp(name);
    store_ = *store::tsdb::Tsdb::Open({});
    hub_ = std::make_unique<MetricHub>(*store_);
    source_ = hub_->OpenSource("s");
    series_ = *hub_->Intern(source_, Labels{{"__name__", "x"}}, nullptr);
  }
  ~DestinationsTest() override {
    destinations_.reset();
    runtime_.Stop();
    std::filesystem::remove_all(dir_);
  }
  void Start(const std::string& data_dir) {
    destinations_ = std::make_unique<Destinations>(DestinationNeeds{
        runtime_, *hub_, budget_, balances_, telemetry_, clock_, data_dir, 256_MiB});
  }
  void Apply(const std::string& exporters) {
    auto loaded = agent::LoadConfig(config::MakeSource("test.yml", "exporters:\n" + exporters), {});
    ASSERT_TRUE(loaded.ok()) << loaded.diagnostics.Render();
    const Status applied = destinations_->Apply(loaded.config.exporters, {});
    ASSERT_TRUE(applied) << applied.error().ToString();
  }
  void Row() {
    const double v = 1;
    hub_->Append({source_, 1, clock_.NowMs(), {&series_, 1}, {&v, 1}});
  }
  double Metric(const std::string& name) {
    for (const auto& f : telemetry_.Collect())
      if (f.name == name && !f.samples.empty()) return f.samples[0].value;
    return -1;
  }
  std::string Write(const std::string& name, const std::string& url, const std::string& more = "") {
    return "  remote_write:\n    - {name: " + name + ", url: \"" + url +
           "\", queue_config: {batch_send_deadline: 10ms}" + more + "}\n";
  }

  std::string dir_;
  const Clock& clock_ = SystemClock::Get();
  Telemetry telemetry_;
  BalanceBook balances_;
  Budget budget_{64_MiB};
  net::Runtime runtime_{1};
  std::unique_ptr<store::tsdb::Tsdb> store_;
  std::unique_ptr<MetricHub> hub_;
  SourceId source_{};
  SeriesId series_{};
  std::unique_ptr<Destinations> destinations_;
};

TEST_F(DestinationsTest, AReloadThatChangesNothingButAPasswordIsTaken) {
  Backend backend(runtime_);
  Start(dir_);
  const auto with = [&](const std::string& password) {
    return Write("p", backend.url(), ", basic_auth: {username: u, password: " + password + "}");
  };
  Apply(with("one"));
  Row();
  EXPECT_TRUE(backend.WaitFor("Basic dTpvbmU=")) << "u:one";
  Apply(with("two"));
  Row();
  EXPECT_TRUE(backend.WaitFor("Basic dTp0d28=")) << "u:two";
}

TEST_F(DestinationsTest, AQueueWhoseDestinationWasRenamedIsKeptAndNamedAndSentUnderItsOldName) {
  Start(dir_);
  Apply(Write("old", "http://127.0.0.1:1/api/v1/write"));
  Row();
  Row();
  Apply(Write("new", "http://127.0.0.1:1/api/v1/write"));
  auto left = destinations_->Leftovers();
  ASSERT_EQ(left.size(), 1U);
  EXPECT_THAT(left[0].path, testing::StartsWith(dir_ + "/spool/remote_write/old"));
  EXPECT_EQ(left[0].items, 2U);
  EXPECT_GT(left[0].bytes, 0U);
  EXPECT_GT(Metric("picket_spool_leftover_bytes"), 0);

  Backend backend(runtime_);
  destinations_.reset();
  Start(dir_);
  Apply("  remote_write: []\n");
  EXPECT_EQ(destinations_->Leftovers().size(), 1U)
      << "also at the next start; nothing waits in new";
  Apply(Write("old", backend.url()));
  EXPECT_TRUE(destinations_->Leftovers().empty());
  EXPECT_EQ(Metric("picket_spool_leftover_bytes"), -1);
  EXPECT_TRUE(backend.WaitFor("")) << "what waited is sent";
}

TEST_F(DestinationsTest, ARemovedOtlpBackendIsNamedWithWhatItHasNotGot) {
  Start(dir_);
  const std::string away = "{name: a, endpoint: \"http://127.0.0.1:1\"}";
  const std::string other = "{name: b, endpoint: \"http://127.0.0.1:2\"}";
  Apply("  otlp: [" + away + ", " + other + "]\n");
  // ResourceSpans { ScopeSpans { Span { name } } }
  const auto bytes = std::make_shared<const std::string>("\x0a\x07\x12\x05\x12\x03\x2a\x01x");
  const auto sinks = destinations_->SpanSinks();
  ASSERT_EQ(sinks.size(), 1U);
  ASSERT_EQ(sinks[0]->OnSpans({bytes, 1}).verdict, Admission::Verdict::kAccepted);
  Apply("  otlp: [" + other + "]\n");
  const auto left = destinations_->Leftovers();
  ASSERT_EQ(left.size(), 1U);
  EXPECT_EQ(left[0].path, dir_ + "/spool/otlp/cursor-a");
  EXPECT_EQ(left[0].items, 1U);
  Apply("  otlp: [" + away + ", " + other + "]\n");
  EXPECT_TRUE(destinations_->Leftovers().empty()) << "it is sent again under its old name";
  Apply("  otlp: []\n");
  ASSERT_EQ(destinations_->Leftovers().size(), 1U);
  EXPECT_EQ(destinations_->Leftovers()[0].path, dir_ + "/spool/otlp") << "the whole queue is left";
}

TEST_F(DestinationsTest, AQueueInWhichNothingWaitsIsRemoved) {
  Backend backend(runtime_);
  Start(dir_);
  Apply(Write("old", backend.url()));
  Row();
  ASSERT_TRUE(backend.WaitFor(""));
  Apply(Write("new", backend.url()));
  EXPECT_TRUE(destinations_->Leftovers().empty());
  size_t folders = 0;
  for ([[maybe_unused]] const auto& e :
       std::filesystem::directory_iterator(dir_ + "/spool/remote_write"))
    ++folders;
  EXPECT_EQ(folders, 1U);
}

TEST_F(DestinationsTest, WithoutADiskABackendThatIsAwayCostsHalfOfTheBudgetAtMost) {
  budget_.SetLimit(16_MiB);
  Start("");
  Apply(Write("away", "http://127.0.0.1:1/api/v1/write"));
  std::vector<SeriesId> many;
  for (int i = 0; i < 2000; ++i)
    many.push_back(*hub_->Intern(
        source_, Labels{{"__name__", "wide"}, {"i", std::to_string(i * 7919)}}, nullptr));
  std::vector<double> values(many.size());
  auto balance = balances_.Open("remote_write", "away", "samples");
  for (int i = 0; i < 3000 && balance->dropped(DropReason::kQueueFull) == 0; ++i) {
    for (size_t k = 0; k < values.size(); ++k)
      values[k] = static_cast<double>((k + 1) * 2654435761U % 1000003) / (i + 1.1);
    hub_->Append({source_, 2, clock_.NowMs() + i, many, values});
  }
  EXPECT_GT(balance->dropped(DropReason::kQueueFull), 0U) << "the oldest goes, and is counted";
  EXPECT_LE(budget_.used(BudgetClass::kSpoolMemory), 8U << 20);
  EXPECT_TRUE(budget_.AcceptAtDoor()) << "what comes in elsewhere is not refused for it";
  EXPECT_EQ(balance->in(), balance->dropped(DropReason::kQueueFull) +
                               static_cast<uint64_t>(balance->Read().queued()));
}

}  // namespace
}  // namespace picket::wiring
