// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace picket::rules::promql {

/// The value of a string literal with its quotes: Go's escapes in "..." and '...', none in `...`.
/// Errors: kInvalidArgument for an unknown or broken escape.
Result<std::string> Unquote(std::string_view literal);

}  // namespace picket::rules::promql
