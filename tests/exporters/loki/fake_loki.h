// SPDX-License-Identifier: Apache-2.0
// A Loki that stores what it is sent and answers as the test wants.
#pragma once
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "core/net/http_server.h"
#include "core/proto/wire.h"
#include "exporters/loki/encoder.h"

namespace picket::exporters::loki {

struct FakeEntry {
  std::string labels;
  int64_t time_ns = 0;
  std::string line;
  std::map<std::string, std::string> metadata;
};

inline std::vector<FakeEntry> DecodePush(std::string_view packed) {
  using proto::Reader;
  std::vector<FakeEntry> out;
  const std::string raw = SnappyDecompress(packed);
  for (Reader r(raw); r.Next();) {
    std::string labels;
    for (Reader s(r.bytes()); s.Next();) {
      if (s.number() == 1) labels = s.bytes();
      if (s.number() != 2) continue;
      FakeEntry e;
      e.labels = labels;
      for (Reader f(s.bytes()); f.Next();) {
        if (f.number() == 1)
          for (Reader t(f.bytes()); t.Next();)
            e.time_ns += static_cast<int64_t>(t.value()) * (t.number() == 1 ? 1'000'000'000 : 1);
        if (f.number() == 2) e.line = f.bytes();
        if (f.number() == 3) {
          std::string name, value;
          for (Reader p(f.bytes()); p.Next();) (p.number() == 1 ? name : value) = p.bytes();
          e.metadata[name] = value;
        }
      }
      out.push_back(std::move(e));
    }
  }
  return out;
}

class FakeLoki {
 public:
  struct Push {
    std::vector<FakeEntry> entries;
    std::string tenant, content_type;
    size_t raw_bytes = 0;
    int number = 0;  ///< of the request, from 0
  };
  struct Reply {
    int status = 204;
    std::string body;
    std::string retry_after;
    bool store = true;  ///< keep the entries, whatever the status
  };

  explicit FakeLoki(net::Runtime& runtime, std::string listen = "127.0.0.1:0") {
    net::HttpServerOptions options;
    options.listen = std::move(listen);
    server_ = std::make_unique<net::HttpServer>(runtime, options);
    net::HttpRoute route;
    route.method = "POST";
    route.path = "/loki/api/v1/push";
    route.handler = [this](net::HttpServerRequest request) -> net::asio::awaitable<net::HttpReply> {
      co_return Handle(request);
    };
    server_->Route(std::move(route));
    started = server_->Start();
  }
  std::string url() const { return "http://" + server_->address() + "/loki/api/v1/push"; }
  void Stop() { server_->Stop(Duration::zero()); }

  /// What to answer; 204 unless it says otherwise.
  void OnPush(std::function<Reply(const Push&)> rule) {
    std::lock_guard lock(mutex_);
    rule_ = std::move(rule);
  }
  /// Waits until `done` holds for what was stored.
  bool Wait(const std::function<bool(const std::vector<FakeEntry>&)>& done) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(60), [&] { return done(stored_); });
  }
  bool WaitForLines(size_t n) {
    return Wait([n](const auto& stored) { return stored.size() >= n; });
  }
  std::vector<FakeEntry> Stored() const {
    std::lock_guard lock(mutex_);
    return stored_;
  }
  std::vector<Push> Pushes() const {
    std::lock_guard lock(mutex_);
    return pushes_;
  }
  picket::Status started;

 private:
  net::HttpReply Handle(const net::HttpServerRequest& request) {
    Push push;
    push.entries = DecodePush(request.body);
    push.tenant = request.headers.Get("X-Scope-OrgID");
    push.content_type = request.headers.Get("Content-Type");
    push.raw_bytes = SnappyDecompress(request.body).size();
    std::lock_guard lock(mutex_);
    push.number = static_cast<int>(pushes_.size());
    Reply reply = rule_ ? rule_(push) : Reply{};
    if (reply.store && (reply.status == 204 || reply.status == 200 || !reply.body.empty()))
      stored_.insert(stored_.end(), push.entries.begin(), push.entries.end());
    pushes_.push_back(std::move(push));
    changed_.notify_all();
    net::HttpReply out = net::HttpReply::Text(reply.status, reply.body);
    if (!reply.retry_after.empty()) out.headers.Add("Retry-After", reply.retry_after);
    return out;
  }

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::function<Reply(const Push&)> rule_;
  std::vector<FakeEntry> stored_;
  std::vector<Push> pushes_;
  std::unique_ptr<net::HttpServer> server_;
};

}  // namespace picket::exporters::loki
