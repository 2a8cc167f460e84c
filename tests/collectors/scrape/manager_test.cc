// SPDX-License-Identifier: Apache-2.0
// Jobs against a real HTTP server on an ephemeral port.
#include "collectors/scrape/manager.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>

#include "collectors/scrape/scraper.h"
#include "core/base/strings.h"
#include "core/net/http_server.h"
#include "tests/collectors/scrape/fake_intake.h"

namespace picket::collectors::scrape {
namespace {

using std::chrono_literals::operator""s;

/// FakeIntake for several threads, and somebody who waits for what arrives.
class SharedIntake : public MetricIntake {
 public:
  template <class F>
  auto Locked(F f) {
    std::unique_lock lock(mutex_);
    changed_.notify_all();  // waiters look when the lock is free
    return f();
  }

  SourceId OpenSource(std::string name) override {
    return Locked([&] { return fake_.OpenSource(std::move(name)); });
  }
  void CloseSource(SourceId s) override {
    Locked([&] { fake_.CloseSource(s); });
  }
  Result<SeriesId> Intern(SourceId s, const Labels& l,
                          std::shared_ptr<const MetricMetadata> m) override {
    return Locked([&] { return fake_.Intern(s, l, std::move(m)); });
  }
  void Release(SourceId s, SeriesId id) override {
    Locked([&] { fake_.Release(s, id); });
  }
  void Append(const SampleRow& row) override {
    Locked([&] { fake_.Append(row); });
  }
  void AppendTimed(SourceId s, std::span<const TimedSample> t) override {
    Locked([&] { fake_.AppendTimed(s, t); });
  }

  /// Waits until what is asked for is there. False after a time no healthy machine needs.
  bool Until(const std::function<bool(FakeIntake&)>& there) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return there(fake_); });
  }
  /// The same for what is not in the intake; asked whenever something has arrived there, without
  /// its lock.
  bool UntilTrue(const std::function<bool()>& there) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!there()) {
      std::unique_lock lock(mutex_);
      if (changed_.wait_until(lock, deadline) == std::cv_status::timeout) return there();
    }
    return true;
  }
  std::string LastOf(const std::string& series) {
    return Locked([&]() -> std::string {
      const auto it = fake_.samples.find(series);
      if (it == fake_.samples.end()) return "absent";
      return IsStaleNan(it->second.back().value) ? "stale" : FormatFloat(it->second.back().value);
    });
  }
  FakeIntake& fake() { return fake_; }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  FakeIntake fake_;
};

