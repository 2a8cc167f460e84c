// SPDX-License-Identifier: Apache-2.0
// Decisions on their way out: alerts and rollout verdicts.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/model/labels.h"

namespace picket {

/// One alert as Alertmanager's API v2 wants it. Times: 0 = absent.
struct AlertNotification {
  Labels labels;
  Labels annotations;
  UnixMs starts_at_ms = 0;
  UnixMs ends_at_ms = 0;
  std::string generator_url;
};

/// A taker of alerts: each Alertmanager. Must not block; it queues, retries and counts by itself.
class AlertSink {
 public:
  virtual ~AlertSink() = default;
  virtual void OnAlerts(std::span<const AlertNotification> alerts) = 0;
};

enum class Verdict : uint8_t { kUnsure, kOk, kBad };
std::string_view VerdictName(Verdict verdict);  // "unsure", "ok", "bad"

/// A canary verdict with its evidence, as it is shown, logged and sent. Values are rendered by the
/// signal's kind.
struct RolloutSignal {
  std::string canary;      ///< name of the rules.canaries entry
  std::string rollout_id;  ///< stable for one rollout: one action is taken for each
  std::string action;      ///< "rollback" or "promote"
  Verdict verdict = Verdict::kUnsure;
  std::string reason;  ///< one sentence for people
  UnixMs decided_at_ms = 0;
  std::string evidence_json;  ///< counts, log e-value, rates, times: one JSON object
};

/// A taker of rollout signals: webhook, exec, later the rollout controllers. Retries by itself,
/// acts once a rollout.
class SignalSink {
 public:
  virtual ~SignalSink() = default;
  virtual void OnSignal(const RolloutSignal& signal) = 0;
  /// "pending", "delivered", "failed: ..." for the page, by rollout id.
  virtual std::string StateOf(const std::string& rollout_id) const = 0;
};

}  // namespace picket
