// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "rules/promql/eval/range_source.h"

namespace picket::rules::promql {

/// What a window function gives at one step: a float, a histogram or nothing.
struct Cell {
  double value = Absent();
  const HistogramValue* histogram = nullptr;
};

/// Runs a window function over every series and step. A kernel has
///   void Begin(const RangeSeries&)              once a series
///   Cell At(const RangeSeries&, const Window&)  once a step; steps move on, so it may keep running
///   state
template <class Kernel>
Result<Columns> RunKernel(Evaluation& evaluation, RangeSource& source, bool drop_name,
                          Kernel& kernel) {
  const TimeGrid& grid = source.grid();
  PICKET_ASSIGN(Columns out, evaluation.NewColumns(source.size(), grid.count));
  for (size_t i = 0; i < source.size(); ++i) {
    PICKET_TRY(evaluation.Checkpoint());
    const RangeSeries series = source.Series(i);
    if (series.times.empty() && series.histogram_times.empty()) continue;
    SeriesHead head = series.head;
    head.drop_name |= drop_name;
    double* row = out.AddRow(head);
    const size_t index = out.size() - 1;
    kernel.Begin(series);
    source.Slide(series, [&](const Window& w) {
      if (w.lo == w.hi && w.histogram_lo == w.histogram_hi) return;
      const Cell cell = kernel.At(series, w);
      row[w.step] = cell.value;
      if (cell.histogram != nullptr) out.SetHistogram(index, w.step, cell.histogram);
    });
    out.DropLastIfEmpty();
  }
  return out;
}

/// The name for annotations about a series: none once it has been dropped.
inline std::string_view MetricNameOf(const Evaluation& evaluation, const SeriesHead& head) {
  const bool gone = head.drop_name && !evaluation.engine().delayed_name_removal;
  return gone ? std::string_view() : head.labels->Get(kMetricName);
}

}  // namespace picket::rules::promql
