// SPDX-License-Identifier: Apache-2.0
// What the page and the API are told, as JSON.
#include <charconv>
#include <cmath>
#include <map>
#include <set>

#include "agent/telemetry/exposition.h"
#include "agent/version.h"
#include "agent/wiring/agent.h"
#include "core/base/strings.h"

namespace picket::wiring {
namespace {

using rules::alerting::Alert;
using rules::alerting::AlertState;
using rules::alerting::RuleHealth;

/// Writes one JSON value after the other; keeps track of commas.
class Json {
 public:
  Json& Open(char c) { return Comma(), out_ += c, first_ = true, *this; }
  Json& Close(char c) { return out_ += c, first_ = false, *this; }
  Json& Key(std::string_view k) {
    Comma();
    AppendJsonQuoted(out_, k);
    out_ += ':';
    first_ = true;
    return *this;
  }
  Json& Raw(std::string_view v) { return Comma(), out_ += v, *this; }
  Json& Value(std::string_view v) { return Comma(), AppendJsonQuoted(out_, v), *this; }
  Json& Value(const std::string& v) { return Value(std::string_view(v)); }
  Json& Value(const char* v) { return Value(std::string_view(v)); }
  Json& Value(bool v) { return Raw(v ? "true" : "false"); }
  Json& Value(double v) { return Raw(std::isfinite(v) ? FormatFloat(v) : "null"); }
  template <class T>
    requires std::is_integral_v<T>
  Json& Value(T v) {
    return Raw(std::to_string(v));
  }
  template <class T>
  Json& Field(std::string_view k, const T& v) {
    return Key(k).Value(v);
  }
  std::string Take() { return std::move(out_); }

