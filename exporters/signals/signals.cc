// SPDX-License-Identifier: Apache-2.0
#include "exporters/signals/signals.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "core/base/log.h"
#include "exporters/signals/journal.h"
#include "exporters/signals/metrics.h"
#include "exporters/signals/transport.h"

namespace picket::exporters::signals {
namespace {

namespace asio = net::asio;
using Outcome = Attempt::Outcome;

std::string_view OutcomeName(Outcome outcome) {
  switch (outcome) {
    case Outcome::kDelivered:
      return "delivered";
    case Outcome::kRetry:
      return "retry";
    case Outcome::kRejected:
      return "rejected";
    case Outcome::kStopped:
      return "stopped";
  }
  return "retry";
}

// Half of it at least, so that many agents that failed together do not come back together.
Milliseconds Jittered(Milliseconds backoff) {
  thread_local std::minstd_rand random{std::random_device{}()};
  const double share = std::uniform_real_distribution<double>(0.5, 1.0)(random);
  return Milliseconds(static_cast<int64_t>(static_cast<double>(backoff.count()) * share));
}

std::string JournalPath(const std::string& dir, std::string name) {
  if (dir.empty()) return {};
  std::replace(name.begin(), name.end(), '/', '_');
  return dir + "/" + name + ".json";
}

class Delivery final : public SignalSink {
 public:
  Delivery(std::string name, SignalConfig config, const SignalsDeps& deps);
  ~Delivery() override {
    transport_->Stop();
    tasks_.Stop();
  }

  /// Takes up what an earlier process left pending.
  Status Open();
  void OnSignal(const RolloutSignal& signal) override;
  std::string StateOf(const std::string& rollout_id) const override;

 private:
  void Begin(Entry entry);
  asio::awaitable<void> Deliver(Entry entry);
  void Settle(const Entry& entry, const Attempt& attempt, bool expired);
  asio::awaitable<void> Save();
  void CountAttempt(Outcome outcome) { attempts_[static_cast<size_t>(outcome)]->Add(); }

