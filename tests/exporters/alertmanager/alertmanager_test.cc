// SPDX-License-Identifier: Apache-2.0
#include "exporters/alertmanager/alertmanager.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

#include "core/net/http_server.h"

namespace picket::exporters::alertmanager {
namespace {

/// An Alertmanager that answers as the test says and remembers what it got.
class Fake {
 public:
  Fake(net::Runtime& runtime, std::vector<int> answers)
      : server_(runtime, {}), answers_(std::move(answers)) {
    server_.Post("/am/api/v2/alerts",
                 [this](net::HttpServerRequest r) { return Take(this, std::move(r)); });
    EXPECT_TRUE(server_.Start());
  }
  ~Fake() { server_.Stop(Duration(0)); }
  AlertmanagerConfig Config() const {
    AlertmanagerConfig c;
    c.path_prefix = "/am/";
    c.static_configs = {{{server_.address()}, {}}};
    return c;
  }
  /// Waits until `n` requests have come.
  std::vector<std::string> Wait(size_t n) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(20), [&] { return bodies_.size() >= n; });
    return bodies_;
  }

 private:
  static net::asio::awaitable<net::HttpReply> Take(Fake* self, net::HttpServerRequest r) {
    std::lock_guard lock(self->mutex_);
    const size_t i = self->bodies_.size();
    self->bodies_.push_back(r.body);
    self->changed_.notify_all();
    co_return net::HttpReply::Text(i < self->answers_.size() ? self->answers_[i] : 200, "as told");
  }
  net::HttpServer server_;
  std::vector<int> answers_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> bodies_;
};

AlertNotification Alert(const std::string& name, UnixMs ends = 0) {
  AlertNotification a;
  a.labels = Labels{{"alertname", name}, {"severity", "page"}};
  a.annotations = Labels{{"summary", "it \"broke\""}};
  a.starts_at_ms = 1'700'000'000'123;
  a.ends_at_ms = ends;
  a.generator_url = "http://x/graph";
  return a;
}

TEST(Alertmanager, BodyIsApiV2) {
  const std::vector<AlertNotification> alerts = {Alert("A", 1'700'000'060'000)};
  EXPECT_EQ(
      AlertsJson(alerts),
      R"([{"labels":{"alertname":"A","severity":"page"},"annotations":{"summary":"it \"broke\""},"startsAt":"2023-11-14T22:13:20.123Z",)"
      R"("endsAt":"2023-11-14T22:14:20.000Z","generatorURL":"http://x/graph"}])");
}

TEST(Alertmanager, RetriesUntilItIsTaken) {
  net::Runtime runtime(1);
  Fake fake(runtime, {500, 429});
  BalanceBook book;
  AlertmanagerExporter exporter({fake.Config()}, {}, Labels{{"cluster", "eu"}}, {runtime, book});
  exporter.OnAlerts(std::vector{Alert("A")});
  const auto bodies = fake.Wait(3);
  ASSERT_EQ(bodies.size(), 3U);
  EXPECT_EQ(bodies[0], bodies[2]);
  EXPECT_NE(bodies[0].find(R"("cluster":"eu")"), std::string::npos);
  exporter.Stop(std::chrono::seconds(5));
  const auto s = book.Read().at(0);
  EXPECT_EQ(s.in, 1U);
  EXPECT_EQ(s.out, 1U);
}

TEST(Alertmanager, ARefusedRequestIsCountedAndBlocksNothing) {
  net::Runtime runtime(1);
  Fake fake(runtime, {400});
  BalanceBook book;
  AlertmanagerExporter exporter({fake.Config()}, {}, {}, {runtime, book});
  exporter.OnAlerts(std::vector{Alert("Bad")});
  fake.Wait(1);
  exporter.OnAlerts(std::vector{Alert("Good")});
  EXPECT_EQ(fake.Wait(2).size(), 2U);
  exporter.Stop(std::chrono::seconds(5));
  const auto s = book.Read().at(0);
  EXPECT_EQ(s.dropped, 1U);
  EXPECT_EQ(s.out, 1U);
}

TEST(Alertmanager, AnOutageEndsWithTheNewestNews) {
  net::Runtime runtime(1);
  Fake fake(runtime, {503});
  BalanceBook book;
  AlertmanagerExporter exporter({fake.Config()}, {}, {}, {runtime, book});
  exporter.OnAlerts(std::vector{Alert("A", 1'800'000'000'000)});
  fake.Wait(1);
  exporter.OnAlerts(std::vector{Alert("A", 1'700'000'030'000)});  // resolved meanwhile
  const auto bodies = fake.Wait(2);
  ASSERT_GE(bodies.size(), 2U);
  EXPECT_NE(bodies[1].find("2023-11-14T22:13:50.000Z"), std::string::npos);
  exporter.Stop(std::chrono::seconds(5));
  EXPECT_EQ(fake.Wait(2).size(), 2U);
  EXPECT_EQ(book.Read().at(0).queued(), 0);
}

TEST(Alertmanager, RelabellingMayDropAlertsAndAlertmanagers) {
  auto config = config::FromYaml<AlertmanagerConfig>(R"(
static_configs: [{targets: ["a:1", "b:1"]}]
relabel_configs: [{source_labels: [__address__], regex: "a:.*", action: drop}]
alert_relabel_configs: [{source_labels: [severity], regex: page, action: drop}]
)");
  ASSERT_TRUE(config) << config.error().ToString();
  EXPECT_EQ(Endpoints(*config), std::vector<std::string>{"http://b:1/api/v2/alerts"});
  net::Runtime runtime(1);
  BalanceBook book;
  AlertmanagerExporter exporter({*config}, {}, {}, {runtime, book});
  exporter.OnAlerts(std::vector{Alert("A")});
  EXPECT_EQ(exporter.Read().at(0).queued, 0U);
}

TEST(Alertmanager, WhatIsLeftAtTheEndIsCounted) {
  net::Runtime runtime(1);
  AlertmanagerConfig config;
  config.static_configs = {{{"127.0.0.1:1"}, {}}};
  BalanceBook book;
  AlertmanagerExporter exporter({config}, {}, {}, {runtime, book});
  exporter.OnAlerts(std::vector{Alert("A")});
  exporter.Stop(std::chrono::milliseconds(50));
  const auto s = book.Read().at(0);
  EXPECT_EQ(s.dropped, 1U);
  EXPECT_EQ(s.queued(), 0);
}

TEST(AlertmanagerConfig, NamesWhatItCannotDo) {
  auto config = config::FromYaml<AlertmanagerConfig>("consul_sd_configs: [{server: x}]");
  ASSERT_FALSE(config);
  EXPECT_NE(config.error().ToString().find("consul"), std::string::npos);
  EXPECT_FALSE(config::FromYaml<AlertmanagerConfig>("api_version: v1"));
}

}  // namespace
}  // namespace picket::exporters::alertmanager
