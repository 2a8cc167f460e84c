// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/signals.h"
#include "rules/alerting/config.h"
#include "rules/alerting/template/template.h"

namespace picket::rules::alerting {

enum class AlertState : uint8_t { kInactive, kPending, kFiring };
std::string_view AlertStateName(AlertState state);  // "inactive", "pending", "firing"

/// One alert: a row of an alert rule's result that holds, or held.
/// Shape: resolved_ms is 0 until it is resolved; a resolved alert is kept for 15 minutes to be sent
/// again.
struct Alert {
  AlertState state = AlertState::kPending;
  Labels labels;  ///< with alertname
  Labels annotations;
  double value = 0;
  UnixMs active_ms = 0;  ///< since when the expression holds
  UnixMs fired_ms = 0;
  UnixMs resolved_ms = 0;
  UnixMs keep_firing_since_ms = 0;
  UnixMs last_sent_ms = 0;
  UnixMs valid_until_ms = 0;
};

/// What an alert rule needs to know while it is evaluated.
struct AlertContext {
  const Labels* external_labels = nullptr;
  std::string external_url;
  std::function<Result<std::vector<std::pair<Labels, double>>>(const std::string&, UnixMs)> query;
};

/// The life of one rule's alerts: inactive -> pending -> firing -> resolved.
/// Source: Prometheus documentation, alerting rules; the order of the anchors' section 3b.
class AlertRule {
 public:
  /// `labels` are the group's with the rule's laid over. Templates must have been checked.
  AlertRule(const RuleConfig& config, std::map<std::string, std::string> labels);

  /// Takes the result of the expression at `t`. Errors: two rows give one label set; then nothing
  /// changes.
  Status Update(UnixMs t, const std::vector<std::pair<Labels, double>>& rows,
                const AlertContext& context);
  /// Drops every alert, as after an exceeded limit.
  void Clear() { alerts_.clear(); }
  /// ALERTS and ALERTS_FOR_STATE.
  std::vector<std::pair<Labels, double>> Series() const;
  /// Alerts that are due to be sent; marks them as sent. `interval` is the group's.
  std::vector<AlertNotification> Due(UnixMs t, Milliseconds resend_delay, Milliseconds interval,
                                     const std::string& generator_url);

  AlertState State() const;
  size_t Active() const;
  const std::map<Labels, Alert>& alerts() const { return alerts_; }
  /// From a saved state or the rule before a reload; `downtime` shifts what is pending.
  void Restore(Alert alert, Milliseconds downtime);
  void SetHold(Milliseconds hold) { hold_ = hold; }

 private:
  struct Text {
    std::string name;
    Template value;
  };
  std::string name_;
  Milliseconds hold_, keep_;
  std::vector<Text> labels_, annotations_;
  std::map<Labels, Alert> alerts_;
};

}  // namespace picket::rules::alerting
