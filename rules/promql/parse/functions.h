// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <span>
#include <string_view>

#include "rules/promql/ast.h"

namespace picket::rules::promql {

/// The row of a function's name, or null.
const FunctionSpec* FindFunction(std::string_view name);
/// All of them, sorted by name. Source: prometheus.io/docs/prometheus/latest/querying/functions
/// (3.14).
std::span<const FunctionSpec> Functions();

/// Functions whose value changes with the evaluation time even if every selector is pinned by @.
bool DependsOnEvaluationTime(std::string_view function);

}  // namespace picket::rules::promql
