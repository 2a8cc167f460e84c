// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/fixed_row.h"
#include "core/model/query.h"
#include "rules/slo/config.h"

namespace picket::rules::slo {

/// A window over which burn rates are told.
struct Window {
  std::string_view name;
  Milliseconds length;
};
/// 5m 30m 1h 2h 6h 1d 3d: those of the four standard alerts.
inline constexpr std::array<Window, 7> kWindows = {{{"5m", Milliseconds(300'000)},
                                                    {"30m", Milliseconds(1'800'000)},
                                                    {"1h", Milliseconds(3'600'000)},
                                                    {"2h", Milliseconds(7'200'000)},
                                                    {"6h", Milliseconds(21'600'000)},
                                                    {"1d", Milliseconds(86'400'000)},
                                                    {"3d", Milliseconds(259'200'000)}}};

/// One objective, for the page and the API.
struct SloStatus {
  std::string id;
  std::string name;
  std::string service;
  double objective = 0;  ///< ratio: 0.999
  Milliseconds window{0};
  uint64_t good = 0;  ///< in the window
  uint64_t total = 0;
  double budget_remaining = 1;         ///< 1 untouched, 0 spent, below 0 overdrawn
  double coverage = 0;                 ///< share of the window that was watched
  std::map<std::string, double> burn;  ///< by window name; absent when there were no events
  std::string last_error;
};

/// Counts good and total events of every objective into a ledger on disk, exactly, and tells from
/// it budgets and burn rates. Series: slo:sli_error:ratio_rate<window>, slo:objective:ratio,
/// slo:error_budget:ratio, slo:time_period:days, slo:current_burn_rate:ratio,
/// slo:period_burn_rate:ratio, slo:period_error_budget_remaining:ratio, all with sloth_id,
/// sloth_service, sloth_slo (Sloth's dashboards read them), and
/// slo_events_total{class="good"|"total"}, which add up over nodes. Unlike Sloth's, the ratios
/// weigh events, not time slots. Threads: one; Statuses from any that excludes Evaluate.
class SloEngine {
 public:
  struct Needs {
    const Querier* querier = nullptr;
    MetricIntake* intake = nullptr;
    const Clock* clock = nullptr;
    std::string data_dir;  ///< of the ledger; empty: in memory
  };
  /// Errors: kIo, kOverloaded when another process holds the ledger.
  static Result<std::unique_ptr<SloEngine>> Open(Needs needs);
  ~SloEngine();

  /// Takes a new list. An objective that stays keeps its counts, also when its target changes.
  Status Apply(const std::vector<SloConfig>& slos, UnixMs now_ms);
  /// Reads new increments, writes the ledger and the series. Returns when it wants to be called
  /// next.
  UnixMs Evaluate(UnixMs now_ms);
  std::vector<SloStatus> Statuses() const;

 private:
  struct Impl;
  explicit SloEngine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace picket::rules::slo
