// SPDX-License-Identifier: Apache-2.0
#include "collectors/discovery/remote.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/this_coro.hpp>

#include "collectors/discovery/metrics.h"
#include "core/base/log.h"

namespace picket::collectors::discovery {
namespace {

bool SameGroup(const TargetGroup& a, const TargetGroup& b) {
  return a.source == b.source && a.labels == b.labels && a.targets == b.targets;
}

std::shared_ptr<Counter> CounterOf(const Environment& env, const char* mechanism,
                                   const char* outcome) {
  return env.telemetry.AddCounter(
      kRefreshesRow, {{"job", env.job}, {"mechanism", mechanism}, {"outcome", outcome}});
}

}  // namespace

RemoteDiscoverer::RemoteDiscoverer(const Environment& environment, const char* mechanism,
                                   std::string place)
    : env_(environment),
      mechanism_(mechanism),
      place_(std::move(place)),
      good_(CounterOf(env_, mechanism, "ok")),
      failed_(CounterOf(env_, mechanism, "failed")),
      where_(env_.runtime.Next()) {}

bool RemoteDiscoverer::Start(net::Tasks& tasks, std::function<void()> changed) {
  tasks_ = &tasks;
  changed_ = std::move(changed);
  const auto run = [](std::shared_ptr<RemoteDiscoverer> d) -> asio::awaitable<void> {
    co_await d->Run();
  };
  Also(run(shared_from_this()));
  return true;
}

void RemoteDiscoverer::Also(asio::awaitable<void> body) {
  tasks_->Start(where_, "discovery " + place_, std::move(body));
}

void RemoteDiscoverer::End() {
  ended_ = true;
  std::lock_guard lock(mutex_);
  for (const auto& bell : pauses_) bell->Ring();
}

asio::awaitable<bool> RemoteDiscoverer::Pause(Duration time) {
  auto bell = std::make_shared<net::Bell>(where_);
  {
    std::lock_guard lock(mutex_);
    pauses_.insert(bell);
  }
  if (!ended_) co_await bell->Wait(time);
  {
    std::lock_guard lock(mutex_);
    pauses_.erase(bell);
  }
  const bool cancelled = co_await net::IsCancelled();
  co_return !ended_ && !cancelled;
}

void RemoteDiscoverer::Settle(const std::string& part, Answer answer) {
  if (ended_ || (!answer && answer.error().kind() == ErrorKind::kCancelled)) return;
  (answer ? good_ : failed_)->Add();
  {
    std::lock_guard lock(mutex_);
    Part& p = parts_[part];
    const std::string error = answer ? "" : place_ + ": " + answer.error().ToString();
    const bool same =
        error == p.error && (!answer || std::ranges::equal(*answer, p.groups, SameGroup));
    if (same) return;
    if (!error.empty() && error != p.error) {
      log::Warn("Discovery fails; what was known before stays in force",
                {{"job", env_.job}, {"mechanism", mechanism_}, {"error", error}});
    } else if (error.empty() && !p.error.empty()) {
      log::Info("Discovery works again",
                {{"job", env_.job}, {"mechanism", mechanism_}, {"place", place_}});
    }
    p.error = error;
    if (answer) p.groups = *std::move(answer);
    news_ = true;
  }
  changed_();
}

void RemoteDiscoverer::Forget(const std::string& part) {
  {
    std::lock_guard lock(mutex_);
    if (parts_.erase(part) == 0) return;
    news_ = true;
  }
  if (!ended_) changed_();
}

// True if the groups changed; errors may have either way.
bool RemoteDiscoverer::Poll() {
  std::lock_guard lock(mutex_);
  if (!std::exchange(news_, false)) return false;
  std::vector<TargetGroup> groups;
  errors_.clear();
  for (const auto& [name, part] : parts_) {
    groups.insert(groups.end(), part.groups.begin(), part.groups.end());
    if (!part.error.empty()) errors_.push_back(part.error);
  }
  const bool changed = !polled_ || !std::ranges::equal(groups, groups_, SameGroup);
  polled_ = true;
  groups_ = std::move(groups);
  return changed;
}

asio::awaitable<void> PeriodicDiscoverer::Run() {
  for (bool go = true; go;) {
    const Duration began = env_.clock.Steady();
    co_await Refresh();
    const Duration took = env_.clock.Steady() - began;
    // A slow answer does not put off the next question for a whole interval.
    go = co_await Pause(std::max<Duration>(interval_ - took, std::chrono::milliseconds(1)));
  }
}

std::string SanitizeLabelName(std::string_view name) {
  std::string out(name);
  for (char& c : out) {
    const bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!fits) c = '_';
  }
  return out;
}

std::string JoinHostPort(std::string_view host, std::string_view port) {
  return host.find(':') == std::string_view::npos ? fmt::format("{}:{}", host, port)
                                                  : fmt::format("[{}]:{}", host, port);
}

}  // namespace picket::collectors::discovery
