// SPDX-License-Identifier: Apache-2.0
#include "rules/promql/engine.h"

#include <fmt/format.h>

#include "rules/promql/eval/evaluation.h"

namespace picket::rules::promql {

Result<QueryResult> Engine::Instant(const Expression& expression, const Querier& querier,
                                    UnixMs time_ms, const EvalOptions& options) const {
  return Evaluation(expression, querier, options_, options, TimeGrid{time_ms, 1, 1}, false).Run();
}

Result<QueryResult> Engine::Range(const Expression& expression, const Querier& querier,
                                  UnixMs start_ms, UnixMs end_ms, Milliseconds step,
                                  const EvalOptions& options) const {
  if (expression.type() != ValueType::kScalar && expression.type() != ValueType::kVector)
    return Fail(
        ErrorKind::kInvalidArgument,
        fmt::format(
            "invalid expression type \"{}\" for range query, must be Scalar or instant Vector",
            ValueTypeText(expression.type())));
  if (step.count() <= 0)
    return Fail(ErrorKind::kInvalidArgument,
                "zero or negative query resolution step widths are not accepted");
  if (end_ms < start_ms)
    return Fail(ErrorKind::kInvalidArgument, "end timestamp must not be before start time");
  const auto count = static_cast<uint64_t>((end_ms - start_ms) / step.count()) + 1;
  if (count > options_.max_samples)
    return Fail(ErrorKind::kOverloaded,
                "query processing would load too many samples into memory in query execution");
  return Evaluation(expression, querier, options_, options, TimeGrid{start_ms, step.count(), count},
                    true)
      .Run();
}

}  // namespace picket::rules::promql
