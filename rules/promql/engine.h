// SPDX-License-Identifier: Apache-2.0
// Evaluates expressions over a Querier.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/base/units.h"
#include "core/model/query.h"
#include "rules/promql/parser.h"
#include "rules/promql/value.h"

namespace picket::rules::promql {

/// Lets another thread end a query. Cost: one relaxed load per series of each operator.
class CancelToken {
 public:
  void Cancel() { cancelled_.store(true, std::memory_order_relaxed); }
  bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }

 private:
  std::atomic<bool> cancelled_{false};
};

/// The engine's settings, for every query.
struct EngineOptions {
  Milliseconds lookback{300'000};
  Milliseconds timeout{120'000};
  Milliseconds default_subquery_step{60'000};
  uint64_t max_samples = 50'000'000;  ///< samples and points held at once by one query
  /// Names leave at the end of the evaluation, so that label functions and by (__name__) still see
  /// them.
  bool delayed_name_removal = false;
  const Clock* clock = &SystemClock::Get();  ///< for the timeout
};

/// One query's own settings.
struct EvalOptions {
  std::optional<Milliseconds> lookback{};
  std::optional<Milliseconds> timeout{};
  std::shared_ptr<const CancelToken> cancel{};
};

/// Results equal those of Prometheus 3.14. Threads: any; queries do not share state.
/// Errors: kTimeout and kCancelled as named; kOverloaded when max_samples is passed;
/// kInvalidArgument for what only the data shows (many-to-many matches, equal label sets, a bad
/// parameter); what the Querier says.
class Engine {
 public:
  explicit Engine(EngineOptions options = {}) : options_(options) {}
  const EngineOptions& options() const { return options_; }

  Result<QueryResult> Instant(const Expression& expression, const Querier& querier, UnixMs time_ms,
                              const EvalOptions& options = {}) const;
  /// Steps are start, start + step, ... up to end inclusive. The API checks for 11,000 points
  /// before. Errors: also kInvalidArgument when the expression is not a scalar or an instant
  /// vector, or step is not positive.
  Result<QueryResult> Range(const Expression& expression, const Querier& querier, UnixMs start_ms,
                            UnixMs end_ms, Milliseconds step,
                            const EvalOptions& options = {}) const;

 private:
  EngineOptions options_;
};

}  // namespace picket::rules::promql
