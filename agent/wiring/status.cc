// SPDX-License-Identifier: Apache-2.0
// What the page and the API are told, as JSON.
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <map>
#include <set>

#include "agent/api/json.h"
#include "agent/api/rules_json.h"
#include "agent/telemetry/exposition.h"
#include "agent/version.h"
#include "agent/wiring/agent.h"
#include "core/base/strings.h"

namespace picket::wiring {
namespace {

using agent::HealthText;
using agent::Json;
using rules::alerting::AlertState;

double Seconds(Milliseconds d) { return static_cast<double>(d.count()) / 1000; }

void AppendQueues(Json& j, const BalanceBook& book) {
  j.Key("queues").Open('[');
  for (const Balance::Snapshot& s : book.Read()) {
    if (s.in == 0 && s.dropped == 0) continue;
    j.Open('{').Field("component", s.component).Field("instance", s.instance).Field("unit", s.unit);
    j.Field("in", s.in).Field("out", s.out).Field("queued", s.queued()).Field("dropped", s.dropped);
    j.Key("dropped_by_reason").Open('{');
    for (const auto& [reason, n] : s.dropped_by_reason) j.Field(reason, n);
    j.Close('}').Field("last_drop", s.last_drop).Close('}');
  }
  j.Close(']');
}

void AppendCanaries(Json& j, const std::vector<rules::canary::CanaryStatus>& canaries) {
  auto side = [&](const char* name, const rules::canary::SideCounts& c) {
    j.Key(name)
        .Open('{')
        .Field("requests", c.requests)
        .Field("errors", c.errors)
        .Field("rate", c.Rate())
        .Close('}');
  };
  j.Key("canaries").Open('[');
  for (const auto& c : canaries) {
    j.Open('{')
        .Field("name", c.name)
        .Field("rollout_id", c.rollout_id)
        .Field("verdict", VerdictName(c.verdict))
        .Field("reason", c.reason);
    j.Field("log_e", c.log_e).Field("threshold", c.threshold).Field("log_e_ok", c.log_e_ok);
    side("canary", c.canary);
    side("baseline", c.baseline);
    j.Field("started_ms", c.started_ms)
        .Field("decided_ms", c.decided_ms)
        .Field("signal_state", c.signal_state)
        .Close('}');
  }
  j.Close(']');
}

}  // namespace

Result<std::string> Agent::RulesJson(const agent::Params& params) const {
  return agent::RulesJson(rules_->Groups(), params);
}

std::string Agent::AlertsJson() const { return agent::AlertsJson(rules_->Groups()); }

std::string Agent::AlertmanagersJson() const {
  Json j;
  j.Open('{').Key("activeAlertmanagers").Open('[');
  for (const auto& a : destinations_->Alertmanagers()) j.Open('{').Field("url", a.url).Close('}');
  return j.Close(']').Key("droppedAlertmanagers").Open('[').Close(']').Close('}').Take();
}

std::string Agent::StatusJson() const {
  const auto store = store_->Stats();
  const ReloadState reload = LastReload();
  const auto usage = agent::ReadProcessUsage();
  Json j;
  j.Open('{')
      .Field("version", agent::kVersion)
      .Field("node", node_name_)
      .Field("now_ms", clock_.NowMs())
      .Field("started_ms", started_ms_);
  j.Key("config")
      .Open('{')
      .Field("file", options_.config_path)
      .Field("last_reload_ok", reload.ok)
      .Field("last_reload_error", reload.error)
      .Close('}');
  const Pressure pressure = budget_->pressure();
  j.Key("memory")
      .Open('{')
      .Field("rss_bytes", usage.rss_bytes)
      .Field("used_bytes", budget_->used())
      .Field("limit_bytes", budget_->limit().value);
  j.Field("state",
          pressure == Pressure::kNone ? std::string_view("normal") : PressureName(pressure))
      .Close('}');
  j.Key("store")
      .Open('{')
      .Field("series", store.series)
      .Field("bytes", store.TotalBytes())
      .Close('}');
  for (const auto& way : ways_in_) way->AppendStatus(j);
  j.Key("rules").Open('[');
  std::map<std::string, std::set<std::string>> slo_alerts;
  for (const auto& g : rules_->Groups())
    for (const auto& r : g.rules) {
      if (r.alerting && r.state == AlertState::kFiring && g.name.starts_with("slo "))
        slo_alerts[g.name.substr(4)].insert(
            r.labels.contains("sloth_severity") ? r.labels.at("sloth_severity") : r.name);
      j.Open('{')
          .Field("group", g.name)
          .Field("name", r.name)
          .Field("type", r.alerting ? "alerting" : "recording");
      j.Field("state", r.alerting ? rules::alerting::AlertStateName(r.state) : HealthText(r.health))
          .Field("health", HealthText(r.health));
      j.Field("value", r.value.value_or(NAN))
          .Field("samples", r.samples)
          .Field("query", r.query)
          .Field("last_error", r.last_error)
          .Close('}');
    }
  j.Close(']').Key("slos").Open('[');
  for (const auto& s : rules_->Slos()) {
    j.Open('{')
        .Field("name", s.name)
        .Field("service", s.service)
        .Field("objective", s.objective)
        .Field("window_seconds", Seconds(s.window));
    j.Field("good", s.good)
        .Field("total", s.total)
        .Field("budget_remaining", s.budget_remaining)
        .Field("coverage", s.coverage);
    j.Key("burn").Open('{');
    for (const auto& [window, burn] : s.burn) j.Field(window, burn);
    j.Close('}').Key("alerts").Open('[');
    for (const std::string& a : slo_alerts[s.id]) j.Value(a);
    j.Close(']').Field("last_error", s.last_error).Close('}');
  }
  j.Close(']');
  AppendCanaries(j, rules_->Canaries());
  AppendQueues(j, balances_);
  j.Key("destinations").Open('[');
  for (const auto& d : destinations_->Read())
    j.Open('{')
        .Field("kind", d.kind)
        .Field("name", d.kind + " " + d.name)
        .Field("url", d.url)
        .Field("backlog_bytes", d.backlog_bytes)
        .Field("oldest_seconds", d.oldest_seconds)
        .Field("retries", d.retries)
        .Field("last_error", d.last_error)
        .Close('}');
  j.Close(']').Key("notices").Open('[');
  for (const std::string& f : Findings())
    if (f.starts_with("!")) j.Value(f.substr(2));
  return j.Close(']').Close('}').Take();
}

std::vector<std::string> Agent::Findings() const {
  std::vector<std::string> out;
  for (const auto& way : ways_in_)
    for (std::string& f : way->Findings()) out.push_back(std::move(f));
  size_t rules = 0;
  for (const auto& g : rules_->Groups()) rules += g.rules.size();
  if (rules > 0) out.push_back(fmt::format("evaluating {} rules", rules));
  if (const auto d = destinations_->Read(); !d.empty())
    out.push_back(fmt::format("forwarding to {} destinations", d.size()));
  for (const auto& d : destinations_->Read())
    if (!d.queue_error.empty())
      out.push_back(fmt::format("! the queue of {} {} cannot be written to disk: {}", d.kind,
                                d.name, d.queue_error));
  for (const Leftover& l : destinations_->Leftovers())
    out.push_back(
        fmt::format("! {} holds {} items ({} bytes) of a destination that is no longer "
                    "configured",
                    l.path, l.items, l.bytes));
  if (data_dir_.empty())
    out.push_back("! no data directory: a restart forgets the window and the queues");
  else
    out.push_back(fmt::format("keeping state in {}", data_dir_));
  return out;
}

}  // namespace picket::wiring
