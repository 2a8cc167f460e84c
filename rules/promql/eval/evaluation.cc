// SPDX-License-Identifier: Apache-2.0
#include "rules/promql/eval/evaluation.h"

#include <fmt/format.h>

#include <algorithm>

#include "rules/promql/eval/operators.h"

namespace picket::rules::promql {

Evaluation::Evaluation(const Expression& expression, const Querier& querier,
                       const EngineOptions& engine, const EvalOptions& options, TimeGrid grid,
                       bool range_query)
    : expression_(expression),
      querier_(querier),
      engine_(engine),
      cancel_(options.cancel),
      grid_(grid),
      range_query_(range_query),
      lookback_ms_(options.lookback.value_or(engine.lookback).count()),
      annotations_(expression.text()) {
  if (range_query) durations_ = {Milliseconds(grid.step), Milliseconds(grid.end() - grid.start)};
  budget_.limit = engine.max_samples;
  const Milliseconds timeout =
      options.timeout ? std::min(*options.timeout, engine.timeout) : engine.timeout;
  deadline_ = engine.clock->Steady() + timeout;
}

Result<QueryResult> Evaluation::Run() {
  PICKET_TRY(Checkpoint());
  const Node& root = WithoutParens(expression_.root());
  PICKET_TRY(Plan(root, grid_));
  auto finish = [&]() -> Result<QueryResult> {
    if (root.kind == NodeKind::kMatrixSelector)
      return FinishMatrixSelector(static_cast<const MatrixSelector&>(root));
    if (root.kind == NodeKind::kSubquery) return FinishSubquery(static_cast<const Subquery&>(root));
    PICKET_ASSIGN(Value value, Evaluate(root, grid_));
    return Finish(std::move(value));
  };
  PICKET_ASSIGN(QueryResult result, finish());
  result.samples = loaded_;
  annotations_.MoveTo(result);
  return result;
}

Status Evaluation::Checkpoint() {
  if (cancel_ && cancel_->cancelled())
    return Fail(ErrorKind::kCancelled, "query was canceled in expression evaluation");
  // Looking at the clock costs more than most rows do.
  if ((checkpoints_++ & 63) == 0 && engine_.clock->Steady() >= deadline_)
    return Fail(ErrorKind::kTimeout, "query timed out in expression evaluation");
  return {};
}

Result<Columns> Evaluation::NewColumns(size_t rows, size_t steps) {
  const uint64_t points = static_cast<uint64_t>(rows) * steps;
  if (!budget_.Fits(points))
    return Fail(ErrorKind::kOverloaded,
                "query processing would load too many samples into memory in query execution");
  Columns out(steps);
  out.heads.reserve(rows);
  out.values.reserve(points);
  out.charge = SampleCharge(&budget_, points);
  return out;
}

Result<Evaluation::Shift> Evaluation::ShiftOf(const AtModifier& at,
                                              const DurationSetting& offset) const {
  PICKET_ASSIGN(const Milliseconds back, promql::Evaluate(offset, durations_, false));
  Shift shift;
  shift.offset_ms = back.count();
  switch (at.kind) {
    case AtModifier::Kind::kNone:
      return shift;
    case AtModifier::Kind::kTimestamp:
      shift.at_ms = at.timestamp_ms;
      break;
    case AtModifier::Kind::kStart:
      shift.at_ms = grid_.start;
      break;
    case AtModifier::Kind::kEnd:
      shift.at_ms = grid_.end();
      break;
  }
  shift.pinned = true;
  shift.at_ms -= shift.offset_ms;
  return shift;
}

Result<int64_t> Evaluation::WindowMs(const DurationSetting& setting) const {
  PICKET_ASSIGN(const Milliseconds window, promql::Evaluate(setting, durations_, true));
  return window.count();
}

Result<TimeGrid> Evaluation::SubqueryGrid(const Subquery& node, const TimeGrid& outer) const {
  PICKET_ASSIGN(const Shift shift, ShiftOf(node.at, node.offset));
  PICKET_ASSIGN(const int64_t window, WindowMs(node.window));
  int64_t step = engine_.default_subquery_step.count();
  if (node.step) {
    PICKET_ASSIGN(step, WindowMs(*node.step));
  }
  const UnixMs left = shift.Apply(outer.start) - window;
  const UnixMs last = shift.Apply(outer.end());
  UnixMs first = left - left % step;
  if (first <= left) first += step;
  TimeGrid grid;
  grid.step = step;
  grid.start = first;
  // A grid has at least one step; when the window is shorter than the step it may lie outside of
  // every window.
  grid.count = last < first ? 1 : static_cast<size_t>((last - first) / step) + 1;
  if (!SampleBudget{budget_.limit, 0}.Fits(grid.count))
    return Fail(ErrorKind::kOverloaded,
                "query processing would load too many samples into memory in query execution");
  return grid;
}

Value Evaluation::Broadcast(Value value, size_t steps) {
  if (value.type == ValueType::kScalar) value.scalar.assign(steps, value.scalar.front());
  if (value.type != ValueType::kVector) return value;
  Columns& from = value.vector;
  Columns to(steps);
  to.heads = std::move(from.heads);
  to.values.reserve(from.values.size() * steps);
  for (const double v : from.values) to.values.insert(to.values.end(), steps, v);
  for (const HistogramValue* h : from.histograms)
    to.histograms.insert(to.histograms.end(), steps, h);
  to.charge = SampleCharge(&budget_, to.values.size());
  value.vector = std::move(to);
  return value;
}

Result<Value> Evaluation::Evaluate(const Node& node, const TimeGrid& grid) {
  PICKET_TRY(Checkpoint());
  const bool once = node.step_invariant && grid.count > 1 && node.kind != NodeKind::kNumber;
  PICKET_ASSIGN(Value value, EvaluateNode(node, once ? TimeGrid{grid.start, grid.step, 1} : grid));
  if (value.type == ValueType::kVector && !engine_.delayed_name_removal)
    PICKET_TRY(SettleMixedNames(value.vector));
  if (!once) return value;
  if (value.type == ValueType::kVector && !budget_.Fits(value.vector.size() * grid.count))
    return Fail(ErrorKind::kOverloaded,
                "query processing would load too many samples into memory in query execution");
  return Broadcast(std::move(value), grid.count);
}

Result<Value> Evaluation::EvaluateNode(const Node& node, const TimeGrid& grid) {
  switch (node.kind) {
    case NodeKind::kNumber:
      return Value::Scalar(std::vector<double>(grid.count, static_cast<const Number&>(node).value));
    case NodeKind::kString:
      return Value::String(static_cast<const String&>(node).value);
    case NodeKind::kParen:
      return Evaluate(*static_cast<const Paren&>(node).expr, grid);
    case NodeKind::kUnary:
      return EvaluateUnary(static_cast<const Unary&>(node), grid);
    case NodeKind::kVectorSelector:
      return EvaluateSelector(*this, static_cast<const VectorSelector&>(node), grid);
    case NodeKind::kCall:
      return EvaluateCall(*this, static_cast<const Call&>(node), grid);
    case NodeKind::kAggregate:
      return EvaluateAggregate(*this, static_cast<const Aggregate&>(node), grid);
    case NodeKind::kBinary:
      return EvaluateBinary(*this, static_cast<const Binary&>(node), grid);
    case NodeKind::kMatrixSelector:
    case NodeKind::kSubquery:
      break;
  }
  return Fail(ErrorKind::kInternal, "a range vector was evaluated where an instant vector belongs");
}

Result<Value> Evaluation::EvaluateUnary(const Unary& node, const TimeGrid& grid) {
  PICKET_ASSIGN(Value value, Evaluate(*node.expr, grid));
  if (!node.negate) return value;
  if (value.type == ValueType::kScalar) {
    for (double& v : value.scalar) v = -v;
    return value;
  }
  for (double& v : value.vector.values)
    if (!IsAbsent(v)) v = -v;
  NegateHistograms(*this, value.vector);
  for (SeriesHead& head : value.vector.heads) head.drop_name = true;
  return value;
}

Result<Columns> Evaluation::EvaluateVector(const Node& node, const TimeGrid& grid) {
  PICKET_ASSIGN(Value value, Evaluate(node, grid));
  if (value.type != ValueType::kVector)
    return Fail(ErrorKind::kInternal, "expected an instant vector");
  return std::move(value.vector);
}

Result<std::vector<double>> Evaluation::EvaluateScalar(const Node& node, const TimeGrid& grid) {
  PICKET_ASSIGN(Value value, Evaluate(node, grid));
  if (value.type != ValueType::kScalar) return Fail(ErrorKind::kInternal, "expected a scalar");
  return std::move(value.scalar);
}

Result<std::string> Evaluation::EvaluateString(const Node& node) {
  PICKET_ASSIGN(Value value, Evaluate(node, TimeGrid{grid_.start, 1, 1}));
  if (value.type != ValueType::kString) return Fail(ErrorKind::kInternal, "expected a string");
  return std::move(value.string);
}

Status Evaluation::SettleMixedNames(Columns& columns) {
  // Without delayed removal a name that was dropped may wait for whoever looks at names, as long as
  // all are the same.
  bool marked = false;
  bool mixed = false;
  for (const SeriesHead& head : columns.heads) {
    marked |= head.drop_name;
    mixed |= head.labels->Get(kMetricName) != columns.heads.front().labels->Get(kMetricName);
  }
  return marked && mixed ? RemoveNames(*this, columns) : Status();
}

Status Evaluation::SettleNames(Columns& columns) {
  if (engine_.delayed_name_removal) return {};
  return RemoveNames(*this, columns);
}

}  // namespace picket::rules::promql
