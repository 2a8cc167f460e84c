// SPDX-License-Identifier: Apache-2.0
#include "rules/promql/eval/selector.h"

#include "rules/promql/eval/extended_range.h"
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
class Smoother {
 public:
  Smoother(Evaluation& evaluation, const VectorSelector& node, const SeriesColumns& series,
           Columns& out)
      : evaluation_(evaluation), node_(node), s_(series), out_(out), row_(out.size() - 1) {}

  void At(size_t step, size_t k, UnixMs time) {
    const size_t next = k + 1;
    const bool later = s_.times_ms[k] != time && next < s_.times_ms.size() &&
                       s_.times_ms[next] < time + evaluation_.lookback_ms() &&
                       (Histogram(next) != nullptr || !IsStaleNan(s_.values[next]));
    const HistogramValue* h = Histogram(k);
    if (!later) {
      if (h != nullptr) out_.SetHistogram(row_, step, h);
      if (h == nullptr) out_.Row(row_)[step] = s_.values[k];
      return;
    }
    const HistogramValue* after = Histogram(next);
    if ((h == nullptr) != (after == nullptr)) {
      evaluation_.annotations().MixedFloatsHistograms(s_.labels->Get(kMetricName), node_);
      return;
    }
    const double fraction = static_cast<double>(time - s_.times_ms[k]) /
                            static_cast<double>(s_.times_ms[next] - s_.times_ms[k]);
    if (h == nullptr) {
      out_.Row(row_)[step] = s_.values[k] + (s_.values[next] - s_.values[k]) * fraction;
    } else if (h->custom() != after->custom()) {
      evaluation_.annotations().MixedExponentialCustom(s_.labels->Get(kMetricName), node_);
    } else {
      const bool counter = h->hint != HistogramValue::ResetHint::kGauge;
      out_.SetHistogram(
          row_, step,
          evaluation_.KeepHistogram(InterpolateHistograms(*h, *after, fraction, counter)));
    }
  }

 private:
  const HistogramValue* Histogram(size_t k) const {
    return s_.histograms.empty() ? nullptr : s_.histograms[k];
  }

  Evaluation& evaluation_;
  const VectorSelector& node_;
  const SeriesColumns& s_;
  Columns& out_;
  size_t row_;
};

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
      Smoother smoother(evaluation, node, series, out);
      ForEachStep(series, grid, shift, evaluation.lookback_ms(),
                  [&](size_t t, size_t k) { smoother.At(t, k, shift.Apply(grid.At(t))); });
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
