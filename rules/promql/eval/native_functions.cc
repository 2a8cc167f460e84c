// SPDX-License-Identifier: Apache-2.0
#include "rules/promql/eval/functions.h"

namespace picket::rules::promql {

std::span<const FunctionRow> NativeHistogramFunctions() { return {}; }

}  // namespace picket::rules::promql
