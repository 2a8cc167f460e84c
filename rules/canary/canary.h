// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "core/model/fixed_row.h"
#include "core/model/query.h"
#include "core/model/signals.h"
#include "rules/canary/config.h"
#include "rules/promql/engine.h"

namespace picket::rules::canary {

/// Counts of one side since the rollout began.
struct SideCounts {
  double requests = 0;
  double errors = 0;
  double Rate() const { return requests > 0 ? errors / requests : 0; }
};

/// What is known of one rollout, for the page, the API and signals.
struct CanaryStatus {
  std::string name;
  std::string rollout_id;  ///< empty: no rollout is going on
  Verdict verdict = Verdict::kUnsure;
  std::string reason;
  double log_e = 0;
  double threshold = 0;  ///< log_e from which it acts
  double log_e_ok = 0;
  SideCounts canary;
  SideCounts baseline;
  std::string deciding_indicator;
  UnixMs started_ms = 0;
  UnixMs first_error_ms = 0;  ///< of the canary
  UnixMs decided_ms = 0;
  UnixMs last_data_ms = 0;
  std::string signal_state;  ///< worst of its signals: "", pending, delivered, failed: ...
  /// The same as one JSON object, as signals carry it.
  std::string EvidenceJson() const;
};

/// Judges every configured rollout from what the store holds, and tells the signals once a rollout.
/// Threads: Evaluate from one thread; Statuses from any.
class CanaryJudge {
 public:
  struct Needs {
    const Querier* querier = nullptr;
    const promql::Engine* engine = nullptr;
    MetricIntake* intake = nullptr;
    std::map<std::string, std::shared_ptr<SignalSink>>
        signals;  ///< by name under exporters.signals
  };
  /// Errors: kInvalidArgument when an expression does not parse or a signal is not known.
  static Result<std::unique_ptr<CanaryJudge>> Make(std::vector<CanaryConfig> configs, Needs needs);
  ~CanaryJudge();

  /// Reads what is new in the store up to `now_ms`, judges, signals and publishes picket_canary_*
  /// series. The first call goes through the whole window, so that a restart continues a rollout.
  /// Returns when it wants to be called next.
  UnixMs Evaluate(UnixMs now_ms);
  std::vector<CanaryStatus> Statuses() const;

 private:
  class Rollout;
  CanaryJudge();
  Needs needs_;
  mutable std::mutex mutex_;  // guards rollouts_ against Statuses
  std::vector<std::unique_ptr<Rollout>> rollouts_;
  std::unique_ptr<FixedRow> row_;
};

}  // namespace picket::rules::canary
