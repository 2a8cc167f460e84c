// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/base/log.h"
#include "core/base/telemetry.h"
#include "rules/alerting/group.h"

namespace picket::rules::alerting {

/// One rule as the API and the page show it.
struct RuleStatus {
  bool alerting = false;
  std::string name;
  std::string query;
  Milliseconds hold{0};
  Milliseconds keep_firing_for{0};
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> annotations;
  std::vector<Alert> alerts;  ///< pending and firing
  AlertState state = AlertState::kInactive;
  RuleHealth health = RuleHealth::kUnknown;
  std::string last_error;
  Duration evaluation_time{0};
  UnixMs last_evaluation_ms = 0;
  std::optional<double> value;
  size_t samples = 0;
};

struct GroupStatus {
  std::string name;
  std::string file;
  Milliseconds interval{0};
  int64_t limit = 0;
  Duration evaluation_time{0};
  UnixMs last_evaluation_ms = 0;
  uint64_t missed = 0;
  std::vector<RuleStatus> rules;
};

/// Every group of rules: evaluates them on time, keeps alert state across reloads and restarts.
/// Threads: Evaluate and Apply from the rule thread; Groups from any.
class RuleManager {
 public:
  struct Options {
    AlertingConfig settings;
    std::string state_path;  ///< empty: state does not survive a restart
  };
  RuleManager(Options options, GroupNeeds needs, Telemetry* telemetry);

  /// Takes a new set of groups. Unchanged ones go on untouched; changed ones keep the state of
  /// rules with the same name and labels; those that left end their series. On the first call the
  /// saved state is restored.
  void Apply(std::vector<GroupConfig> groups, AlertingConfig settings, Labels external_labels,
             UnixMs now_ms);
  /// Evaluates what is due, each group at its slot. Returns when the next is due.
  UnixMs Evaluate(UnixMs now_ms);
  /// Every group at `t`, whatever its slot: for rule unit tests.
  void EvaluateAllAt(UnixMs t);
  /// Writes the alert state now.
  void Save(UnixMs now_ms);
  std::vector<GroupStatus> Groups() const;

 private:
  void Restore(UnixMs now_ms);
  uint64_t Fingerprint() const;
  void SaveLocked(UnixMs now_ms);

  Options options_;
  GroupNeeds needs_;
  mutable std::mutex mutex_;  // guards groups_ and what is below
  std::vector<std::unique_ptr<Group>> groups_;
  bool restored_ = false;
  uint64_t saved_fingerprint_ = 0;
  UnixMs saved_ms_ = 0;
  log::RateLimit save_log_;
  std::shared_ptr<Counter> evaluations_, failures_, missed_;
  std::shared_ptr<Gauge> seconds_;
};

}  // namespace picket::rules::alerting
