// SPDX-License-Identifier: Apache-2.0
// What discovery over the network has in common: questions in the background, answers that are
// taken up when Poll is called, and the last good answer kept while there is none.
#pragma once
#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "collectors/discovery/discoverer.h"
#include "core/base/result.h"

namespace picket::collectors::discovery {

namespace asio = boost::asio;

/// A discoverer that asks in coroutines. A member of this kind writes Run and calls Settle with
/// each answer. What it knows comes in parts (a name, a service; one part is enough for many), each
/// with its own last good answer. Threads: Poll and what it fills as any discoverer; the rest on
/// any.
class RemoteDiscoverer : public Discoverer, public std::enable_shared_from_this<RemoteDiscoverer> {
 public:
  bool Poll() final;
  const std::vector<TargetGroup>& groups() const final { return groups_; }
  const std::vector<std::string>& errors() const final { return errors_; }
  Milliseconds poll_interval() const final { return Milliseconds(0); }
  bool Start(net::Tasks& tasks, std::function<void()> changed) final;
  void End() final;

 protected:
  using Answer = Result<std::vector<TargetGroup>>;

  /// `place` says in errors what was asked, without its secrets.
  RemoteDiscoverer(const Environment& environment, const char* mechanism, std::string place);

  /// Asks until ended().
  virtual asio::awaitable<void> Run() = 0;
  /// Takes an answer for a part; counts it, and logs an error when it is another than before.
  void Settle(const std::string& part, Answer answer);
  /// The part is gone and its targets with it.
  void Forget(const std::string& part);
  /// False when ended or cancelled.
  asio::awaitable<bool> Pause(Duration time);
  bool ended() const { return ended_; }
  /// Another coroutine beside Run; it must hold shared_from_this().
  void Also(asio::awaitable<void> body);

  const Environment env_;

 private:
  struct Part {
    std::vector<TargetGroup> groups;
    std::string error;
  };

  const std::string mechanism_, place_;
  const std::shared_ptr<Counter> good_, failed_;
  const asio::any_io_executor where_;
  net::Tasks* tasks_ = nullptr;  // set once by Start
  std::function<void()> changed_;
  std::atomic<bool> ended_{false};
  std::mutex mutex_;  // guards what follows
  std::map<std::string, Part> parts_;
  std::set<std::shared_ptr<net::Bell>> pauses_;
  bool news_ = true;
  bool polled_ = false;
  // Of who calls Poll.
  std::vector<TargetGroup> groups_;
  std::vector<std::string> errors_;
};

/// One that asks one question at a fixed interval.
class PeriodicDiscoverer : public RemoteDiscoverer {
 protected:
  PeriodicDiscoverer(const Environment& environment, const char* mechanism, std::string place,
                     Milliseconds interval)
      : RemoteDiscoverer(environment, mechanism, std::move(place)), interval_(interval) {}
  /// Asks once and settles.
  virtual asio::awaitable<void> Refresh() = 0;
  Milliseconds interval() const { return interval_; }

 private:
  asio::awaitable<void> Run() final;
  const Milliseconds interval_;
};

/// a.b-c to a_b_c, as Prometheus makes label names of foreign ones.
std::string SanitizeLabelName(std::string_view name);
/// host:port, with brackets around an IPv6 address.
std::string JoinHostPort(std::string_view host, std::string_view port);

}  // namespace picket::collectors::discovery
