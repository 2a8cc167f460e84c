// SPDX-License-Identifier: Apache-2.0
#include "rules/promql/eval/range_source.h"

#include <algorithm>

namespace picket::rules::promql {

Result<RangeSource> RangeSource::Make(Evaluation& evaluation, const Node& node,
                                      const TimeGrid& grid) {
  RangeSource source;
  source.grid_ = grid;
  const Node& inner = WithoutParens(node);
  if (inner.kind == NodeKind::kMatrixSelector) {
    const auto& matrix = static_cast<const MatrixSelector&>(inner);
    source.selector_ = matrix.selector.get();
    PICKET_ASSIGN(source.window_ms_, evaluation.WindowMs(matrix.window));
    PICKET_ASSIGN(source.shift_, evaluation.ShiftOf(matrix.selector->at, matrix.selector->offset));
    PICKET_ASSIGN(source.loaded_, evaluation.Load(*matrix.selector));
    return source;
  }
  if (inner.kind != NodeKind::kSubquery)
    return Fail(ErrorKind::kInternal, "expected a range vector");
  const auto& subquery = static_cast<const Subquery&>(inner);
  PICKET_ASSIGN(source.window_ms_, evaluation.WindowMs(subquery.window));
  PICKET_ASSIGN(source.shift_, evaluation.ShiftOf(subquery.at, subquery.offset));
  PICKET_ASSIGN(source.inner_, evaluation.SubqueryGrid(subquery, grid));
  PICKET_ASSIGN(source.columns_, evaluation.EvaluateVector(*subquery.expr, source.inner_));
  // A subquery may pass over samples: what their hints said of neighbours does not hold here.
  for (const HistogramValue*& h : source.columns_->histograms) {
    using Hint = HistogramValue::ResetHint;
    if (h == nullptr || h->hint == Hint::kGauge || h->hint == Hint::kUnknown) continue;
    HistogramValue copy = *h;
    copy.hint = Hint::kUnknown;
    h = evaluation.KeepHistogram(std::move(copy));
  }
  return source;
}

RangeSeries RangeSource::Series(size_t i) {
  return columns_ ? FromColumns(i) : FromLoaded(loaded_[i]);
}

RangeSeries RangeSource::FromLoaded(const SeriesColumns& series) {
  RangeSeries out;
  out.head.labels = series.labels;
  const bool plain =
      series.histograms.empty() && std::none_of(series.values.begin(), series.values.end(),
                                                [](double v) { return IsStaleNan(v); });
  if (plain) {
    out.times = series.times_ms;
    out.values = series.values;
    return out;
  }
  times_.clear();
  values_.clear();
  histogram_times_.clear();
  histograms_.clear();
  for (size_t k = 0; k < series.times_ms.size(); ++k) {
    if (!series.histograms.empty() && series.histograms[k] != nullptr) {
      histogram_times_.push_back(series.times_ms[k]);
      histograms_.push_back(series.histograms[k]);
    } else if (!IsStaleNan(series.values[k])) {
      times_.push_back(series.times_ms[k]);
      values_.push_back(series.values[k]);
    }
  }
  out.times = times_;
  out.values = values_;
  out.histogram_times = histogram_times_;
  out.histograms = histograms_;
  return out;
}

RangeSeries RangeSource::FromColumns(size_t i) {
  RangeSeries out;
  out.head = columns_->heads[i];
  times_.clear();
  values_.clear();
  histogram_times_.clear();
  histograms_.clear();
  const double* row = columns_->Row(i);
  for (size_t t = 0; t < columns_->steps; ++t) {
    if (const HistogramValue* h = columns_->HistogramAt(i, t); h != nullptr) {
      histogram_times_.push_back(inner_.At(t));
      histograms_.push_back(h);
    } else if (!IsAbsent(row[t])) {
      times_.push_back(inner_.At(t));
      values_.push_back(row[t]);
    }
  }
  out.times = times_;
  out.values = values_;
  out.histogram_times = histogram_times_;
  out.histograms = histograms_;
  return out;
}

}  // namespace picket::rules::promql
