// SPDX-License-Identifier: Apache-2.0
// Which samples a query needs, found before it runs, so that equal selectors are loaded once.
#include <algorithm>

#include "rules/promql/eval/evaluation.h"

namespace picket::rules::promql {
namespace {

std::string KeyOf(std::span<const Matcher> matchers) {
  std::vector<std::string> parts;
  parts.reserve(matchers.size());
  for (const Matcher& m : matchers) parts.push_back(m.ToString());
  std::sort(parts.begin(), parts.end());
  std::string key;
  for (const std::string& part : parts) {
    key += part;
    key += '\0';
  }
  return key;
}

}  // namespace

Status Evaluation::PlanSelector(const VectorSelector& selector, const TimeGrid& grid,
                                int64_t window_ms, bool matrix) {
  PICKET_ASSIGN(const Shift shift, ShiftOf(selector.at, selector.offset));
  // Windows are left-open: a sample exactly at their start is outside.
  int64_t before = matrix ? window_ms : lookback_ms_;
  int64_t after = 0;
  if (matrix && (selector.anchored || selector.smoothed)) before += lookback_ms_;
  if (selector.smoothed) after = lookback_ms_;
  const UnixMs min_ms = shift.Apply(grid.start) - before + 1;
  const UnixMs max_ms = shift.Apply(grid.end()) + after;
  std::string key = KeyOf(selector.matchers);
  for (Selection& known : selections_) {
    // Far apart ranges (offset 1w) are better loaded twice than with everything between them.
    if (known.key != key || min_ms > known.max_ms || max_ms < known.min_ms) continue;
    known.min_ms = std::min(known.min_ms, min_ms);
    known.max_ms = std::max(known.max_ms, max_ms);
    planned_[&selector] = &known;
    return {};
  }
  Selection& selection = selections_.emplace_back();
  selection.key = std::move(key);
  selection.matchers = selector.matchers;
  selection.min_ms = min_ms;
  selection.max_ms = max_ms;
  planned_[&selector] = &selection;
  return {};
}

Status Evaluation::Plan(const Node& node, const TimeGrid& grid) {
  switch (node.kind) {
    case NodeKind::kVectorSelector:
      return PlanSelector(static_cast<const VectorSelector&>(node), grid, 0, false);
    case NodeKind::kMatrixSelector: {
      const auto& matrix = static_cast<const MatrixSelector&>(node);
      PICKET_ASSIGN(const int64_t window, WindowMs(matrix.window));
      return PlanSelector(*matrix.selector, grid, window, true);
    }
    case NodeKind::kSubquery: {
      const auto& subquery = static_cast<const Subquery&>(node);
      PICKET_ASSIGN(const TimeGrid inner, SubqueryGrid(subquery, grid));
      return Plan(*subquery.expr, inner);
    }
    case NodeKind::kCall: {
      const auto& call = static_cast<const Call&>(node);
      const size_t count = call.function->name == "info" ? 1 : call.arguments.size();
      for (size_t i = 0; i < count; ++i) PICKET_TRY(Plan(*call.arguments[i], grid));
      return {};
    }
    case NodeKind::kAggregate: {
      const auto& aggregate = static_cast<const Aggregate&>(node);
      if (aggregate.parameter) PICKET_TRY(Plan(*aggregate.parameter, grid));
      return Plan(*aggregate.expr, grid);
    }
    case NodeKind::kBinary:
      PICKET_TRY(Plan(*static_cast<const Binary&>(node).left, grid));
      return Plan(*static_cast<const Binary&>(node).right, grid);
    case NodeKind::kUnary:
      return Plan(*static_cast<const Unary&>(node).expr, grid);
    case NodeKind::kParen:
      return Plan(*static_cast<const Paren&>(node).expr, grid);
    default:
      return {};
  }
}

Status Evaluation::LoadInto(Selection& selection) {
  PICKET_TRY(Checkpoint());
  PICKET_ASSIGN(selection.set,
                querier_.Select(selection.matchers, selection.min_ms, selection.max_ms));
  uint64_t points = 0;
  for (const SeriesColumns& series : selection.set->series()) points += series.times_ms.size();
  if (!budget_.Fits(points))
    return Fail(ErrorKind::kOverloaded,
                "query processing would load too many samples into memory in query execution");
  selection.charge = SampleCharge(&budget_, points);
  loaded_ += points;
  return {};
}

Result<std::span<const SeriesColumns>> Evaluation::Load(const VectorSelector& selector) {
  const auto it = planned_.find(&selector);
  if (it == planned_.end()) return Fail(ErrorKind::kInternal, "a selector was not planned");
  Selection& selection = *it->second;
  if (!selection.set) PICKET_TRY(LoadInto(selection));
  return selection.set->series();
}

Result<std::span<const SeriesColumns>> Evaluation::LoadExtra(std::vector<Matcher> matchers,
                                                             UnixMs min_ms, UnixMs max_ms) {
  Selection& selection = selections_.emplace_back();
  selection.matchers = extra_matchers_.emplace_back(std::move(matchers));
  selection.min_ms = min_ms;
  selection.max_ms = max_ms;
  PICKET_TRY(LoadInto(selection));
  return selection.set->series();
}

}  // namespace picket::rules::promql
