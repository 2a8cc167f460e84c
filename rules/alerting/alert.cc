// SPDX-License-Identifier: Apache-2.0
#include "rules/alerting/alert.h"

#include <fmt/format.h>

#include <algorithm>

namespace picket::rules::alerting {
namespace {

constexpr UnixMs kResolvedRetentionMs = 15 * 60'000;

Template ParseChecked(const std::string& text) {
  auto t = Template::Parse(text);
  // The loader refused files with such a template; one made by a program shows its own text.
  return t ? *std::move(t) : *Template::Parse("");
}

}  // namespace

std::string_view AlertStateName(AlertState state) {
  switch (state) {
    case AlertState::kInactive:
      return "inactive";
    case AlertState::kPending:
      return "pending";
    case AlertState::kFiring:
      return "firing";
  }
  return "inactive";
}

AlertRule::AlertRule(const RuleConfig& config, std::map<std::string, std::string> labels)
    : name_(config.alert),
      hold_(config.hold.value_or(Milliseconds(0))),
      keep_(config.keep_firing_for.value_or(Milliseconds(0))) {
  for (const auto& [name, text] : labels) labels_.push_back({name, ParseChecked(text)});
  for (const auto& [name, text] : config.annotations)
    annotations_.push_back({name, ParseChecked(text)});
}

Status AlertRule::Update(UnixMs t, const std::vector<std::pair<Labels, double>>& rows,
                         const AlertContext& context) {
  std::map<Labels, Alert> active;
  for (const auto& [row, value] : rows) {
    LabelsBuilder bare(row);
    bare.Delete(kMetricName);  // templates still see it
    const TemplateContext tc{&row,
                             context.external_labels,
                             context.external_url,
                             value,
                             t,
                             [&](const std::string& text) { return context.query(text, t); }};
    for (const Text& l : labels_) bare.Set(l.name, l.value.Expand(tc));
    bare.Set("alertname", name_);
    LabelsBuilder annotations;
    for (const Text& a : annotations_) annotations.Set(a.name, a.value.Expand(tc));
    Alert alert;
    alert.labels = bare.Build();
    alert.annotations = annotations.Build();
    alert.value = value;
    alert.active_ms = t;
    if (!active.emplace(alert.labels, alert).second)
      return Fail(ErrorKind::kInvalidArgument,
                  "vector contains metrics with the same labelset after applying alert labels");
  }
  for (auto& [labels, fresh] : active) {
    auto it = alerts_.find(labels);
    if (it != alerts_.end() && it->second.resolved_ms == 0) {
      it->second.value = fresh.value;
      it->second.annotations = fresh.annotations;
      it->second.keep_firing_since_ms = 0;
    } else {
      alerts_.insert_or_assign(labels, fresh);
    }
  }
  for (auto it = alerts_.begin(); it != alerts_.end();) {
    Alert& a = it->second;
    if (!active.contains(it->first)) {
      // The expression no longer holds for it.
      if (a.state == AlertState::kPending ||
          (a.resolved_ms != 0 && t - a.resolved_ms > kResolvedRetentionMs)) {
        it = alerts_.erase(it);
        continue;
      }
      bool keep = false;
      if (a.state == AlertState::kFiring && keep_.count() > 0) {
        if (a.keep_firing_since_ms == 0) a.keep_firing_since_ms = t;
        keep = t - a.keep_firing_since_ms < keep_.count();
      }
      if (a.state != AlertState::kInactive && !keep) {
        a.state = AlertState::kInactive;
        a.resolved_ms = t;
      }
    } else {
      if (a.state == AlertState::kPending && t - a.active_ms >= hold_.count()) {
        a.state = AlertState::kFiring;
        a.fired_ms = t;
      } else if (a.state == AlertState::kFiring && t - a.active_ms < hold_.count()) {
        a.state = AlertState::kPending;  // a reload raised `for`
      }
    }
    ++it;
  }
  return {};
}

std::vector<std::pair<Labels, double>> AlertRule::Series() const {
  std::vector<std::pair<Labels, double>> out;
  for (const auto& [labels, a] : alerts_) {
    if (a.state == AlertState::kInactive) continue;
    LabelsBuilder b(labels);
    b.Set(kMetricName, "ALERTS");
    b.Set("alertstate", AlertStateName(a.state));
    out.emplace_back(b.Build(), 1);
    b = LabelsBuilder(labels);
    b.Set(kMetricName, "ALERTS_FOR_STATE");
    out.emplace_back(b.Build(), static_cast<double>(a.active_ms / 1000));
  }
  return out;
}

std::vector<AlertNotification> AlertRule::Due(UnixMs t, Milliseconds resend_delay,
                                              Milliseconds interval,
                                              const std::string& generator_url) {
  std::vector<AlertNotification> out;
  for (auto& [labels, a] : alerts_) {
    if (a.state == AlertState::kPending) continue;
    const bool newly_resolved = a.resolved_ms > a.last_sent_ms;
    if (!newly_resolved && a.last_sent_ms != 0 && t - a.last_sent_ms < resend_delay.count())
      continue;
    a.last_sent_ms = t;
    a.valid_until_ms = t + 4 * std::max(interval, resend_delay).count();
    out.push_back({a.labels, a.annotations, a.fired_ms,
                   a.resolved_ms != 0 ? a.resolved_ms : a.valid_until_ms, generator_url});
  }
  return out;
}

AlertState AlertRule::State() const {
  AlertState top = AlertState::kInactive;
  for (const auto& [labels, a] : alerts_) top = std::max(top, a.state);
  return top;
}

size_t AlertRule::Active() const {
  return static_cast<size_t>(std::count_if(alerts_.begin(), alerts_.end(), [](const auto& e) {
    return e.second.state != AlertState::kInactive;
  }));
}

void AlertRule::Restore(Alert alert, Milliseconds downtime) {
  // What was pending has not been watched meanwhile: the time it still has to hold stays the same.
  if (alert.state == AlertState::kPending) alert.active_ms += downtime.count();
  alerts_.insert_or_assign(alert.labels, std::move(alert));
}

}  // namespace picket::rules::alerting