 private:
  void Comma() {
    if (!first_) out_ += ',';
    first_ = false;
  }
  std::string out_;
  bool first_ = true;
};

double Seconds(Duration d) { return std::chrono::duration<double>(d).count(); }
double Seconds(Milliseconds d) { return static_cast<double>(d.count()) / 1000; }

std::string_view HealthText(RuleHealth h) {
  return h == RuleHealth::kOk ? "ok" : h == RuleHealth::kErr ? "err" : "unknown";
}

void AppendMap(Json& j, const std::map<std::string, std::string>& map) {
  j.Open('{');
  for (const auto& [k, v] : map) j.Field(k, v);
  j.Close('}');
}

/// Prometheus gives alert values always with an exponent.
std::string AlertValue(double v) {
  if (!std::isfinite(v)) return FormatFloat(v);
  return fmt::format("{:e}", v).find("e") == std::string::npos ? FormatFloat(v) : [&] {
    char buffer[64];
    auto r = std::to_chars(buffer, buffer + sizeof buffer, v, std::chars_format::scientific);
    return std::string(buffer, r.ptr);
  }();
}

void AppendAlert(Json& j, const Alert& a) {
  j.Open('{');
  j.Key("labels").Raw(a.labels.ToJson());
  j.Key("annotations").Raw(a.annotations.ToJson());
  j.Field("state", rules::alerting::AlertStateName(a.state));
  j.Field("activeAt", agent::FormatTime(a.active_ms));
  if (a.keep_firing_since_ms != 0)
    j.Field("keepFiringSince", agent::FormatTime(a.keep_firing_since_ms));
  j.Field("value", AlertValue(a.value));
  j.Close('}');
}

void AppendRule(Json& j, const rules::alerting::RuleStatus& r, bool with_alerts) {
  j.Open('{');
  if (r.alerting)
    j.Field("state", r.health == RuleHealth::kUnknown ? "unknown"
                                                      : rules::alerting::AlertStateName(r.state));
  j.Field("name", r.name).Field("query", r.query);
  if (r.alerting)
    j.Field("duration", Seconds(r.hold)).Field("keepFiringFor", Seconds(r.keep_firing_for));
  AppendMap(j.Key("labels"), r.labels);
  if (r.alerting) {
    AppendMap(j.Key("annotations"), r.annotations);
    j.Key("alerts").Open('[');
    if (with_alerts)
      for (const Alert& a : r.alerts) AppendAlert(j, a);
    j.Close(']');
  }
  j.Field("health", HealthText(r.health));
  if (!r.last_error.empty()) j.Field("lastError", r.last_error);
  j.Field("evaluationTime", Seconds(r.evaluation_time))
      .Field("lastEvaluation", agent::FormatTime(r.last_evaluation_ms));
  j.Field("type", r.alerting ? "alerting" : "recording");
  j.Close('}');
}

bool Asked(const std::vector<std::string>& wanted, const std::string& name) {
  return wanted.empty() || std::find(wanted.begin(), wanted.end(), name) != wanted.end();
}

void AppendTargets(Json& j, const std::vector<collectors::scrape::TargetStatus>& targets) {
  j.Key("targets").Open('[');
  for (const auto& t : targets) {
    j.Open('{').Field("pool", t.job).Field("url", t.url).Key("labels").Raw(t.labels.ToJson());
    j.Field("health", collectors::scrape::HealthName(t.health))
        .Field("last_error", t.last_error)
        .Field("last_scrape_ms", t.last_scrape_ms);
    j.Field("duration_seconds", Seconds(t.last_duration))
        .Field("samples", t.samples)
        .Field("series", t.series)
        .Close('}');
  }
  j.Close(']');
}

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

std::string Agent::RulesJson(const agent::Params& params) const {
  const auto names = params.All("rule_name[]");
  const auto group_names = params.All("rule_group[]");
  const auto files = params.All("file[]");
  const std::string_view type = params.Get("type");
  const bool with_alerts = params.Get("exclude_alerts") != "true";
  Json j;
  j.Open('{').Key("groups").Open('[');
  for (const auto& g : rules_->Groups()) {
    if (!Asked(group_names, g.name) || !Asked(files, g.file)) continue;
    std::vector<const rules::alerting::RuleStatus*> shown;
    for (const auto& r : g.rules)
      if (Asked(names, r.name) && (type.empty() || type == (r.alerting ? "alert" : "record")))
        shown.push_back(&r);
    if (shown.empty() && !g.rules.empty()) continue;
    j.Open('{').Field("name", g.name).Field("file", g.file).Key("rules").Open('[');
    for (const auto* r : shown) AppendRule(j, *r, with_alerts);
    j.Close(']')
        .Field("interval", Seconds(g.interval))
        .Field("limit", g.limit)
        .Field("evaluationTime", Seconds(g.evaluation_time));
    j.Field("lastEvaluation", agent::FormatTime(g.last_evaluation_ms)).Close('}');
  }
  return j.Close(']').Close('}').Take();
}

std::string Agent::AlertsJson() const {
  Json j;
  j.Open('{').Key("alerts").Open('[');
  for (const auto& g : rules_->Groups())
    for (const auto& r : g.rules)
      for (const Alert& a : r.alerts) AppendAlert(j, a);
  return j.Close(']').Close('}').Take();
}

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
  AppendTargets(j, scrape_->Targets());
  j.Key("logs").Open('[');
  if (logs_)
    for (const auto& f : logs_->Files())
      j.Open('{')
          .Field("path", f.path)
          .Field("size_bytes", f.size)
          .Field("read_bytes", f.read_offset)
          .Field("acked_bytes", f.acked_offset)
          .Field("lag_bytes", f.lag_bytes)
          .Field("lag_seconds", f.lag_seconds)
          .Field("last_error", f.last_error)
          .Close('}');
  j.Close(']').Key("rules").Open('[');
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
  const auto targets = scrape_->Targets();
  if (!targets.empty()) out.push_back(fmt::format("scraping {} targets", targets.size()));
  const auto host = host_->state();
  bool watches_host = false;
  {
    std::lock_guard lock(mutex_);
    watches_host = config_.collectors.host.enabled;
  }
  if (watches_host) out.push_back(fmt::format("watching this host ({})", node_name_));
  for (const auto& [part, error] : host.errors)
    out.push_back(fmt::format("! host {} cannot be read: {}", part, error));
  for (const auto& [job, errors] : scrape_->DiscoveryErrors())
    for (const std::string& e : errors)
      out.push_back(fmt::format("! discovery of job {}: {}", job, e));
  if (logs_) out.push_back(fmt::format("following {} log files", logs_->Files().size()));
  if (otlp_ && otlp_->http_port() != 0)
    out.push_back(fmt::format("taking traces over OTLP/HTTP on port {}", otlp_->http_port()));
  if (otlp_ && otlp_->grpc_port() != 0)
    out.push_back(fmt::format("taking traces over OTLP/gRPC on port {}", otlp_->grpc_port()));
  size_t rules = 0;
  for (const auto& g : rules_->Groups()) rules += g.rules.size();
  if (rules > 0) out.push_back(fmt::format("evaluating {} rules", rules));
  if (const auto d = destinations_->Read(); !d.empty())
    out.push_back(fmt::format("forwarding to {} destinations", d.size()));
  if (data_dir_.empty())
    out.push_back("! no data directory: a restart forgets the window and the queues");
  else
    out.push_back(fmt::format("keeping state in {}", data_dir_));
  return out;
}

}  // namespace picket::wiring
