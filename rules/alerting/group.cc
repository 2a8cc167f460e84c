// SPDX-License-Identifier: Apache-2.0
#include "rules/alerting/group.h"

#include <fmt/format.h>

#include <set>

#include "core/base/hash.h"
#include "core/base/log.h"

namespace picket::rules::alerting {
namespace {

/// As a value in a query string: blanks are +.
std::string QueryEscape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == ' ') {
      out += '+';
      continue;
    }
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
        c == '_' || c == '.' || c == '~')
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

/// Two rules that write under the same name and labels.
bool SameSeries(const Rule& a, const Rule& b) {
  return a.config.Name() == b.config.Name() && a.config.IsAlert() == b.config.IsAlert() &&
         a.labels == b.labels;
}

}  // namespace

Group::Group(GroupConfig config, const AlertingConfig& settings, const GroupNeeds* needs)
    : config_(std::move(config)),
      settings_(settings),
      needs_(needs),
      interval_(config_.interval.value_or(settings.evaluation_interval)),
      offset_(config_.query_offset.value_or(settings.query_offset)) {
  if (interval_.count() <= 0) interval_ = settings.evaluation_interval;
  for (size_t i = 0; i < config_.rules.size(); ++i) {
    const RuleConfig& c = config_.rules[i];
    Rule rule;
    rule.config = c;
    rule.labels = config_.labels;
    for (const auto& [n, v] : c.labels) rule.labels[n] = v;
    if (auto e = promql::Parse(c.expr)) {
      rule.expression = *std::move(e);
    } else {
      rule.health = RuleHealth::kErr;
      rule.last_error = e.error().ToString();
    }
    if (c.IsAlert()) rule.alert = std::make_unique<AlertRule>(c, rule.labels);
    rule.writer = std::make_unique<SeriesWriter>(
        *needs_->intake, fmt::format("rule {}/{}/{}", config_.name, c.Name(), i));
    rules_.push_back(std::move(rule));
  }
}

UnixMs Group::NextSlot(UnixMs after) const {
  const int64_t step = interval_.count();
  const auto phase = static_cast<int64_t>(Hash64(config_.name, Hash64(config_.file)) %
                                          static_cast<uint64_t>(step));
  const int64_t since = after - phase;
  const int64_t slots = since >= 0 ? since / step : -((-since + step - 1) / step);
  return phase + (slots + 1) * step;
}

Result<std::vector<std::pair<Labels, double>>> Group::Run(const promql::Expression& e,
                                                          UnixMs t) const {
  PICKET_ASSIGN(auto result, needs_->engine->Instant(e, *needs_->querier, t - offset_.count()));
  std::vector<std::pair<Labels, double>> rows;
  if (result.type == promql::ValueType::kScalar) {
    rows.emplace_back(Labels(), result.scalar);
  } else if (result.type == promql::ValueType::kVector) {
    rows.reserve(result.vector.size());
    for (auto& s : result.vector)
      if (!s.histogram) rows.emplace_back(std::move(s.labels), s.value);
  } else {
    return Fail(ErrorKind::kInvalidArgument, "rule result is not a vector or scalar");
  }
  return rows;
}

Status Group::Record(Rule& rule, UnixMs t, const std::vector<std::pair<Labels, double>>& rows) {
  std::vector<std::pair<Labels, double>> out;
  std::set<Labels> unique;
  for (const auto& [labels, value] : rows) {
    LabelsBuilder b(labels);
    b.Set(kMetricName, rule.config.record);
    for (const auto& [n, v] : rule.labels) b.Set(n, v);
    Labels named = b.Build();
    if (!unique.insert(named).second)
      return Fail(ErrorKind::kInvalidArgument,
                  "vector contains metrics with the same labelset after applying rule labels");
    out.emplace_back(std::move(named), value);
  }
  if (const size_t refused = rule.writer->Write(t - offset_.count(), out); refused > 0)
    return Fail(
        ErrorKind::kOverloaded,
        fmt::format("{} new series were refused: the memory or series limit is reached", refused));
  return {};
}

Status Group::CheckLimit(size_t count, std::string_view what) const {
  if (config_.limit <= 0 || count <= static_cast<size_t>(config_.limit)) return {};
  return Fail(ErrorKind::kLimit,
              fmt::format("exceeded limit of {} with {} {}", config_.limit, count, what));
}

