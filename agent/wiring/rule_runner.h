// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "agent/config/config.h"
#include "agent/wiring/destinations.h"
#include "rules/alerting/manager.h"
#include "rules/canary/canary.h"
#include "rules/promql/engine.h"
#include "rules/slo/engine.h"
#include "store/tsdb/tsdb.h"

namespace picket::wiring {

/// The one thread that decides: rule groups, objectives and canaries, each when it is due. Its work
/// is never shed. Threads: Apply, Stop from one thread; the getters from any.
class RuleRunner {
 public:
  struct Needs {
    const Querier& querier;
    const rules::promql::Engine& engine;
    MetricIntake& intake;
    Destinations& destinations;
    const Clock& clock;
    Telemetry& telemetry;
    std::string data_dir;  ///< empty: no state survives
  };
  explicit RuleRunner(Needs needs);
  ~RuleRunner();

  /// What a configuration asks for, read and checked: nothing has changed yet.
  struct Plan {
    std::vector<rules::alerting::GroupConfig> groups;
    std::vector<rules::slo::SloConfig> slos;
  };
  /// Reads rule and objective files. Errors: every finding, rendered.
  static Result<Plan> Prepare(const agent::RulesConfig& config);
  Status Apply(const agent::RootConfig& config, Plan plan, const std::string& external_url);
  void Stop();

  std::vector<rules::alerting::GroupStatus> Groups() const { return manager_->Groups(); }
  std::vector<rules::slo::SloStatus> Slos() const;
  std::vector<rules::canary::CanaryStatus> Canaries() const;

 private:
  void Run();

  Needs needs_;
  std::unique_ptr<rules::alerting::RuleManager> manager_;
  mutable std::mutex mutex_;  // guards what follows; held while the thread evaluates
  std::condition_variable wake_;
  std::unique_ptr<rules::slo::SloEngine> slos_;
  std::shared_ptr<rules::canary::CanaryJudge> canaries_;
  std::string canary_settings_;
  std::map<std::string, std::shared_ptr<SignalSink>> signals_;
  bool stopping_ = false;
  bool changed_ = false;
  std::thread thread_;
};

}  // namespace picket::wiring
