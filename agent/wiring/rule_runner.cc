// SPDX-License-Identifier: Apache-2.0
#include "agent/wiring/rule_runner.h"

#include <fmt/format.h>
#include <pthread.h>

#include <set>

#include "core/base/log.h"
#include "rules/slo/alerts.h"

namespace picket::wiring {
namespace {

constexpr Milliseconds kBurnAlertInterval(15'000);

/// The alerts of an objective as a group of rules like any other.
rules::alerting::GroupConfig AlertGroup(const rules::slo::SloConfig& slo) {
  rules::alerting::GroupConfig group;
  group.name = "slo " + slo.Id();
  group.file = "(objectives)";
  group.interval = kBurnAlertInterval;
  for (auto& a : rules::slo::BurnAlerts(slo)) {
    rules::alerting::RuleConfig rule;
    rule.alert = std::move(a.name);
    rule.expr = std::move(a.expr);
    rule.labels = std::move(a.labels);
    rule.annotations = std::move(a.annotations);
    group.rules.push_back(std::move(rule));
  }
  return group;
}

}  // namespace

RuleRunner::RuleRunner(Needs needs) : needs_(needs) {
  rules::alerting::RuleManager::Options options;
  if (!needs_.data_dir.empty()) options.state_path = needs_.data_dir + "/alerts.json";
  rules::alerting::GroupNeeds group_needs{
      &needs_.querier,
      &needs_.engine,
      &needs_.intake,
      &needs_.clock,
      {},
      [this](std::span<const AlertNotification> alerts) { needs_.destinations.Alert(alerts); }};
  manager_ = std::make_unique<rules::alerting::RuleManager>(
      std::move(options), std::move(group_needs), &needs_.telemetry);
}

RuleRunner::~RuleRunner() { Stop(); }

Result<RuleRunner::Plan> RuleRunner::Prepare(const agent::RulesConfig& config) {
  Plan plan;
  config::Diagnostics diagnostics;
  // Every file is looked at, so that all that is wrong is told at once.
  auto unread = [&](const std::string& key, const Error& error) {
    diagnostics.Add({config::Severity::kError,
                     nullptr,
                     {},
                     key,
                     error.message(),
                     "Create the file, or remove it from the list.",
                     {}});
  };
  for (size_t i = 0; i < config.files.size(); ++i)
    for (const std::string& path : rules::alerting::ExpandGlob(config.files[i])) {
      auto groups = rules::alerting::LoadRuleFile(path, diagnostics, config.reading);
      if (!groups) {
        unread(fmt::format("rules.files[{}]", i), groups.error());
        continue;
      }
      for (auto& g : *groups) plan.groups.push_back(std::move(g));
    }
  std::set<std::string> ids;
  for (size_t i = 0; i < config.slos.size(); ++i)
    for (const std::string& path : rules::alerting::ExpandGlob(config.slos[i])) {
      auto slos = rules::slo::LoadSloFile(path, diagnostics);
      if (!slos) {
        unread(fmt::format("rules.slos[{}]", i), slos.error());
        continue;
      }
      for (auto& s : *slos) {
        if (!ids.insert(s.Id()).second)
          diagnostics.Add(
              {config::Severity::kError,
               nullptr,
               {},
               fmt::format("rules.slos[{}]", i),
               fmt::format("the objective \"{}\" is in two files, the second is {}", s.Id(), path),
               "Keep one of them.",
               {}});
        plan.slos.push_back(std::move(s));
      }
    }
  if (diagnostics.HasErrors()) return Fail(ErrorKind::kInvalidArgument, diagnostics.Render());
  return plan;
}

Status RuleRunner::Apply(const agent::RootConfig& config, Plan plan,
                         const std::string& external_url) {
  const UnixMs now = needs_.clock.NowMs();
  rules::alerting::AlertingConfig settings = config.rules.alerting;
  if (settings.external_url.empty()) settings.external_url = external_url;
  std::string canary_settings;
  for (const auto& c : config.rules.canaries) canary_settings += config::ToYaml(c) + "\n";
  const auto signals = needs_.destinations.Signals();
  std::shared_ptr<rules::canary::CanaryJudge> judge = canaries_;
  if (!judge || canary_settings != canary_settings_ || signals != signals_) {
    PICKET_ASSIGN(judge, rules::canary::CanaryJudge::Make(
                             config.rules.canaries,
                             {&needs_.querier, &needs_.engine, &needs_.intake, signals}));
  }
  std::lock_guard lock(mutex_);
  if (!slos_) {
    PICKET_ASSIGN(slos_, rules::slo::SloEngine::Open(
                             {&needs_.querier, &needs_.intake, &needs_.clock, needs_.data_dir}));
  }
  PICKET_TRY(slos_->Apply(plan.slos, now));
  for (const auto& slo : plan.slos) plan.groups.push_back(AlertGroup(slo));
  manager_->Apply(std::move(plan.groups), settings, config.ExternalLabels(), now);
  // A judge that did not change keeps its evidence; a new one reads it again from the window.
  canaries_ = std::move(judge);
  canary_settings_ = std::move(canary_settings);
  signals_ = signals;
  changed_ = true;
  if (!thread_.joinable()) thread_ = std::thread([this] { Run(); });
  wake_.notify_all();
  return {};
}

void RuleRunner::Run() {
  pthread_setname_np(pthread_self(), "rules");
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    changed_ = false;
    const UnixMs now = needs_.clock.NowMs();
    UnixMs next = manager_->Evaluate(now);
    next = std::min(next, slos_->Evaluate(now));
    if (canaries_) next = std::min(next, canaries_->Evaluate(now));
    const int64_t wait = std::clamp<int64_t>(next - needs_.clock.NowMs(), 0, 1000);
    wake_.wait_for(lock, Milliseconds(wait), [this] { return stopping_ || changed_; });
  }
}

void RuleRunner::Stop() {
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return;
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  manager_->Save(needs_.clock.NowMs());
  std::lock_guard lock(mutex_);
  canaries_.reset();
  slos_.reset();
}

std::vector<rules::slo::SloStatus> RuleRunner::Slos() const {
  std::lock_guard lock(mutex_);
  return slos_ ? slos_->Statuses() : std::vector<rules::slo::SloStatus>();
}

std::vector<rules::canary::CanaryStatus> RuleRunner::Canaries() const {
  std::shared_ptr<rules::canary::CanaryJudge> judge;
  {
    std::lock_guard lock(mutex_);
    judge = canaries_;
  }
  return judge ? judge->Statuses() : std::vector<rules::canary::CanaryStatus>();
}

}  // namespace picket::wiring