/// A target whose answer can be changed, and who remembers the last request.
class Server {
 public:
  explicit Server(net::Runtime& runtime) : server_(runtime, net::HttpServerOptions{}) {
    server_.Get("/{path}",
                [this](net::HttpServerRequest request) -> asio::awaitable<net::HttpReply> {
                  std::lock_guard lock(mutex_);
                  ++requests_;
                  last_ = std::move(request);
                  net::HttpReply reply;
                  reply.status = status_;
                  reply.headers.Add("Content-Type", type_);
                  reply.body = body_;
                  co_return reply;
                });
    EXPECT_TRUE(server_.Start());
  }
  ~Server() { server_.Stop(Duration(0)); }
  void Say(std::string body, int status = 200, std::string type = "text/plain; version=0.0.4") {
    std::lock_guard lock(mutex_);
    body_ = std::move(body);
    status_ = status;
    type_ = std::move(type);
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(server_.port()); }
  net::HttpServerRequest last() {
    std::lock_guard lock(mutex_);
    return last_;
  }
  int requests() {
    std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  std::mutex mutex_;
  std::string body_ = "a 1\n", type_ = "text/plain; version=0.0.4";
  int status_ = 200;
  int requests_ = 0;
  net::HttpServerRequest last_;
  net::HttpServer server_;
};

class Scraping : public testing::Test {
 protected:
  Scraping() : runtime(2), server(runtime), manager(std::make_unique<ScrapeManager>(Deps())) {}
  ~Scraping() override {
    manager->Stop(5s);
    manager.reset();
    intake.Locked(
        [&] { EXPECT_TRUE(intake.fake().faults.empty()) << intake.fake().faults.front(); });
  }
  ScrapeManager::Dependencies Deps() {
    return {runtime, intake, SystemClock::Get(), telemetry, balances, "picket-test"};
  }
  /// A job of the server with further keys, scraped 20 times a second.
  Status Apply(const std::string& keys, const std::string& targets = "") {
    const std::string yaml =
        "scrape_configs:\n- job_name: shop\n  scrape_interval: 50ms\n  scrape_timeout: 50ms\n" +
        targets_of(targets) + keys;
    auto config = config::FromYaml<Config>(yaml);
    if (!config) return Fail(config.error());
    return manager->ApplyConfig(std::make_shared<const Config>(*std::move(config)));
  }
  std::string targets_of(const std::string& targets) const {
    return "  static_configs: [{targets: [" +
           (targets.empty() ? "'" + server.address() + "'" : targets) + "]}]\n";
  }
  std::string Name(const std::string& name) const {
    const size_t brace = name.find('{');
    const std::string own =
        brace == std::string::npos ? "" : ", " + name.substr(brace + 1, name.size() - brace - 2);
    return name.substr(0, brace) + "{instance=\"" + server.address() + "\", job=\"shop\"" + own +
           "}";
  }
  bool Reaches(const std::string& series, const std::string& value) {
    return intake.Until([&](FakeIntake& fake) {
      const auto it = fake.samples.find(series);
      if (it == fake.samples.end()) return value == "absent";
      const double v = it->second.back().value;
      return (IsStaleNan(v) ? "stale" : FormatFloat(v)) == value;
    });
  }
  /// Lets some scrapes pass.
  bool After(int scrapes) {
    size_t rows = 0;
    intake.Locked([&] { rows = intake.fake().rows; });
    return intake.Until(
        [&](FakeIntake& fake) { return fake.rows >= rows + static_cast<size_t>(scrapes); });
  }

