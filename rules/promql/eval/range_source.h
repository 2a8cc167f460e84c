// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <span>
#include <vector>

#include "core/base/result.h"
#include "rules/promql/eval/columns.h"
#include "rules/promql/eval/evaluation.h"

namespace picket::rules::promql {

/// The samples of one series that windows move over. Shape: floats and histograms apart, each
/// ascending in time, no staleness markers.
struct RangeSeries {
  SeriesHead head;
  std::span<const UnixMs> times;
  std::span<const double> values;
  std::span<const UnixMs> histogram_times;
  std::span<const HistogramValue* const> histograms;
};

/// One window: (start, end] and what of the series lies in it.
struct Window {
  UnixMs start = 0;
  UnixMs end = 0;
  UnixMs eval_ms = 0;  ///< the step's time, without offset
  size_t step = 0;     ///< index in the grid
  size_t lo = 0;       ///< floats [lo, hi) of the series
  size_t hi = 0;
  size_t histogram_lo = 0;
  size_t histogram_hi = 0;
  size_t floats() const { return hi - lo; }
  size_t histograms() const { return histogram_hi - histogram_lo; }
};

/// A range vector as an argument: a matrix selector or a subquery, with its series.
class RangeSource {
 public:
  static Result<RangeSource> Make(Evaluation& evaluation, const Node& node, const TimeGrid& grid);

  size_t size() const { return columns_ ? columns_->size() : loaded_.size(); }
  /// Valid until the next call.
  RangeSeries Series(size_t i);
  int64_t window_ms() const { return window_ms_; }
  const Evaluation::Shift& shift() const { return shift_; }
  const TimeGrid& grid() const { return grid_; }
  /// The selector, or null for a subquery.
  const VectorSelector* selector() const { return selector_; }

  /// Calls at(window) for each step of the grid; indexes only move on.
  template <class F>
  void Slide(const RangeSeries& series, F&& at) const {
    Window w;
    for (size_t t = 0; t < grid_.count; ++t) {
      w.step = t;
      w.eval_ms = grid_.At(t);
      w.end = shift_.Apply(w.eval_ms);
      w.start = w.end - window_ms_;
      Advance(series.times, w.start, w.end, w.lo, w.hi);
      if (!series.histogram_times.empty())
        Advance(series.histogram_times, w.start, w.end, w.histogram_lo, w.histogram_hi);
      at(w);
    }
  }

 private:
  static void Advance(std::span<const UnixMs> times, UnixMs start, UnixMs end, size_t& lo,
                      size_t& hi) {
    while (hi < times.size() && times[hi] <= end) ++hi;
    while (lo < hi && times[lo] <= start) ++lo;
  }
  RangeSeries FromLoaded(const SeriesColumns& series);
  RangeSeries FromColumns(size_t i);

  TimeGrid grid_;
  Evaluation::Shift shift_;
  int64_t window_ms_ = 0;
  const VectorSelector* selector_ = nullptr;
  std::span<const SeriesColumns> loaded_;
  std::optional<Columns> columns_;  // of a subquery
  TimeGrid inner_;                  // its grid
  std::vector<UnixMs> times_;       // what Series() had to copy
  std::vector<double> values_;
  std::vector<UnixMs> histogram_times_;
  std::vector<const HistogramValue*> histograms_;
};

}  // namespace picket::rules::promql
