// SPDX-License-Identifier: Apache-2.0
// Functions from one float to another.
#include <array>
#include <cmath>
#include <numbers>

#include "rules/promql/eval/functions.h"
#include "rules/promql/eval/sums.h"

namespace picket::rules::promql {
namespace {

/// Applies f(value, step) to every float; histograms have no result.
template <class F>
Result<Value> Map(Evaluation& evaluation, const Node& argument, const TimeGrid& grid, F&& f) {
  PICKET_ASSIGN(Columns columns, evaluation.EvaluateVector(argument, grid));
  columns.histograms.clear();
  for (size_t i = 0; i < columns.size(); ++i) {
    columns.heads[i].drop_name = true;
    double* row = columns.Row(i);
    for (size_t t = 0; t < columns.steps; ++t)
      if (!IsAbsent(row[t])) row[t] = f(row[t], t);
  }
  return Value::Vector(std::move(columns));
}

template <double (*F)(double)>
Result<Value> Plain(Evaluation& evaluation, const Call& call, const TimeGrid& grid) {
  return Map(evaluation, *call.arguments[0], grid, [](double v, size_t) { return F(v); });
}

double Sign(double v) { return v < 0 ? -1.0 : v > 0 ? 1.0 : v; }
double Degrees(double v) { return v * 180 / std::numbers::pi; }
double Radians(double v) { return v * std::numbers::pi / 180; }

Result<Value> Round(Evaluation& evaluation, const Call& call, const TimeGrid& grid) {
  std::vector<double> nearest(grid.count, 1.0);
  if (call.arguments.size() > 1) {
    PICKET_ASSIGN(nearest, evaluation.EvaluateScalar(*call.arguments[1], grid));
  }
  // Multiplying by the inverse keeps round(x, 0.1) as exact as it can be.
  return Map(evaluation, *call.arguments[0], grid, [&](double v, size_t t) {
    const double inverse = 1.0 / nearest[t];
    return std::floor(v * inverse + 0.5) / inverse;
  });
}

Result<Value> Clamp(Evaluation& evaluation, const Call& call, const TimeGrid& grid) {
  PICKET_ASSIGN(const std::vector<double> low, evaluation.EvaluateScalar(*call.arguments[1], grid));
  PICKET_ASSIGN(const std::vector<double> high,
                evaluation.EvaluateScalar(*call.arguments[2], grid));
  return Map(evaluation, *call.arguments[0], grid, [&](double v, size_t t) {
    return high[t] < low[t] ? Absent() : GoMax(low[t], GoMin(high[t], v));
  });
}

Result<Value> ClampMin(Evaluation& evaluation, const Call& call, const TimeGrid& grid) {
  PICKET_ASSIGN(const std::vector<double> low, evaluation.EvaluateScalar(*call.arguments[1], grid));
  return Map(evaluation, *call.arguments[0], grid,
             [&](double v, size_t t) { return GoMax(low[t], v); });
}

Result<Value> ClampMax(Evaluation& evaluation, const Call& call, const TimeGrid& grid) {
  PICKET_ASSIGN(const std::vector<double> high,
                evaluation.EvaluateScalar(*call.arguments[1], grid));
  return Map(evaluation, *call.arguments[0], grid,
             [&](double v, size_t t) { return GoMin(high[t], v); });
}

template <double (*F)(double, double)>
Result<Value> OfTwo(Evaluation& evaluation, const Call& call, const TimeGrid& grid) {
  PICKET_ASSIGN(std::vector<double> a, evaluation.EvaluateScalar(*call.arguments[0], grid));
  PICKET_ASSIGN(const std::vector<double> b, evaluation.EvaluateScalar(*call.arguments[1], grid));
  for (size_t t = 0; t < a.size(); ++t) a[t] = F(a[t], b[t]);
  return Value::Scalar(std::move(a));
}

Result<Value> Pi(Evaluation&, const Call&, const TimeGrid& grid) {
  return Value::Scalar(std::vector<double>(grid.count, std::numbers::pi));
}

constexpr auto kRows = std::to_array<FunctionRow>({
    {"abs", &Plain<std::fabs>},
    {"ceil", &Plain<std::ceil>},
    {"floor", &Plain<std::floor>},
    {"exp", &Plain<std::exp>},
    {"sqrt", &Plain<std::sqrt>},
    {"ln", &Plain<std::log>},
    {"log2", &Plain<std::log2>},
    {"log10", &Plain<std::log10>},
    {"sgn", &Plain<Sign>},
    {"deg", &Plain<Degrees>},
    {"rad", &Plain<Radians>},
    {"sin", &Plain<std::sin>},
    {"cos", &Plain<std::cos>},
    {"tan", &Plain<std::tan>},
    {"asin", &Plain<std::asin>},
    {"acos", &Plain<std::acos>},
    {"atan", &Plain<std::atan>},
    {"sinh", &Plain<std::sinh>},
    {"cosh", &Plain<std::cosh>},
    {"tanh", &Plain<std::tanh>},
    {"asinh", &Plain<std::asinh>},
    {"acosh", &Plain<std::acosh>},
    {"atanh", &Plain<std::atanh>},
    {"round", &Round},
    {"clamp", &Clamp},
    {"clamp_min", &ClampMin},
    {"clamp_max", &ClampMax},
    {"max_of", &OfTwo<GoMax>},
    {"min_of", &OfTwo<GoMin>},
    {"pi", &Pi},
});

}  // namespace

std::span<const FunctionRow> MathFunctions() { return kRows; }

}  // namespace picket::rules::promql