  SharedIntake intake;
  Telemetry telemetry;
  BalanceBook balances;
  net::Runtime runtime;
  Server server;
  std::unique_ptr<ScrapeManager> manager;
};

TEST_F(Scraping, WritesSeriesAndReports) {
  server.Say("a 1\nb{x=\"y\"} 2\nb{x=\"y\"} 3\n");
  ASSERT_TRUE(
      Apply("  params: {q: ['1 2']}\n  metric_relabel_configs: [{source_labels: [__name__], regex: "
            "c, action: drop}]\n"));
  ASSERT_TRUE(Reaches(Name("up"), "1"));
  EXPECT_EQ(intake.LastOf(Name("a")), "1");
  EXPECT_EQ(intake.LastOf(Name("b{x=\"y\"}")), "2");
  EXPECT_EQ(intake.LastOf(Name("scrape_samples_scraped")), "3");
  EXPECT_EQ(intake.LastOf(Name("scrape_samples_post_metric_relabeling")), "3");
  const net::HttpServerRequest request = server.last();
  EXPECT_EQ(request.query, "q=1%202");
  EXPECT_EQ(request.path, "/metrics");
  EXPECT_TRUE(
      request.headers.Get("Accept").starts_with("application/openmetrics-text;version=1.0.0"));
  EXPECT_EQ(request.headers.Get("X-Prometheus-Scrape-Timeout-Seconds"), "0.05");
  EXPECT_EQ(request.headers.Get("User-Agent"), "picket-test");
  EXPECT_FALSE(
      net::ListHas(request.headers.Get("Accept-Encoding"), "gzip"));  // the target is on this node
  ASSERT_TRUE(After(3));
  const auto targets = manager->Targets();
  ASSERT_EQ(targets.size(), 1u);
  EXPECT_EQ(targets[0].health, TargetStatus::Health::kUp);
  EXPECT_EQ(targets[0].samples, 3u);
  EXPECT_EQ(targets[0].series, 2u);
  manager->Stop(5s);
  const auto book = balances.Read();
  ASSERT_EQ(book.size(), 1u);
  EXPECT_EQ(book[0].queued(), 0);
  EXPECT_EQ(book[0].out, book[0].in / 3 * 2);  // one of three lines is a duplicate
}

TEST_F(Scraping, AFailureEndsSeriesAndIsTold) {
  ASSERT_TRUE(Apply(""));
  ASSERT_TRUE(Reaches(Name("a"), "1"));
  server.Say("sorry", 503);
  ASSERT_TRUE(Reaches(Name("up"), "0"));
  EXPECT_EQ(intake.LastOf(Name("a")), "stale");
  ASSERT_TRUE(After(2));
  EXPECT_NE(manager->Targets()[0].last_error.find("503"), std::string::npos);
  EXPECT_EQ(manager->Targets()[0].health, TargetStatus::Health::kDown);
  server.Say("a 2\nb x\n");
  ASSERT_TRUE(intake.UntilTrue(
      [&] { return manager->Targets()[0].last_error.find("line 2") != std::string::npos; }));
  server.Say("a 2\n", 200, "");
  ASSERT_TRUE(intake.UntilTrue(
      [&] { return manager->Targets()[0].last_error.find("Content-Type") != std::string::npos; }));
  server.Say("a 2\n# EOF\n", 200, "application/openmetrics-text; version=1.0.0");
  ASSERT_TRUE(Reaches(Name("a"), "2"));
}

TEST_F(Scraping, ATargetThatIsNotThereIsDown) {
  ASSERT_TRUE(Apply("", "'127.0.0.1:1'"));
  ASSERT_TRUE(Reaches("up{instance=\"127.0.0.1:1\", job=\"shop\"}", "0"));
}

TEST_F(Scraping, ARemovedTargetEndsAShutdownDoesNot) {
  ASSERT_TRUE(Apply(""));
  ASSERT_TRUE(Reaches(Name("a"), "1"));
  ASSERT_TRUE(Apply("", "'127.0.0.1:1'"));
  ASSERT_TRUE(Reaches(Name("a"), "stale"));
  ASSERT_TRUE(Reaches(Name("up"), "stale"));
  ASSERT_TRUE(intake.Until([](FakeIntake& fake) { return fake.closed.size() == 1; }));
  ASSERT_TRUE(Apply(""));
  ASSERT_TRUE(Reaches(Name("a"), "1"));
  manager->Stop(5s);
  EXPECT_EQ(intake.LastOf(Name("a")), "1");
  intake.Locked([&] {
    EXPECT_TRUE(intake.fake().held.empty());
    EXPECT_EQ(intake.fake().closed.size(), intake.fake().sources.size());
  });
}

TEST_F(Scraping, AReloadKeepsWhatStays) {
  ASSERT_TRUE(Apply(""));
  ASSERT_TRUE(Reaches(Name("a"), "1"));
  ASSERT_TRUE(Apply(""));
  ASSERT_TRUE(After(2));
  intake.Locked([&] {
    EXPECT_EQ(intake.fake().sources.size(), 1u);  // the same target goes on
    EXPECT_EQ(intake.fake().interns, 6u);         // and nothing was resolved again
  });
  // New rules: the same target, its series resolved anew, those that are gone ended.
  ASSERT_TRUE(
      Apply("  metric_relabel_configs: [{source_labels: [__name__], regex: a, target_label: "
            "__name__, replacement: z}]\n"));
  ASSERT_TRUE(Reaches(Name("z"), "1"));
  EXPECT_EQ(intake.LastOf(Name("a")), "stale");
  intake.Locked([&] { EXPECT_EQ(intake.fake().sources.size(), 1u); });
}

TEST_F(Scraping, ABadConfigurationChangesNothing) {
  ASSERT_TRUE(Apply(""));
  ASSERT_TRUE(Reaches(Name("a"), "1"));
  EXPECT_FALSE(Apply("  tls_config: {ca_file: /nowhere/ca.pem}\n"));
  server.Say("a 5\n");
  ASSERT_TRUE(Reaches(Name("a"), "5"));
}

TEST_F(Scraping, Limits) {
  server.Say("a 1\nb 2\n");
  ASSERT_TRUE(Apply("  sample_limit: 1\n"));
  ASSERT_TRUE(intake.UntilTrue([&] {
    return manager->Targets()[0].last_error.find("sample_limit of 1") != std::string::npos;
  }));
  EXPECT_EQ(intake.LastOf(Name("up")), "0");
  ASSERT_TRUE(Apply("  body_size_limit: 4\n  extra_scrape_metrics: true\n"));
  ASSERT_TRUE(Reaches(Name("scrape_body_size_bytes"), "-1"));
  ASSERT_TRUE(Apply("  target_limit: 1\n", "'" + server.address() + "', '127.0.0.1:1'"));
  ASSERT_TRUE(intake.UntilTrue([&] {
    const auto targets = manager->Targets();
    return targets[1].last_error.find("target_limit of 1") != std::string::npos;
  }));
}

TEST_F(Scraping, AuthenticatesAndAsksForCompressionWhenTold) {
  ASSERT_TRUE(Apply("  basic_auth: {username: me, password: secret}\n"));
  ASSERT_TRUE(Reaches(Name("up"), "1"));
  EXPECT_EQ(server.last().headers.Get("Authorization"), "Basic bWU6c2VjcmV0");
  ASSERT_TRUE(Apply("  authorization: {credentials: token}\n"));
  ASSERT_TRUE(intake.Until(
      [&](FakeIntake&) { return server.last().headers.Get("Authorization") == "Bearer token"; }));
}

TEST_F(Scraping, FollowsTargetFiles) {
  char name[] = "/tmp/picket-scrape-XXXXXX";
  const std::string folder = mkdtemp(name);
  const std::string keys =
      "  file_sd_configs: [{files: ['" + folder + "/*.yml'], refresh_interval: 20ms}]\n";
  const auto write = [&](const std::string& text) {
    std::ofstream(folder + "/new") << text;
    std::filesystem::rename(folder + "/new", folder + "/t.yml");
  };
  ASSERT_TRUE(Apply(keys, "'127.0.0.1:1'"));
  write("- {targets: ['" + server.address() + "'], labels: {zone: eu}}\n");
  const std::string series = "a{instance=\"" + server.address() + "\", job=\"shop\", zone=\"eu\"}";
  ASSERT_TRUE(Reaches(series, "1"));
  write("- {target: []}\n");
  ASSERT_TRUE(intake.UntilTrue([&] { return !manager->DiscoveryErrors().empty(); }));
  server.Say("a 7\n");
  ASSERT_TRUE(Reaches(series, "7"));
  write("[]\n");
  ASSERT_TRUE(Reaches(series, "stale"));
  std::filesystem::remove_all(folder);
}

TEST_F(Scraping, FollowsTargetsFromAServer) {
  Server directory(runtime);
  const std::string targets = "[{\"targets\": [\"" + server.address() + "\"]}]";
  directory.Say(targets, 200, "application/json");
  const std::string keys = "  http_sd_configs: [{url: 'http://" + directory.address() +
                           "/sd', refresh_interval: 20ms}]\n";
  ASSERT_TRUE(Apply(keys, "'127.0.0.1:1'"));
  ASSERT_TRUE(Reaches(Name("a"), "1"));
  directory.Say("sorry", 503);
  ASSERT_TRUE(intake.UntilTrue([&] { return !manager->DiscoveryErrors().empty(); }));
  EXPECT_NE(manager->DiscoveryErrors()["shop"][0].find("503"), std::string::npos);
  server.Say("a 7\n");
  ASSERT_TRUE(Reaches(Name("a"), "7"));
  // A reload that leaves discovery alone does not lose what was found, although nobody answers now.
  ASSERT_TRUE(Apply(keys + "  metric_relabel_configs: [{target_label: z, replacement: eu}]\n",
                    "'127.0.0.1:1'"));
  ASSERT_TRUE(Reaches(Name("a{z=\"eu\"}"), "7"));
  directory.Say("[]", 200, "application/json");
  ASSERT_TRUE(Reaches(Name("a{z=\"eu\"}"), "stale"));
}

TEST_F(Scraping, ShowsDroppedTargets) {
  ASSERT_TRUE(
      Apply("  relabel_configs: [{source_labels: [__address__], regex: '.*:1', action: drop}]\n",
            "'" + server.address() + "', 'h:1'"));
  ASSERT_EQ(manager->Dropped().size(), 1u);
  EXPECT_EQ(manager->Dropped()[0].discovered_labels.Get("__address__"), "h:1");
  const std::string json = manager->TargetsJson();
  EXPECT_NE(json.find("\"droppedTargetCounts\":{\"shop\":1}"), std::string::npos) << json;
}

}  // namespace
}  // namespace picket::collectors::scrape
