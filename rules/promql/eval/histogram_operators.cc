// SPDX-License-Identifier: Apache-2.0
#include "rules/promql/eval/aggregate.h"
#include "rules/promql/eval/binary.h"
#include "rules/promql/eval/operators.h"

namespace picket::rules::promql {

void NegateHistograms(Evaluation&, Columns& columns) { columns.histograms.clear(); }

Cell CombineCells(Evaluation& evaluation, const Binary& node, Cell left, Cell right,
                  bool keep_right) {
  const auto kind = [](const Cell& c) { return c.histogram != nullptr ? "histogram" : "float"; };
  if (left.histogram != nullptr || right.histogram != nullptr || IsTrim(node.op)) {
    evaluation.annotations().IncompatibleTypes(kind(left), BinaryName(node.op), kind(right), node);
    return {};
  }
  return WithOperator(node.op, [&](auto op) -> Cell {
    const auto result = op(left.value, right.value);
    if constexpr (std::is_same_v<decltype(result), const bool>) {
      if (node.return_bool) return {result ? 1.0 : 0.0, nullptr};
      return {result ? (keep_right ? right.value : left.value) : Absent(), nullptr};
    } else {
      return {result, nullptr};
    }
  });
}

Result<Value> AggregateHistograms(Grouped& grouped, bool) {
  grouped.input.histograms.clear();
  return AggregateRunning(grouped);
}

}  // namespace picket::rules::promql
