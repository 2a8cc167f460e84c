// SPDX-License-Identifier: Apache-2.0
// The functions of the language, in one table per subject. Signatures are in parse/functions.h.
#pragma once
#include <span>
#include <string_view>

#include "rules/promql/eval/evaluation.h"

namespace picket::rules::promql {

using FunctionHandler = Result<Value> (*)(Evaluation&, const Call&, const TimeGrid&);

struct FunctionRow {
  std::string_view name;
  FunctionHandler handler;
};

std::span<const FunctionRow> MathFunctions();
std::span<const FunctionRow> TimeFunctions();
std::span<const FunctionRow> VectorFunctions();
std::span<const FunctionRow> LabelFunctions();
std::span<const FunctionRow> CounterFunctions();
std::span<const FunctionRow> OverTimeFunctions();
std::span<const FunctionRow> HistogramFunctions();
std::span<const FunctionRow> NativeHistogramFunctions();
std::span<const FunctionRow> InfoFunctions();

/// quantile() over values, which are sorted in place. NaN sorts first.
double Quantile(double q, std::span<double> values);

}  // namespace picket::rules::promql
