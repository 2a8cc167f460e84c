// SPDX-License-Identifier: Apache-2.0
#include "collectors/host/manager.h"

#include <atomic>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/this_coro.hpp>

#include "collectors/host/host.h"
#include "collectors/host/metrics.h"
#include "core/base/log.h"

namespace picket::collectors::host {

namespace asio = boost::asio;

/// One configuration's run.
struct HostManager::Loop {
  Loop(const Dependencies& d, const HostConfig& c)
      : deps(d),
        config(c),
        where(d.runtime.Next()),
        bell(where),
        reader(c, d.node, d.intake, d.clock),
        balance(d.balances.Open("host", d.node, "samples")),
        collections(d.telemetry.AddCounter(kCollections)) {}

  asio::awaitable<void> Run(std::shared_ptr<Loop> self) {
    const int64_t interval = config.interval.count();
    while (!ended) {
      const UnixMs now = deps.clock.NowMs();
      const UnixMs due = first ? now : (now / interval + 1) * interval;
      // co_await never stands in a condition: see core/net/runtime.h.
      bool rung = false;
      if (!first) rung = co_await bell.Wait(Milliseconds(due - now));
      if (rung) continue;
      const auto cancellation = co_await asio::this_coro::cancellation_state;
      if (cancellation.cancelled() != asio::cancellation_type::none) break;
      first = false;
      std::function<void()> collect = [self, due] { self->Collect(due); };
      co_await deps.runtime.RunBlocking(std::move(collect));
    }
    if (!markers) co_return;
    std::function<void()> end = [self] { self->reader.End(self->deps.clock.NowMs()); };
    co_await deps.runtime.RunBlocking(std::move(end));
  }

  void Collect(UnixMs due) {
    const HostReader::Outcome outcome = reader.Collect(due);
    collections->Add();
    balance->In(outcome.series);
    balance->Out(outcome.series);
    std::lock_guard lock(mutex);
    for (const auto& [part, error] : outcome.errors) {
      deps.telemetry.AddCounter(kFailures, {{"part", part}})->Add();
      if (!state.errors.contains(part))
        log::Warn("A part of the host cannot be read", {{"part", part}, {"error", error}});
    }
    state = {true, due, outcome.series, outcome.errors};
  }

  const Dependencies deps;
  const HostConfig config;
  const asio::any_io_executor where;
  net::Bell bell;
  HostReader reader;
  std::shared_ptr<Balance> balance;
  std::shared_ptr<Counter> collections;
  bool first = true;
  std::atomic<bool> ended{false}, markers{false};
  std::mutex mutex;  // guards state
  State state;
};

HostManager::HostManager(Dependencies dependencies)
    : deps_(std::move(dependencies)), tasks_(deps_.runtime) {}

HostManager::~HostManager() { Stop(Duration(0)); }

void HostManager::ApplyConfig(const HostConfig& config) {
  const std::string settings = config::ToYaml(config, config::PrintWhat::kAll);
  std::lock_guard lock(mutex_);
  if (stopped_ || settings == settings_) return;
  settings_ = settings;
  if (loop_) {
    // Where the series go on under the same labels, a marker would only make a gap.
    loop_->markers =
        !config.enabled || config.job != loop_->config.job || config.labels != loop_->config.labels;
    loop_->ended = true;
    loop_->bell.Ring();
    loop_.reset();
  }
  if (!config.enabled) return;
  loop_ = std::make_shared<Loop>(deps_, config);
  tasks_.Start(loop_->where, "host", loop_->Run(loop_));
}

void HostManager::Stop(Duration deadline) {
  {
    std::lock_guard lock(mutex_);
    stopped_ = true;
    if (loop_) {
      loop_->ended = true;
      loop_->bell.Ring();
    }
  }
  tasks_.Stop(deadline);
  std::lock_guard lock(mutex_);
  loop_.reset();
}

HostManager::State HostManager::state() const {
  std::shared_ptr<Loop> loop;
  {
    std::lock_guard lock(mutex_);
    loop = loop_;
  }
  if (!loop) return {};
  std::lock_guard lock(loop->mutex);
  return loop->state;
}

}  // namespace picket::collectors::host