  const std::string name_;
  const SignalConfig config_;
  net::Runtime& runtime_;
  const Clock& clock_;
  Journal journal_;
  std::unique_ptr<Transport> transport_;
  std::shared_ptr<Balance> balance_;
  std::array<std::shared_ptr<Counter>, 4> attempts_;
  std::shared_ptr<Counter> repeated_;
  std::shared_ptr<Gauge> pending_, delivered_at_;
  net::Tasks tasks_;  // last: its coroutines use all of the above
};

Delivery::Delivery(std::string name, SignalConfig config, const SignalsDeps& deps)
    : name_(std::move(name)),
      config_(std::move(config)),
      runtime_(deps.runtime),
      clock_(deps.clock),
      journal_(JournalPath(deps.state_dir, name_)),
      transport_(config_.kind == Kind::kExec ? MakeExec(name_, config_, deps.runtime)
                                             : MakeWebhook(config_, deps.runtime, deps.clock)),
      balance_(deps.balances.Open("exporters.signals", name_, "signals")),
      repeated_(deps.telemetry.AddCounter(metrics::kRepeated, {{"signal", name_}})),
      pending_(deps.telemetry.AddGauge(metrics::kPending, {{"signal", name_}})),
      delivered_at_(deps.telemetry.AddGauge(metrics::kDeliveredAt, {{"signal", name_}})),
      tasks_(deps.runtime) {
  for (Outcome o : {Outcome::kDelivered, Outcome::kRetry, Outcome::kRejected, Outcome::kStopped})
    attempts_[static_cast<size_t>(o)] = deps.telemetry.AddCounter(
        metrics::kAttempts, {{"signal", name_}, {"outcome", std::string(OutcomeName(o))}});
}

Status Delivery::Open() {
  PICKET_TRY(journal_.Load());
  // The balance goes on where a reload left it; what is pending is already in it then.
  const int64_t counted = balance_->Read().queued();
  const auto left = journal_.Pending();
  if (static_cast<int64_t>(left.size()) > counted)
    balance_->In(static_cast<uint64_t>(static_cast<int64_t>(left.size()) - counted));
  pending_->Set(0);
  for (const Entry& entry : left) Begin(entry);
  return {};
}

void Delivery::OnSignal(const RolloutSignal& signal) {
  Entry entry;
  entry.signal = signal;
  entry.accepted_ms = clock_.NowMs();
  if (!journal_.Add(entry)) {
    repeated_->Add();
    const auto first = journal_.Find(signal);
    if (first && first->signal.action != signal.action)
      log::Warn("A rollout has had its action; another one is not taken",
                {{"signal", name_},
                 {"rollout", signal.rollout_id},
                 {"taken", first->signal.action},
                 {"asked", signal.action}});
    return;
  }
  balance_->In(1);
  Begin(std::move(entry));
}

void Delivery::Begin(Entry entry) {
  pending_->Add(1);
  const std::string what = fmt::format("signal {} {}", name_, entry.signal.rollout_id);
  tasks_.Start(runtime_.Next(), what, Deliver(std::move(entry)));
}

asio::awaitable<void> Delivery::Save() {
  std::function<Status()> save = [this] { return journal_.Save(); };
  const Status saved = co_await runtime_.Blocking(std::move(save));
  if (!saved)
    log::Error(
        "The journal of rollout signals cannot be written; after a restart an action may be taken "
        "again",
        {{"signal", name_}, {"error", saved.error().ToString()}});
}

asio::awaitable<void> Delivery::Deliver(Entry entry) {
  const UnixMs deadline_ms = entry.accepted_ms + config_.give_up_after.count();
  Milliseconds backoff = config_.min_backoff;
  Attempt attempt;
  attempt.detail = entry.detail.empty() ? "Picket was not running" : entry.detail;
  co_await Save();
  while (clock_.NowMs() < deadline_ms) {
    attempt = co_await transport_->Try(entry.signal);
    CountAttempt(attempt.outcome);
    ++entry.attempts;
    if (attempt.outcome == Outcome::kStopped) co_return;
    if (attempt.outcome != Outcome::kRetry) break;
    journal_.Update(entry.signal, State::kPending, attempt.detail, entry.attempts);
    const Milliseconds wait = std::max(Jittered(backoff), attempt.retry_after);
    log::Warn("A rollout signal was not delivered; trying again",
              {{"signal", name_},
               {"rollout", entry.signal.rollout_id},
               {"attempt", entry.attempts},
               {"error", attempt.detail},
               {"in", FormatDuration(wait)}});
    const bool slept =
        co_await net::Sleep(std::min(wait, Milliseconds(deadline_ms - clock_.NowMs())));
    if (!slept) co_return;
    backoff = std::min(backoff * 2, config_.max_backoff);
  }
  Settle(entry, attempt, attempt.outcome == Outcome::kRetry);
  co_await Save();
}

void Delivery::Settle(const Entry& entry, const Attempt& attempt, bool expired) {
  pending_->Add(-1);
  const RolloutSignal& s = entry.signal;
  if (attempt.outcome == Outcome::kDelivered) {
    journal_.Update(s, State::kDelivered, {}, entry.attempts);
    balance_->Out(1);
    delivered_at_->Set(static_cast<double>(clock_.NowMs()) / 1000.0);
    log::Info("Delivered a rollout signal", {{"signal", name_},
                                             {"canary", s.canary},
                                             {"rollout", s.rollout_id},
                                             {"action", s.action},
                                             {"attempts", entry.attempts}});
    return;
  }
  const std::string why = expired
                              ? fmt::format("given up after {}: {}",
                                            FormatDuration(config_.give_up_after), attempt.detail)
                              : attempt.detail;
  journal_.Update(s, State::kFailed, why, entry.attempts);
  balance_->Drop(expired ? DropReason::kTooOld : DropReason::kRejected, 1,
                 fmt::format("{} of {} {}: {}", s.action, s.canary, s.rollout_id, why));
}

std::string Delivery::StateOf(const std::string& rollout_id) const {
  const auto entry = journal_.FindById(rollout_id);
  if (!entry) return {};
  if (entry->state == State::kDelivered) return "delivered";
  if (entry->state == State::kFailed) return "failed: " + entry->detail;
  return entry->detail.empty() ? "pending" : "pending: " + entry->detail;
}

}  // namespace

Result<std::shared_ptr<SignalSink>> MakeSignal(std::string name, SignalConfig config,
                                               SignalsDeps deps) {
  PICKET_TRY(config::Validate(config));
  auto made = std::make_shared<Delivery>(std::move(name), std::move(config), deps);
  PICKET_TRY(made->Open());
  return made;
}

}  // namespace picket::exporters::signals
