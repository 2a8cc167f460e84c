// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <unordered_map>

#include "rules/promql/eval/extended_range.h"
#include "rules/promql/eval/functions.h"
#include "rules/promql/eval/operators.h"

namespace picket::rules::promql {
namespace {

std::unordered_map<std::string_view, FunctionHandler> BuildTable() {
  std::unordered_map<std::string_view, FunctionHandler> table;
  for (const auto rows :
       {MathFunctions(), TimeFunctions(), VectorFunctions(), LabelFunctions(), CounterFunctions(),
        OverTimeFunctions(), HistogramFunctions(), NativeHistogramFunctions(), InfoFunctions()})
    for (const FunctionRow& row : rows) table.emplace(row.name, row.handler);
  return table;
}

}  // namespace

Result<Value> EvaluateCall(Evaluation& evaluation, const Call& node, const TimeGrid& grid) {
  static const std::unordered_map<std::string_view, FunctionHandler> table = BuildTable();
  const auto it = table.find(node.function->name);
  if (it == table.end())
    return Fail(ErrorKind::kUnsupported,
                fmt::format("function {} is not available yet", node.function->name));
  PICKET_TRY(CheckExtended(node));
  return it->second(evaluation, node, grid);
}

}  // namespace picket::rules::promql
