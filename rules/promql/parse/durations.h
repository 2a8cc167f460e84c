// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "core/base/result.h"
#include "core/base/units.h"
#include "rules/promql/ast.h"

namespace picket::rules::promql {

/// What step() and range() stand for in one query. Both are 0 for an instant query.
struct DurationContext {
  Milliseconds step{0};
  Milliseconds range{0};
};

/// The value of a setting in a query. `positive`: zero and less are errors (windows and steps, not
/// offsets). Errors: kInvalidArgument for zero divisors, values out of range and what `positive`
/// forbids.
Result<Milliseconds> Evaluate(const DurationSetting& setting, const DurationContext& context,
                              bool positive);

/// Seconds to whole milliseconds, towards zero, within about 285 years (what later sums of times
/// can hold).
Result<Milliseconds> ToDuration(double seconds, bool positive);

}  // namespace picket::rules::promql
