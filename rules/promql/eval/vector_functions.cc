// SPDX-License-Identifier: Apache-2.0
// Functions between scalars and vectors, of presence and of order.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "rules/promql/eval/functions.h"
#include "rules/promql/eval/natural_order.h"
#include "rules/promql/eval/range_source.h"

namespace picket::rules::promql {
namespace {

Result<Value> Vector(Evaluation& evaluation, const Call& call, const TimeGrid& grid) {
  PICKET_ASSIGN(const std::vector<double> values,
                evaluation.EvaluateScalar(*call.arguments[0], grid));
  PICKET_ASSIGN(Columns out, evaluation.NewColumns(1, grid.count));
  std::copy(values.begin(), values.end(), out.AddRow({evaluation.Keep(Labels()), false}));
  return Value::Vector(std::move(out));
}

/// The only float of each step, else NaN.
Result<Value> Scalar(Evaluation& evaluation, const Call& call, const TimeGrid& grid) {
  PICKET_ASSIGN(const Columns columns, evaluation.EvaluateVector(*call.arguments[0], grid));
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  std::vector<double> out(grid.count, kNan);
  std::vector<uint32_t> seen(grid.count, 0);
  for (size_t i = 0; i < columns.size(); ++i)
    for (size_t t = 0; t < grid.count; ++t)
      if (const double v = columns.Row(i)[t]; !IsAbsent(v)) out[t] = ++seen[t] == 1 ? v : kNan;
  return Value::Scalar(std::move(out));
}

/// What can be said of series that are not there: the labels a selector asks to be equal to one
/// value.
Labels LabelsOfAbsent(const Node& argument) {
  const Node& node = WithoutParens(argument);
  const VectorSelector* selector = nullptr;
  if (node.kind == NodeKind::kVectorSelector) selector = static_cast<const VectorSelector*>(&node);
  if (node.kind == NodeKind::kMatrixSelector)
    selector = static_cast<const MatrixSelector&>(node).selector.get();
  if (selector == nullptr) return {};
  LabelsBuilder builder;
  std::set<std::string> known;
  std::set<std::string> unsure;
  for (const Matcher& m : selector->matchers) {
    if (m.name() == kMetricName) continue;
    if (m.type() == Matcher::Type::kEqual && known.insert(m.name()).second) {
      builder.Set(m.name(), m.value());
    } else {
      unsure.insert(m.name());
    }
  }
  for (const std::string& name : unsure) builder.Delete(name);
  return builder.Build();
}

Result<Value> OneWhere(Evaluation& evaluation, const Call& call,
                       const std::vector<uint8_t>& present) {
  PICKET_ASSIGN(Columns out, evaluation.NewColumns(1, present.size()));
  double* row = out.AddRow({evaluation.Keep(LabelsOfAbsent(*call.arguments[0])), false});
  for (size_t t = 0; t < present.size(); ++t)
    if (present[t] == 0) row[t] = 1;
  out.DropLastIfEmpty();
  return Value::Vector(std::move(out));
}

Result<Value> AbsentFunction(Evaluation& evaluation, const Call& call, const TimeGrid& grid) {
  PICKET_ASSIGN(const Columns columns, evaluation.EvaluateVector(*call.arguments[0], grid));
  std::vector<uint8_t> present(grid.count, 0);
  for (size_t i = 0; i < columns.size(); ++i)
    for (size_t t = 0; t < grid.count; ++t) present[t] |= columns.Has(i, t) ? 1 : 0;
  return OneWhere(evaluation, call, present);
}

Result<Value> AbsentOverTime(Evaluation& evaluation, const Call& call, const TimeGrid& grid) {
  PICKET_ASSIGN(RangeSource source, RangeSource::Make(evaluation, *call.arguments[0], grid));
  std::vector<uint8_t> present(grid.count, 0);
  for (size_t i = 0; i < source.size(); ++i) {
    PICKET_TRY(evaluation.Checkpoint());
    const RangeSeries series = source.Series(i);
    source.Slide(series, [&](const Window& w) {
      present[w.step] |= w.floats() + w.histograms() > 0 ? 1 : 0;
    });
  }
  return OneWhere(evaluation, call, present);
}

/// Puts the rows of an instant result in the given order.
Columns Reorder(const Columns& from, const std::vector<size_t>& order) {
  Columns out(from.steps);
  for (const size_t i : order) {
    double* row = out.AddRow(from.heads[i]);
    std::copy_n(from.Row(i), from.steps, row);
    for (size_t t = 0; t < from.steps; ++t)
      if (const HistogramValue* h = from.HistogramAt(i, t); h != nullptr)
        out.SetHistogram(out.size() - 1, t, h);
  }
  return out;
}

template <bool kDescending>
Result<Value> Sort(Evaluation& evaluation, const Call& call, const TimeGrid& grid) {
  PICKET_ASSIGN(Columns columns, evaluation.EvaluateVector(*call.arguments[0], grid));
  columns.histograms.clear();
  if (evaluation.range_query()) {
    evaluation.annotations().SortInRangeQuery(*call.arguments[0]);
    return Value::Vector(std::move(columns));
  }
  if (grid.count > 1) return Value::Vector(std::move(columns));
  std::vector<size_t> order;
  for (size_t i = 0; i < columns.size(); ++i)
    if (!IsAbsent(columns.values[i])) order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const double x = columns.values[a];
    const double y = columns.values[b];
    if (std::isnan(x) || std::isnan(y)) return !std::isnan(x) && std::isnan(y);
    return kDescending ? x > y : x < y;
  });
  return Value::Vector(Reorder(columns, order));
}

template <bool kDescending>
Result<Value> SortByLabel(Evaluation& evaluation, const Call& call, const TimeGrid& grid) {
  PICKET_ASSIGN(Columns columns, evaluation.EvaluateVector(*call.arguments[0], grid));
  PICKET_TRY(evaluation.SettleNames(columns));
  std::vector<std::string> names;
  for (size_t i = 1; i < call.arguments.size(); ++i) {
    PICKET_ASSIGN(std::string name, evaluation.EvaluateString(*call.arguments[i]));
    names.push_back(std::move(name));
  }
  if (evaluation.range_query()) {
    evaluation.annotations().SortInRangeQuery(*call.arguments[0]);
    return Value::Vector(std::move(columns));
  }
  std::vector<size_t> order(columns.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    if (kDescending) std::swap(a, b);
    const Labels& x = *columns.heads[a].labels;
    const Labels& y = *columns.heads[b].labels;
    for (const std::string& name : names) {
      const std::string_view left = x.Get(name);
      const std::string_view right = y.Get(name);
      if (left != right) return NaturallyLess(left, right);
    }
    return x < y;
  });
  return Value::Vector(Reorder(columns, order));
}

constexpr auto kRows = std::to_array<FunctionRow>({
    {"vector", &Vector},
    {"scalar", &Scalar},
    {"absent", &AbsentFunction},
    {"absent_over_time", &AbsentOverTime},
    {"sort", &Sort<false>},
    {"sort_desc", &Sort<true>},
    {"sort_by_label", &SortByLabel<false>},
    {"sort_by_label_desc", &SortByLabel<true>},
});

}  // namespace

std::span<const FunctionRow> VectorFunctions() { return kRows; }

}  // namespace picket::rules::promql
