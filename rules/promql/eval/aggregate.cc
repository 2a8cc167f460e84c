// SPDX-License-Identifier: Apache-2.0
#include "rules/promql/eval/aggregate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "rules/promql/eval/functions.h"
#include "rules/promql/eval/grouping.h"
#include "rules/promql/eval/operators.h"
#include "rules/promql/eval/sums.h"

namespace picket::rules::promql {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// Number of the group of each row, and the groups' labels.
void AssignGroups(Grouped& g) {
  const LabelSelection selection(g.node.grouping, !g.node.without);
  g.group_of.resize(g.input.size());
  if (selection.include() && selection.names().empty()) {
    std::fill(g.group_of.begin(), g.group_of.end(), 0);
    if (g.input.size() > 0) g.groups.push_back({g.evaluation.Keep(Labels()), false});
    return;
  }
  KeyNumbers numbers;
  std::string key;
  for (size_t i = 0; i < g.input.size(); ++i) {
    const SeriesHead& head = g.input.heads[i];
    selection.KeyOf(*head.labels, key);
    const auto [number, fresh] = numbers.Number(key);
    g.group_of[i] = number;
    // by (__name__) keeps the name and, with it, that it is to leave at the end.
    if (fresh)
      g.groups.push_back({g.evaluation.Keep(selection.Reduce(*head.labels)),
                          selection.include() && head.drop_name});
  }
}

// Running states. Shape: Start takes the first value, Add the others, Result the end.

struct SumState {
  CompensatedSum sum;
  void Start(double v) { sum = {v, 0}; }
  void Add(double v) { sum.Add(v); }
  double Result(uint32_t) const { return sum.Result(); }
};
struct AverageState {
  CompensatedMean mean;
  void Start(double v) {
    mean = {};
    mean.Add(v);
  }
  void Add(double v) { mean.Add(v); }
  double Result(uint32_t) const { return mean.Result(); }
};
struct MinState {
  double best;
  void Start(double v) { best = v; }
  void Add(double v) {
    if (best > v || std::isnan(best)) best = v;
  }
  double Result(uint32_t) const { return best; }
};
struct MaxState {
  double best;
  void Start(double v) { best = v; }
  void Add(double v) {
    if (best < v || std::isnan(best)) best = v;
  }
  double Result(uint32_t) const { return best; }
};
struct GroupState {
  void Start(double) {}
  void Add(double) {}
  double Result(uint32_t) const { return 1; }
};
struct CountState {
  void Start(double) {}
  void Add(double) {}
  double Result(uint32_t count) const { return count; }
};
/// Welford's algorithm.
struct VarianceState {
  double mean;
  double squares;
  double count;
  void Start(double v) {
    mean = v;
    squares = std::isfinite(v) ? 0 : kNan;
    count = 1;
  }
  void Add(double v) {
    count += 1;
    const double delta = v - mean;
    mean += delta / count;
    squares += delta * (v - mean);
  }
  double Result(uint32_t) const { return squares / count; }
};
struct DeviationState : VarianceState {
  double Result(uint32_t count_of) const { return std::sqrt(VarianceState::Result(count_of)); }
};

enum class Histograms : uint8_t { kCounted, kIgnored };

/// Row by row, so that the inner loop runs over steps in memory order.
template <class State, Histograms kHistograms>
Result<Value> Fold(Grouped& g) {
  const size_t steps = g.steps();
  PICKET_ASSIGN(Columns out, g.evaluation.NewColumns(g.groups.size(), steps));
  for (const SeriesHead& head : g.groups) out.AddRow(head);
  std::vector<State> states(g.groups.size() * steps);
  std::vector<uint32_t> counts(g.groups.size() * steps, 0);
  bool ignored = false;
  for (size_t i = 0; i < g.input.size(); ++i) {
    PICKET_TRY(g.evaluation.Checkpoint());
    const double* row = g.input.Row(i);
    State* state = states.data() + g.group_of[i] * steps;
    uint32_t* count = counts.data() + g.group_of[i] * steps;
    for (size_t t = 0; t < steps; ++t) {
      if (IsAbsent(row[t])) {
        if (g.input.HistogramAt(i, t) == nullptr) continue;
        ignored = true;
        if constexpr (kHistograms == Histograms::kCounted) ++count[t];
        continue;
      }
      count[t]++ == 0 ? state[t].Start(row[t]) : state[t].Add(row[t]);
    }
  }
  if (ignored && kHistograms == Histograms::kIgnored)
    g.evaluation.annotations().HistogramIgnoredInAggregation(AggregateName(g.node.op),
                                                             *g.node.expr);
  for (size_t k = 0; k < counts.size(); ++k)
    if (counts[k] > 0) out.values[k] = states[k].Result(counts[k]);
  return Value::Vector(std::move(out));
}

}  // namespace

