// SPDX-License-Identifier: Apache-2.0
// What the tests of discovery over the network say: a server whose answers can be changed, and
// somebody who watches a discoverer.
#pragma once
#include <gtest/gtest.h>

#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "collectors/discovery/discoverer.h"
#include "core/net/http_server.h"

namespace picket::collectors::discovery {

using Names = std::vector<std::string>;

inline Names Addresses(const Discoverer& d) {
  Names out;
  for (const TargetGroup& group : d.groups()) {
    for (const Labels& target : group.targets) out.emplace_back(target.Get("__address__"));
  }
  return out;
}

/// A server of what it was given under each path, that remembers what it was asked.
class Backend {
 public:
  explicit Backend(net::Runtime& runtime, std::string listen = {}) : server_(runtime, At(listen)) {
    net::HttpRoute route;
    route.method = "*";
    route.path = "/*";
    route.handler = [this](net::HttpServerRequest request) -> net::asio::awaitable<net::HttpReply> {
      std::lock_guard lock(mutex_);
      net::HttpReply reply;
      const auto it = replies_.find(request.path);
      if (it != replies_.end())
        reply = it->second;
      else
        reply.status = 404;
      asked_.push_back(std::move(request));
      changed_.notify_all();
      co_return reply;
    };
    server_.Route(std::move(route));
    EXPECT_TRUE(server_.Start());
  }
  ~Backend() { server_.Stop(Duration(0)); }

  void Say(const std::string& path, std::string body, int status = 200,
           std::string type = "application/json") {
    net::HttpReply reply;
    reply.status = status;
    reply.headers.Add("Content-Type", std::move(type));
    reply.body = std::move(body);
    std::lock_guard lock(mutex_);
    replies_[path] = std::move(reply);
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(server_.port()); }
  /// The requests so far, when there are at least `n`.
  std::vector<net::HttpServerRequest> Asked(size_t n) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(
        changed_.wait_for(lock, std::chrono::seconds(20), [&] { return asked_.size() >= n; }));
    return asked_;
  }

 private:
  static net::HttpServerOptions At(const std::string& listen) {
    net::HttpServerOptions options;
    if (!listen.empty()) options.listen = listen;
    return options;
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, net::HttpReply> replies_;
  std::vector<net::HttpServerRequest> asked_;
  net::HttpServer server_;
};

/// Starts discoverers and waits for what they find.
class Remote : public testing::Test {
 protected:
  ~Remote() override {
    if (watched_) watched_->End();
    tasks_.Stop(Duration(0));
    watched_.reset();
    runtime.Stop();
  }
  Environment Env() { return {runtime, SystemClock::Get(), telemetry, "shop", "picket-test"}; }
  /// The only discoverer of a configuration, running.
  Discoverer& Watch(const std::string& yaml) {
    auto config = config::FromYaml<DiscoveryConfig>(yaml);
    EXPECT_TRUE(config) << config.error().ToString();
    auto all = MakeDiscoverers(*config, Env());
    EXPECT_EQ(all.size(), 1u);
    return Watch(all.at(0));
  }
  Discoverer& Watch(std::shared_ptr<Discoverer> one) {
    watched_ = std::move(one);
    EXPECT_TRUE(watched_->Start(tasks_, [this] {
      std::lock_guard lock(mutex_);
      rang_ = true;
      changed_.notify_all();
    }));
    return *watched_;
  }
  /// Polls whenever there is news until it is as asked. False after a time no healthy machine
  /// needs.
  bool Until(const std::function<bool()>& there) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    for (;;) {
      watched_->Poll();
      if (there()) return true;
      std::unique_lock lock(mutex_);
      if (!changed_.wait_until(lock, deadline, [&] { return std::exchange(rang_, false); }))
        return false;
    }
  }
  double Refreshes(const std::string& mechanism, const std::string& outcome) {
    return static_cast<double>(
        telemetry
            .AddCounter(kRefreshes,
                        {{"job", "shop"}, {"mechanism", mechanism}, {"outcome", outcome}})
            ->Value());
  }
  static constexpr MetricRow kRefreshes{MetricRow::Kind::kCounter,
                                        "picket_discovery_refreshes_total", ""};

  net::Runtime runtime{2};
  Telemetry telemetry;

 private:
  net::Tasks tasks_{runtime};
  std::shared_ptr<Discoverer> watched_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool rang_ = false;
};

}  // namespace picket::collectors::discovery
