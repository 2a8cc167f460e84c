// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "rules/promql/eval/evaluation.h"

namespace picket::rules::promql {

/// The times of the samples a selector sees at each step, in seconds, without names: what
/// timestamp() gives.
Result<Value> SelectorTimes(Evaluation& evaluation, const VectorSelector& node,
                            const TimeGrid& grid);

}  // namespace picket::rules::promql
