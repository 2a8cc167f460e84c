// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string_view>

#include "core/model/histogram.h"
#include "rules/promql/eval/evaluation.h"

namespace picket::rules::promql {

/// The quantile of a native histogram: exponential interpolation in exponential buckets, linear in
/// the others.
double NativeQuantile(Evaluation& evaluation, double q, const HistogramValue& histogram,
                      std::string_view metric, const Node& argument);
/// The share of a native histogram's observations between two values.
double NativeFraction(Evaluation& evaluation, double lower, double upper,
                      const HistogramValue& histogram, std::string_view metric,
                      const Node& argument);

}  // namespace picket::rules::promql
