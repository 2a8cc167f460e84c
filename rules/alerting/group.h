// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/model/query.h"
#include "rules/alerting/alert.h"
#include "rules/alerting/config.h"
#include "rules/alerting/series_writer.h"
#include "rules/promql/engine.h"

namespace picket::rules::alerting {

enum class RuleHealth : uint8_t { kUnknown, kOk, kErr };

/// One rule and how its last evaluation went.
struct Rule {
  RuleConfig config;
  std::map<std::string, std::string> labels;  ///< the group's with the rule's laid over
  promql::ExpressionPtr expression;
  std::unique_ptr<AlertRule> alert;  ///< of an alert rule
  std::unique_ptr<SeriesWriter> writer;
  RuleHealth health = RuleHealth::kUnknown;
  std::string last_error;
  UnixMs last_evaluation_ms = 0;
  Duration evaluation_time{0};
  std::optional<double> value;  ///< of the first sample of the last result
  size_t samples = 0;
};

/// What groups are evaluated with. Ownership: borrowed.
struct GroupNeeds {
  const Querier* querier = nullptr;
  const promql::Engine* engine = nullptr;
  MetricIntake* intake = nullptr;
  const Clock* clock = nullptr;
  Labels external_labels;
  std::function<void(std::span<const AlertNotification>)> notify;
};

/// Rules evaluated in order: a later rule sees what an earlier one wrote in the same pass. Threads:
/// one.
class Group {
 public:
  Group(GroupConfig config, const AlertingConfig& settings, const GroupNeeds* needs);

  /// The next instant it is to be evaluated, later than `after`. A slot of its own within the
  /// interval, the same after a restart.
  UnixMs NextSlot(UnixMs after) const;
  void Evaluate(UnixMs t);
  /// Ends its series, apart from those that others write too: the group was taken out of the
  /// configuration.
  void End(UnixMs t, const std::set<Labels>& others);
  /// Takes over alerts and series of the group it replaces.
  void TakeFrom(Group& old);
  /// Takes over series of rules that a group which left had under the same name: a rule that moved
  /// goes on without a gap.
  void TakeMoved(Group& gone);
  void AddLiveSeries(std::set<Labels>& out) const;

  const GroupConfig& config() const { return config_; }
  Milliseconds interval() const { return interval_; }
  std::vector<Rule>& rules() { return rules_; }
  const std::vector<Rule>& rules() const { return rules_; }
  UnixMs last_evaluation_ms() const { return last_ms_; }
  Duration evaluation_time() const { return took_; }

  UnixMs due_ms = 0;
  uint64_t missed = 0;  ///< slots that passed while another evaluation ran

 private:
  Result<std::vector<std::pair<Labels, double>>> Run(const promql::Expression& e, UnixMs t) const;
  Status CheckLimit(size_t count, std::string_view what) const;
  Status EvaluateRule(Rule& rule, UnixMs t);
  Status Record(Rule& rule, UnixMs t, const std::vector<std::pair<Labels, double>>& rows);
  std::string GeneratorUrl(const Rule& rule) const;

  GroupConfig config_;
  const AlertingConfig settings_;
  const GroupNeeds* needs_;
  Milliseconds interval_, offset_;
  std::vector<Rule> rules_;
  UnixMs last_ms_ = 0;
  Duration took_{0};
};

}  // namespace picket::rules::alerting