Status Group::EvaluateRule(Rule& rule, UnixMs t) {
  if (!rule.expression) return Fail(ErrorKind::kInvalidArgument, rule.last_error);
  PICKET_ASSIGN(const auto rows, Run(*rule.expression, t));
  rule.samples = rows.size();
  rule.value = rows.empty() ? std::nullopt : std::optional(rows.front().second);
  if (!rule.alert) {
    PICKET_TRY(CheckLimit(rows.size(), "series"));
    return Record(rule, t, rows);
  }
  const AlertContext context{
      &needs_->external_labels, settings_.external_url,
      [this](const std::string& text, UnixMs at) -> Result<std::vector<std::pair<Labels, double>>> {
        PICKET_ASSIGN(const auto e, promql::Parse(text));
        return Run(*e, at);
      }};
  PICKET_TRY(rule.alert->Update(t, rows, context));
  if (Status within = CheckLimit(rule.alert->Active(), "alerts"); !within) {
    rule.alert->Clear();
    return within;
  }
  const size_t refused = rule.writer->Write(t - offset_.count(), rule.alert->Series());
  if (needs_->notify) {
    const auto due = rule.alert->Due(t, settings_.resend_delay, interval_, GeneratorUrl(rule));
    if (!due.empty()) needs_->notify(due);
  }
  if (refused > 0)
    return Fail(ErrorKind::kOverloaded,
                "the store refused new ALERTS series; the alert itself goes on");
  return {};
}

void Group::Evaluate(UnixMs t) {
  const Duration begun = needs_->clock->Steady();
  for (Rule& rule : rules_) {
    const Duration from = needs_->clock->Steady();
    const Status done = EvaluateRule(rule, t);
    rule.evaluation_time = needs_->clock->Steady() - from;
    rule.last_evaluation_ms = t;
    if (done) {
      rule.health = RuleHealth::kOk;
      rule.last_error.clear();
      continue;
    }
    const std::string error = done.error().ToString();
    if (rule.last_error != error)
      log::Warn("A rule failed", {{"group", config_.name},
                                  {"rule", rule.config.Name()},
                                  {"file", config_.file},
                                  {"error", error}});
    rule.health = RuleHealth::kErr;
    rule.last_error = error;
  }
  last_ms_ = t;
  took_ = needs_->clock->Steady() - begun;
}

void Group::End(UnixMs t, const std::set<Labels>& others) {
  for (Rule& rule : rules_)
    if (rule.writer) rule.writer->End(t - offset_.count(), others);
}

void Group::TakeMoved(Group& gone) {
  for (Rule& rule : rules_) {
    if (rule.last_evaluation_ms != 0) continue;
    for (Rule& before : gone.rules_) {
      if (!before.writer || !SameSeries(before, rule)) continue;
      rule.writer = std::move(before.writer);
      break;
    }
  }
}

void Group::AddLiveSeries(std::set<Labels>& out) const {
  for (const Rule& rule : rules_)
    if (rule.writer) rule.writer->AddLive(out);
}

void Group::TakeFrom(Group& old) {
  for (Rule& rule : rules_) {
    for (Rule& before : old.rules_) {
      if (!before.writer || !SameSeries(before, rule)) continue;
      // The old series go on under the same ids; what the new expression no longer yields ends at
      // its first evaluation.
      rule.writer = std::move(before.writer);
      if (rule.alert && before.alert)
        for (const auto& [labels, alert] : before.alert->alerts())
          rule.alert->Restore(alert, Milliseconds(0));
      rule.health = before.health;
      rule.last_error = before.last_error;
      rule.last_evaluation_ms = before.last_evaluation_ms;
      break;
    }
  }
  due_ms = interval_ == old.interval_ ? old.due_ms : 0;
  missed = old.missed;
  last_ms_ = old.last_ms_;
}

std::string Group::GeneratorUrl(const Rule& rule) const {
  return fmt::format("{}/graph?g0.expr={}&g0.tab=1", settings_.external_url,
                     QueryEscape(promql::Print(*rule.expression)));
}

}  // namespace picket::rules::alerting
