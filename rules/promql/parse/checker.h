// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string_view>

#include "core/base/result.h"
#include "rules/promql/ast.h"

namespace picket::rules::promql {

/// Sets the type of every node and refuses what does not fit. Errors: as Parse.
Status CheckTypes(std::string_view text, Node& root);

/// Marks the subtrees that give the same at every step: literals, and what reads only through @.
void MarkStepInvariant(Node& root);

}  // namespace picket::rules::promql
