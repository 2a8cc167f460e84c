// SPDX-License-Identifier: Apache-2.0
#include "rules/alerting/manager.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/base/hash.h"
#include "core/base/log.h"
#include "rules/alerting/metrics.h"
#include "rules/alerting/state_file.h"

namespace picket::rules::alerting {
namespace {

constexpr UnixMs kSaveEveryMs = 30'000;

std::string Key(const GroupConfig& g) { return g.file + "\n" + g.name; }

RuleStatus StatusOf(const Rule& rule) {
  RuleStatus s;
  s.alerting = rule.config.IsAlert();
  s.name = rule.config.Name();
  s.query = rule.expression ? promql::Print(*rule.expression) : rule.config.expr;
  s.hold = rule.config.hold.value_or(Milliseconds(0));
  s.keep_firing_for = rule.config.keep_firing_for.value_or(Milliseconds(0));
  s.labels = rule.labels;
  s.annotations = rule.config.annotations;
  s.health = rule.health;
  s.last_error = rule.last_error;
  s.evaluation_time = rule.evaluation_time;
  s.last_evaluation_ms = rule.last_evaluation_ms;
  s.value = rule.value;
  s.samples = rule.samples;
  if (!rule.alert) return s;
  s.state = rule.alert->State();
  for (const auto& [labels, a] : rule.alert->alerts())
    if (a.state != AlertState::kInactive) s.alerts.push_back(a);
  return s;
}

}  // namespace

RuleManager::RuleManager(Options options, GroupNeeds needs, Telemetry* telemetry)
    : options_(std::move(options)), needs_(std::move(needs)) {
  if (telemetry == nullptr) return;
  evaluations_ = telemetry->AddCounter(kEvaluations);
  failures_ = telemetry->AddCounter(kFailures);
  missed_ = telemetry->AddCounter(kMissed);
  seconds_ = telemetry->AddGauge(kSeconds);
}

void RuleManager::Apply(std::vector<GroupConfig> groups, AlertingConfig settings,
                        Labels external_labels, UnixMs now_ms) {
  std::lock_guard lock(mutex_);
  const bool same_settings = config::ToYaml(settings) == config::ToYaml(options_.settings) &&
                             external_labels == needs_.external_labels;
  options_.settings = settings;
  needs_.external_labels = std::move(external_labels);
  std::vector<std::unique_ptr<Group>> old = std::move(groups_);
  groups_.clear();
  for (GroupConfig& config : groups) {
    auto before = std::find_if(old.begin(), old.end(),
                               [&](const auto& g) { return g && Key(g->config()) == Key(config); });
    if (before != old.end() && same_settings &&
        config::ToYaml((*before)->config()) == config::ToYaml(config)) {
      groups_.push_back(std::move(*before));
      continue;
    }
    auto group = std::make_unique<Group>(std::move(config), settings, &needs_);
    if (before != old.end()) group->TakeFrom(**before);
    if (group->due_ms == 0) group->due_ms = group->NextSlot(now_ms - 1);
    groups_.push_back(std::move(group));
  }
  std::set<Labels> live;
  for (const auto& g : groups_) {
    for (const auto& gone : old)
      if (gone) g->TakeMoved(*gone);
    g->AddLiveSeries(live);
  }
  for (const auto& gone : old)
    if (gone) gone->End(now_ms, live);
  if (!restored_) Restore(now_ms);
  restored_ = true;
}

void RuleManager::Restore(UnixMs now_ms) {
  if (options_.state_path.empty()) return;
  auto state = LoadState(options_.state_path);
  if (!state) {
    if (state.error().kind() != ErrorKind::kNotFound)
      log::Warn("Alert state could not be restored; alerts start anew",
                {{"file", options_.state_path}, {"error", state.error().ToString()}});
    return;
  }
  const Milliseconds downtime(std::max<int64_t>(0, now_ms - state->saved_ms));
  if (downtime > options_.settings.outage_tolerance) {
    log::Info("Alert state is older than rules.alerting.outage_tolerance and was not restored",
              {{"age", FormatDuration(downtime)}});
    return;
  }
  size_t restored = 0;
  for (SavedAlert& s : state->alerts)
    for (const auto& g : groups_) {
      if (g->config().file != s.file || g->config().name != s.group) continue;
      for (Rule& r : g->rules())
        if (r.alert && r.config.alert == s.rule && s.alert.labels.Get("alertname") == s.rule) {
          r.alert->Restore(s.alert, downtime);
          ++restored;
          break;
        }
    }
  if (!state->alerts.empty())
    log::Info("Alert state restored", {{"alerts", restored},
                                       {"of", state->alerts.size()},
                                       {"downtime", FormatDuration(downtime)}});
}

UnixMs RuleManager::Evaluate(UnixMs now_ms) {
  const Duration begun = needs_.clock->Steady();
  UnixMs next = INT64_MAX;
  bool any = false;
  for (size_t i = 0;; ++i) {
    std::lock_guard lock(mutex_);
    if (i >= groups_.size()) break;
    Group& g = *groups_[i];
    if (g.due_ms <= now_ms) {
      const UnixMs slot = g.due_ms;
      // A slot is late when the one after it has come too; the newest one is evaluated, the others
      // are counted.
      const int64_t late = (now_ms - slot) / g.interval().count();
      if (late > 0) {
        g.missed += static_cast<uint64_t>(late);
        if (missed_) missed_->Add(static_cast<uint64_t>(late));
      }
      const UnixMs t = slot + late * g.interval().count();
      g.Evaluate(t);
      g.due_ms = t + g.interval().count();
      any = true;
      for (const Rule& r : g.rules()) {
        if (evaluations_) evaluations_->Add();
        if (failures_ && r.health == RuleHealth::kErr) failures_->Add();
      }
    }
    next = std::min(next, g.due_ms);
  }
  if (any && seconds_)
    seconds_->Set(std::chrono::duration<double>(needs_.clock->Steady() - begun).count());
  std::lock_guard lock(mutex_);
  if (any && (Fingerprint() != saved_fingerprint_ ||
              (saved_fingerprint_ != 0 && now_ms - saved_ms_ > kSaveEveryMs)))
    SaveLocked(now_ms);
  return next;
}

void RuleManager::EvaluateAllAt(UnixMs t) {
  std::lock_guard lock(mutex_);
  for (const auto& g : groups_) g->Evaluate(t);
}

uint64_t RuleManager::Fingerprint() const {
  uint64_t sum = 0;
  for (const auto& g : groups_)
    for (const Rule& r : g->rules()) {
      if (!r.alert) continue;
      for (const auto& [labels, a] : r.alert->alerts())
        sum += Hash64(fmt::format("{}/{}/{}/{}", static_cast<int>(a.state), a.active_ms, a.fired_ms,
                                  a.resolved_ms),
                      labels.Hash());
    }
  return sum;
}

void RuleManager::Save(UnixMs now_ms) {
  std::lock_guard lock(mutex_);
  SaveLocked(now_ms);
}

void RuleManager::SaveLocked(UnixMs now_ms) {
  saved_fingerprint_ = Fingerprint();
  saved_ms_ = now_ms;
  if (options_.state_path.empty()) return;
  SavedState state;
  state.saved_ms = now_ms;
  for (const auto& g : groups_)
    for (const Rule& r : g->rules()) {
      if (!r.alert) continue;
      for (const auto& [labels, a] : r.alert->alerts())
        state.alerts.push_back({g->config().file, g->config().name, r.config.alert, a});
    }
  uint64_t held = 0;
  if (const Status saved = SaveState(options_.state_path, state);
      !saved && save_log_.Allow(held, 60'000))
    log::Error("Alert state could not be saved; a restart now would begin alerts anew",
               {{"error", saved.error().ToString()}, {"messages_held_back", held}});
}

std::vector<GroupStatus> RuleManager::Groups() const {
  std::lock_guard lock(mutex_);
  std::vector<GroupStatus> out;
  for (const auto& g : groups_) {
    GroupStatus s{g->config().name,     g->config().file,        g->interval(), g->config().limit,
                  g->evaluation_time(), g->last_evaluation_ms(), g->missed,     {}};
    for (const Rule& r : g->rules()) s.rules.push_back(StatusOf(r));
    out.push_back(std::move(s));
  }
  return out;
}

}  // namespace picket::rules::alerting
