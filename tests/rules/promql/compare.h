// SPDX-License-Identifier: Apache-2.0
// Results against a script's expectations.
#pragma once
#include <optional>
#include <string>

#include "rules/promql/value.h"
#include "tests/rules/promql/script.h"

namespace picket::rules::promql {

/// Equal within the tolerance of the scripts.
bool Close(double a, double b);
bool CloseHistograms(const HistogramValue& a, const HistogramValue& b, bool hint);

/// What is wrong with a result, or nothing.
std::optional<std::string> CheckResult(const Eval& eval, const QueryResult& result);
std::optional<std::string> CheckAnnotations(const Eval& eval, const QueryResult& result);
std::optional<std::string> CheckFailure(const Eval& eval, const std::string& message);

}  // namespace picket::rules::promql