std::vector<std::vector<uint32_t>> Grouped::Members() const {
  std::vector<std::vector<uint32_t>> out(groups.size());
  for (size_t i = 0; i < group_of.size(); ++i) out[group_of[i]].push_back(static_cast<uint32_t>(i));
  return out;
}

Result<Value> AggregateRunning(Grouped& g) {
  switch (g.node.op) {
    case AggregateOp::kSum:
      return g.input.HasHistograms() ? AggregateHistograms(g, false)
                                     : Fold<SumState, Histograms::kIgnored>(g);
    case AggregateOp::kAvg:
      return g.input.HasHistograms() ? AggregateHistograms(g, true)
                                     : Fold<AverageState, Histograms::kIgnored>(g);
    case AggregateOp::kMin:
      return Fold<MinState, Histograms::kIgnored>(g);
    case AggregateOp::kMax:
      return Fold<MaxState, Histograms::kIgnored>(g);
    case AggregateOp::kGroup:
      return Fold<GroupState, Histograms::kCounted>(g);
    case AggregateOp::kCount:
      return Fold<CountState, Histograms::kCounted>(g);
    case AggregateOp::kStddev:
      return Fold<DeviationState, Histograms::kIgnored>(g);
    default:
      return Fold<VarianceState, Histograms::kIgnored>(g);
  }
}

Result<Value> AggregateQuantile(Grouped& g) {
  PICKET_ASSIGN(const std::vector<double> q,
                g.evaluation.EvaluateScalar(*g.node.parameter, g.grid));
  for (const double v : q)
    if (!(v >= 0 && v <= 1)) g.evaluation.annotations().InvalidQuantile(v, *g.node.parameter);
  PICKET_ASSIGN(Columns out, g.evaluation.NewColumns(g.groups.size(), g.steps()));
  std::vector<double> values;
  const auto members = g.Members();
  for (size_t k = 0; k < members.size(); ++k) {
    PICKET_TRY(g.evaluation.Checkpoint());
    double* row = out.AddRow(g.groups[k]);
    for (size_t t = 0; t < g.steps(); ++t) {
      values.clear();
      for (const uint32_t i : members[k]) {
        if (const double v = g.input.Row(i)[t]; !IsAbsent(v)) {
          values.push_back(v);
        } else if (g.input.HistogramAt(i, t) != nullptr) {
          g.evaluation.annotations().HistogramIgnoredInAggregation("quantile", *g.node.expr);
        }
      }
      if (!values.empty()) row[t] = Quantile(q[t], values);
    }
    out.DropLastIfEmpty();
  }
  return Value::Vector(std::move(out));
}

Result<Value> EvaluateAggregate(Evaluation& evaluation, const Aggregate& node,
                                const TimeGrid& grid) {
  Grouped g{evaluation, node, grid, Columns(), {}, {}};
  PICKET_ASSIGN(g.input, evaluation.EvaluateVector(*node.expr, grid));
  const bool sees_names =
      std::find(node.grouping.begin(), node.grouping.end(), kMetricName) != node.grouping.end();
  if (sees_names) PICKET_TRY(evaluation.SettleNames(g.input));
  AssignGroups(g);
  switch (node.op) {
    case AggregateOp::kQuantile:
      return AggregateQuantile(g);
    case AggregateOp::kCountValues:
      return AggregateCountValues(g);
    case AggregateOp::kTopk:
    case AggregateOp::kBottomk:
    case AggregateOp::kLimitk:
    case AggregateOp::kLimitRatio:
      return AggregatePicks(g);
    default:
      return AggregateRunning(g);
  }
}

}  // namespace picket::rules::promql
