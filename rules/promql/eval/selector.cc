// SPDX-License-Identifier: Apache-2.0
#include "rules/promql/eval/selector.h"

#include <fmt/format.h>

#include "rules/promql/eval/operators.h"

namespace picket::rules::promql {
namespace {

/// Calls at(step, index) for every step at which a series has a live sample: the last one within
/// the lookback. Cost: linear in samples and steps together.
template <class F>
void ForEachStep(const SeriesColumns& series, const TimeGrid& grid, const Evaluation::Shift& shift,
                 int64_t lookback_ms, F&& at) {
  size_t next = 0;  // first sample after the step
  for (size_t t = 0; t < grid.count; ++t) {
    const UnixMs time = shift.Apply(grid.At(t));
    while (next < series.times_ms.size() && series.times_ms[next] <= time) ++next;
    if (next == 0) continue;
    const size_t k = next - 1;
    if (series.times_ms[k] <= time - lookback_ms) continue;
    const bool histogram = !series.histograms.empty() && series.histograms[k] != nullptr;
    if (!histogram && IsStaleNan(series.values[k])) continue;
    at(t, k);
  }
}

/// The line between the neighbours of each step; the last value where no later one is within the
/// lookback.
void Smooth(const SeriesColumns& series, const TimeGrid& grid, const Evaluation::Shift& shift,
            int64_t lookback_ms, double* row) {
  ForEachStep(series, grid, shift, lookback_ms, [&](size_t t, size_t k) {
    if (!series.histograms.empty() && series.histograms[k] != nullptr) return;
    const UnixMs time = shift.Apply(grid.At(t));
    row[t] = series.values[k];
    if (series.times_ms[k] == time || k + 1 >= series.times_ms.size()) return;
    const bool usable = series.times_ms[k + 1] < time + lookback_ms &&
                        !IsStaleNan(series.values[k + 1]) &&
                        (series.histograms.empty() || series.histograms[k + 1] == nullptr);
    if (!usable) return;
    const double fraction = static_cast<double>(time - series.times_ms[k]) /
                            static_cast<double>(series.times_ms[k + 1] - series.times_ms[k]);
    row[t] += (series.values[k + 1] - series.values[k]) * fraction;
  });
}

}  // namespace

Result<Value> EvaluateSelector(Evaluation& evaluation, const VectorSelector& node,
                               const TimeGrid& grid) {
  PICKET_ASSIGN(const auto all, evaluation.Load(node));
  PICKET_ASSIGN(const Evaluation::Shift shift, evaluation.ShiftOf(node.at, node.offset));
  PICKET_ASSIGN(Columns out, evaluation.NewColumns(all.size(), grid.count));
  for (const SeriesColumns& series : all) {
    PICKET_TRY(evaluation.Checkpoint());
    double* row = out.AddRow({series.labels, false});
    const size_t i = out.size() - 1;
    if (node.smoothed) {
      Smooth(series, grid, shift, evaluation.lookback_ms(), row);
    } else {
      ForEachStep(series, grid, shift, evaluation.lookback_ms(), [&](size_t t, size_t k) {
        if (!series.histograms.empty() && series.histograms[k] != nullptr) {
          out.SetHistogram(i, t, series.histograms[k]);
        } else {
          row[t] = series.values[k];
        }
      });
    }
    out.DropLastIfEmpty();
  }
  return Value::Vector(std::move(out));
}

Result<Value> SelectorTimes(Evaluation& evaluation, const VectorSelector& node,
                            const TimeGrid& grid) {
  PICKET_ASSIGN(const auto all, evaluation.Load(node));
  PICKET_ASSIGN(const Evaluation::Shift shift, evaluation.ShiftOf(node.at, node.offset));
  PICKET_ASSIGN(Columns out, evaluation.NewColumns(all.size(), grid.count));
  for (const SeriesColumns& series : all) {
    PICKET_TRY(evaluation.Checkpoint());
    double* row = out.AddRow({series.labels, true});
    ForEachStep(series, grid, shift, evaluation.lookback_ms(), [&](size_t t, size_t k) {
      row[t] = static_cast<double>(series.times_ms[k]) / 1000.0;
    });
    out.DropLastIfEmpty();
  }
  return Value::Vector(std::move(out));
}

}  // namespace picket::rules::promql
