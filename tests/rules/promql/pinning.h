// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "rules/promql/parser.h"

namespace picket::rules::promql {

/// Whether a query gives the same at any time once its selectors are pinned.
bool IsPinnable(const Expression& expression);
/// The query with `@ <t>` on every selector and outermost subquery that has none.
std::string Pin(const Expression& expression, UnixMs t);
/// start(), end(), range() and step() change with a range query.
bool HasRangeDependentText(const std::string& query);

}  // namespace picket::rules::promql
