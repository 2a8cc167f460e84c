// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/result.h"
#include "core/model/histogram.h"
#include "core/model/query.h"
#include "rules/promql/engine.h"
#include "rules/promql/eval/annotations.h"
#include "rules/promql/eval/columns.h"
#include "rules/promql/parse/durations.h"

namespace picket::rules::promql {

/// The samples of one selection, loaded once a query and shared by the selectors that ask for the
/// same series.
struct Selection {
  std::string key;  ///< the matchers, printed
  std::span<const Matcher> matchers;
  UnixMs min_ms = 0;
  UnixMs max_ms = 0;
  std::unique_ptr<SeriesSet> set;
  SampleCharge charge;
};

/// One query being evaluated: its times, its limits and what it holds. Threads: one.
class Evaluation {
 public:
  Evaluation(const Expression& expression, const Querier& querier, const EngineOptions& engine,
             const EvalOptions& options, TimeGrid grid, bool range_query);

  Result<QueryResult> Run();

  /// Any node but a range vector, at the steps of the grid.
  Result<Value> Evaluate(const Node& node, const TimeGrid& grid);
  /// The same, for arguments whose type the checker has made sure of.
  Result<Columns> EvaluateVector(const Node& node, const TimeGrid& grid);
  Result<std::vector<double>> EvaluateScalar(const Node& node, const TimeGrid& grid);
  Result<std::string> EvaluateString(const Node& node);

  /// The loaded samples of a selector. Ownership: the evaluation's.
  Result<std::span<const SeriesColumns>> Load(const VectorSelector& selector);
  /// Loads beside the plan, for info(). The same limits hold.
  Result<std::span<const SeriesColumns>> LoadExtra(std::vector<Matcher> matchers, UnixMs min_ms,
                                                   UnixMs max_ms);

  /// Where a selector or subquery looks: t - offset, or the @ time - offset at every step.
  struct Shift {
    bool pinned = false;
    UnixMs at_ms = 0;  ///< when pinned, offset already taken off
    int64_t offset_ms = 0;
    UnixMs Apply(UnixMs t) const { return pinned ? at_ms : t - offset_ms; }
  };
  Result<Shift> ShiftOf(const AtModifier& at, const DurationSetting& offset) const;
  /// The grid of a subquery below a grid: multiples of its step, from after the first window's
  /// start.
  Result<TimeGrid> SubqueryGrid(const Subquery& node, const TimeGrid& outer) const;
  Result<int64_t> WindowMs(const DurationSetting& setting) const;

  /// Room for rows * steps points, or kOverloaded. The charge goes with the columns.
  Result<Columns> NewColumns(size_t rows, size_t steps);
  /// To be called now and then from loops. Errors: kTimeout, kCancelled.
  Status Checkpoint();

  const Labels* Keep(Labels labels) { return &kept_.emplace_back(std::move(labels)); }
  const HistogramValue* KeepHistogram(HistogramValue h) {
    return &kept_histograms_.emplace_back(std::move(h));
  }
  Annotations& annotations() { return annotations_; }
  const EngineOptions& engine() const { return engine_; }
  int64_t lookback_ms() const { return lookback_ms_; }
  bool range_query() const { return range_query_; }
  const TimeGrid& query_grid() const { return grid_; }
  const DurationContext& durations() const { return durations_; }
  SampleBudget& budget() { return budget_; }

  /// Without delayed removal: takes the names off now, because what follows would see them.
  Status SettleNames(Columns& columns);

 private:
  Result<Value> EvaluateNode(const Node& node, const TimeGrid& grid);
  Status SettleMixedNames(Columns& columns);
  Result<Value> EvaluateUnary(const Unary& node, const TimeGrid& grid);
  Value Broadcast(Value value, size_t steps);

  // selections.cc
  Status Plan(const Node& node, const TimeGrid& grid);
  Status PlanSelector(const VectorSelector& selector, const TimeGrid& grid, int64_t window_ms,
                      bool matrix);
  Status LoadInto(Selection& selection);

  // finish.cc
  Result<QueryResult> Finish(Value value);
  Result<QueryResult> FinishMatrixSelector(const MatrixSelector& node);
  Result<QueryResult> FinishSubquery(const Subquery& node);
  QueryResult Wrap(ValueType type) const;

  const Expression& expression_;
  const Querier& querier_;
  EngineOptions engine_;
  std::shared_ptr<const CancelToken> cancel_;
  TimeGrid grid_;
  bool range_query_;
  DurationContext durations_;
  int64_t lookback_ms_;
  Duration deadline_;
  uint32_t checkpoints_ = 0;
  SampleBudget budget_;
  uint64_t loaded_ = 0;
  Annotations annotations_;
  std::deque<Labels> kept_;
  std::deque<HistogramValue> kept_histograms_;
  std::deque<Selection> selections_;
  std::deque<std::vector<Matcher>> extra_matchers_;
  std::unordered_map<const VectorSelector*, Selection*> planned_;
};

/// Takes the names off the series marked for it and merges series that are equal then.
/// Errors: kInvalidArgument when two of them have a value at the same step.
Status RemoveNames(Evaluation& evaluation, Columns& columns);

/// Merges rows with equal labels; the same error.
Status MergeEqualRows(Columns& columns);

/// The labels without __name__, __type__ and __unit__, which leave together.
Labels WithoutName(const Labels& labels);
bool IsMetadataLabel(std::string_view name);

}  // namespace picket::rules::promql
