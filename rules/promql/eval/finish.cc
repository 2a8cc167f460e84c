// SPDX-License-Identifier: Apache-2.0
// From columns to the query's answer.
#include <algorithm>
#include <numeric>

#include "rules/promql/eval/evaluation.h"
#include "rules/promql/eval/histogram.h"
#include "rules/promql/eval/range_source.h"

namespace picket::rules::promql {
namespace {

/// The rows of a matrix in the order of their labels.
std::vector<size_t> SortedByLabels(const Columns& columns) {
  std::vector<size_t> order(columns.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return *columns.heads[a].labels < *columns.heads[b].labels;
  });
  return order;
}

MatrixSeries RowToSeries(const Columns& columns, size_t row, const TimeGrid& grid) {
  MatrixSeries out;
  out.labels = *columns.heads[row].labels;
  out.times_ms.reserve(columns.steps);
  out.values.reserve(columns.steps);
  const double* values = columns.Row(row);
  for (size_t t = 0; t < columns.steps; ++t) {
    if (const HistogramValue* h = columns.HistogramAt(row, t); h != nullptr) {
      out.histogram_times_ms.push_back(grid.At(t));
      out.histograms.push_back(ShareHistogram(*h));
    } else if (!IsAbsent(values[t])) {
      out.times_ms.push_back(grid.At(t));
      out.values.push_back(values[t]);
    }
  }
  return out;
}

void AppendMatrix(const Columns& columns, const TimeGrid& grid, QueryResult& result) {
  result.matrix.reserve(columns.size());
  for (const size_t row : SortedByLabels(columns)) {
    MatrixSeries series = RowToSeries(columns, row, grid);
    if (!series.times_ms.empty() || !series.histograms.empty())
      result.matrix.push_back(std::move(series));
  }
}

}  // namespace

QueryResult Evaluation::Wrap(ValueType type) const {
  QueryResult result;
  result.type = type;
  result.time_ms = grid_.start;
  return result;
}

Result<QueryResult> Evaluation::Finish(Value value) {
  if (value.type == ValueType::kVector) PICKET_TRY(RemoveNames(*this, value.vector));
  if (range_query_) {
    QueryResult result = Wrap(ValueType::kMatrix);
    if (value.type == ValueType::kVector) {
      AppendMatrix(value.vector, grid_, result);
    } else if (value.type == ValueType::kScalar) {
      MatrixSeries& series = result.matrix.emplace_back();
      for (size_t t = 0; t < grid_.count; ++t) series.times_ms.push_back(grid_.At(t));
      series.values = std::move(value.scalar);
    }
    return result;
  }
  QueryResult result = Wrap(value.type);
  if (value.type == ValueType::kScalar) result.scalar = value.scalar.front();
  if (value.type == ValueType::kString) result.string = std::move(value.string);
  if (value.type != ValueType::kVector) return result;
  const Columns& columns = value.vector;
  result.vector.reserve(columns.size());
  for (size_t i = 0; i < columns.size(); ++i) {
    if (!columns.Has(i, 0)) continue;
    const HistogramValue* h = columns.HistogramAt(i, 0);
    result.vector.push_back({*columns.heads[i].labels, h != nullptr ? 0.0 : columns.Row(i)[0],
                             h != nullptr ? ShareHistogram(*h) : nullptr});
  }
  return result;
}

Result<QueryResult> Evaluation::FinishMatrixSelector(const MatrixSelector& node) {
  PICKET_ASSIGN(RangeSource source, RangeSource::Make(*this, node, grid_));
  QueryResult result = Wrap(ValueType::kMatrix);
  for (size_t i = 0; i < source.size(); ++i) {
    PICKET_TRY(Checkpoint());
    const RangeSeries series = source.Series(i);
    MatrixSeries out;
    source.Slide(series, [&](const Window& w) {
      out.times_ms.assign(series.times.begin() + static_cast<std::ptrdiff_t>(w.lo),
                          series.times.begin() + static_cast<std::ptrdiff_t>(w.hi));
      out.values.assign(series.values.begin() + static_cast<std::ptrdiff_t>(w.lo),
                        series.values.begin() + static_cast<std::ptrdiff_t>(w.hi));
      for (size_t k = w.histogram_lo; k < w.histogram_hi; ++k) {
        out.histogram_times_ms.push_back(series.histogram_times[k]);
        out.histograms.push_back(ShareHistogram(*series.histograms[k]));
      }
    });
    if (out.times_ms.empty() && out.histograms.empty()) continue;
    out.labels = *series.head.labels;
    result.matrix.push_back(std::move(out));
  }
  std::sort(result.matrix.begin(), result.matrix.end(),
            [](const MatrixSeries& a, const MatrixSeries& b) { return a.labels < b.labels; });
  return result;
}

Result<QueryResult> Evaluation::FinishSubquery(const Subquery& node) {
  PICKET_ASSIGN(const TimeGrid inner, SubqueryGrid(node, grid_));
  PICKET_ASSIGN(const Shift shift, ShiftOf(node.at, node.offset));
  PICKET_ASSIGN(Columns columns, EvaluateVector(*node.expr, inner));
  QueryResult result = Wrap(ValueType::kMatrix);
  if (inner.start > shift.Apply(grid_.end())) return result;  // the window is shorter than the step
  PICKET_TRY(RemoveNames(*this, columns));
  AppendMatrix(columns, inner, result);
  return result;
}

}  // namespace picket::rules::promql
