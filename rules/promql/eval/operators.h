// SPDX-License-Identifier: Apache-2.0
// The operators of a query, each over all steps at once.
#pragma once
#include "core/base/result.h"
#include "rules/promql/eval/columns.h"
#include "rules/promql/eval/evaluation.h"

namespace picket::rules::promql {

Result<Value> EvaluateSelector(Evaluation& evaluation, const VectorSelector& node,
                               const TimeGrid& grid);
Result<Value> EvaluateCall(Evaluation& evaluation, const Call& node, const TimeGrid& grid);
Result<Value> EvaluateAggregate(Evaluation& evaluation, const Aggregate& node,
                                const TimeGrid& grid);
Result<Value> EvaluateBinary(Evaluation& evaluation, const Binary& node, const TimeGrid& grid);
void NegateHistograms(Evaluation& evaluation, Columns& columns);

}  // namespace picket::rules::promql
