// SPDX-License-Identifier: Apache-2.0
#include "rules/promql/parse/functions.h"

#include <algorithm>
#include <array>
#include <vector>

namespace picket::rules::promql {
namespace {

using enum ValueType;
constexpr auto V = kVector;
constexpr auto R = kMatrix;
constexpr auto S = kScalar;
constexpr auto T = kString;
constexpr bool kExperimental = true;

void AddMany(std::vector<FunctionSpec>& out, std::initializer_list<std::string_view> names,
             const std::vector<ValueType>& arguments, int variadic = 0, bool experimental = false) {
  for (const std::string_view name : names)
    out.push_back({name, arguments, variadic, kVector, experimental});
}

std::vector<FunctionSpec> Table() {
  std::vector<FunctionSpec> out;
  AddMany(out,
          {"abs",
           "ceil",
           "floor",
           "exp",
           "sqrt",
           "ln",
           "log2",
           "log10",
           "sgn",
           "deg",
           "rad",
           "sin",
           "cos",
           "tan",
           "asin",
           "acos",
           "atan",
           "sinh",
           "cosh",
           "tanh",
           "asinh",
           "acosh",
           "atanh",
           "sort",
           "sort_desc",
           "absent",
           "timestamp",
           "histogram_avg",
           "histogram_count",
           "histogram_sum",
           "histogram_stddev",
           "histogram_stdvar"},
          {V});
  AddMany(out, {"round"}, {V, S}, 1);
  AddMany(out, {"clamp"}, {V, S, S});
  AddMany(out, {"clamp_min", "clamp_max"}, {V, S});
  AddMany(out, {"vector"}, {S});
  AddMany(out,
          {"minute", "hour", "day_of_week", "day_of_month", "day_of_year", "days_in_month", "month",
           "year"},
          {V}, 1);
  AddMany(out,
          {"rate", "increase", "irate", "resets", "changes", "delta", "idelta", "deriv",
           "avg_over_time", "sum_over_time", "min_over_time", "max_over_time", "count_over_time",
           "last_over_time", "first_over_time", "present_over_time", "absent_over_time",
           "stddev_over_time", "stdvar_over_time"},
          {R});
  AddMany(out,
          {"mad_over_time", "ts_of_first_over_time", "ts_of_last_over_time", "ts_of_min_over_time",
           "ts_of_max_over_time"},
          {R}, 0, kExperimental);
  AddMany(out, {"predict_linear"}, {R, S});
  AddMany(out, {"quantile_over_time"}, {S, R});
  AddMany(out, {"double_exponential_smoothing"}, {R, S, S}, 0, kExperimental);
  AddMany(out, {"histogram_quantile"}, {S, V});
  AddMany(out, {"histogram_fraction"}, {S, S, V});
  AddMany(out, {"histogram_quantiles"}, {V, T, S, S}, 9, kExperimental);
  AddMany(out, {"label_replace"}, {V, T, T, T, T});
  AddMany(out, {"label_join"}, {V, T, T, T}, -1);
  AddMany(out, {"sort_by_label", "sort_by_label_desc"}, {V, T}, -1, kExperimental);
  AddMany(out, {"info"}, {V, V}, 1, kExperimental);
  AddMany(out, {"start_timestamp"}, {V}, 0, kExperimental);
  for (const std::string_view name : {"pi", "time"}) out.push_back({name, {}, 0, kScalar, false});
  out.push_back({"scalar", {V}, 0, kScalar, false});
  for (const std::string_view name : {"start", "end", "step", "range"})
    out.push_back({name, {}, 0, kScalar, kExperimental});
  for (const std::string_view name : {"max_of", "min_of"})
    out.push_back({name, {S, S}, 0, kScalar, kExperimental});
  std::sort(out.begin(), out.end(),
            [](const FunctionSpec& a, const FunctionSpec& b) { return a.name < b.name; });
  return out;
}

const std::vector<FunctionSpec>& Sorted() {
  static const std::vector<FunctionSpec> table = Table();
  return table;
}

constexpr std::array<std::string_view, 16> kUnsafe = {
    "days_in_month", "day_of_month", "day_of_week",    "day_of_year",    "hour",      "minute",
    "month",         "year",         "predict_linear", "time",           "timestamp", "start",
    "end",           "step",         "range",          "start_timestamp"};

}  // namespace

const FunctionSpec* FindFunction(std::string_view name) {
  const auto& table = Sorted();
  const auto it =
      std::lower_bound(table.begin(), table.end(), name,
                       [](const FunctionSpec& f, std::string_view n) { return f.name < n; });
  return it != table.end() && it->name == name ? &*it : nullptr;
}

std::span<const FunctionSpec> Functions() { return Sorted(); }

bool DependsOnEvaluationTime(std::string_view function) {
  return std::find(kUnsafe.begin(), kUnsafe.end(), function) != kUnsafe.end();
}

}  // namespace picket::rules::promql
