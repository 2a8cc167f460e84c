// SPDX-License-Identifier: Apache-2.0
#include "rules/promql/eval/extended_range.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "rules/promql/eval/range_kernel.h"

namespace picket::rules::promql {
namespace {

/// The value at `time` on the line between two samples. A counter that fell in between is taken to
/// have restarted from zero: before the fall nothing of the later value counts, after it only that.
double Interpolate(UnixMs t0, double v0, UnixMs t1, double v1, UnixMs time, bool counter,
                   bool left_edge) {
  const double fraction = static_cast<double>(time - t0) / static_cast<double>(t1 - t0);
  if (counter && v1 < v0) return left_edge ? v0 * 0 + v1 * fraction : v1 * fraction;
  return v0 + (v1 - v0) * fraction;
}

/// Samples around a window, floats only. Indexes only move on from step to step.
struct Edges {
  size_t before_start = 0;  // samples at or before the window's start
  size_t until_end = 0;     // samples at or before its end
  void Move(const RangeSeries& series, const Window& w) {
    while (before_start < series.times.size() && series.times[before_start] <= w.start)
      ++before_start;
    while (until_end < series.times.size() && series.times[until_end] <= w.end) ++until_end;
  }
};

struct Point {
  UnixMs time;
  double value;
};

/// What is between the first and the last point: the difference, and for counters what resets took
/// away.
double Increase(const Point& first, std::span<const double> between, double last, bool counter) {
  double result = last - first.value;
  if (!counter) return result;
  double previous = first.value;
  for (const double v : between) {
    if (v < previous) result += previous;
    previous = v;
  }
  if (last < previous) result += previous;
  return result;
}

}  // namespace

Status CheckExtended(const Call& call) {
  for (const NodePtr& argument : call.arguments) {
    const Node& node = WithoutParens(*argument);
    if (node.kind != NodeKind::kMatrixSelector) continue;
    const VectorSelector& selector = *static_cast<const MatrixSelector&>(node).selector;
    const std::string_view name = call.function->name;
    const bool rates = name == "rate" || name == "increase" || name == "delta";
    if (selector.smoothed && !rates)
      return Fail(
          ErrorKind::kInvalidArgument,
          fmt::format(
              "smoothed modifier can only be used with: delta, increase, rate - not with {}",
              name));
    if (selector.anchored && !rates && name != "resets" && name != "changes")
      return Fail(ErrorKind::kInvalidArgument,
                  fmt::format("anchored modifier can only be used with: changes, delta, increase, "
                              "rate, resets - not "
                              "with {}",
                              name));
  }
  return {};
}

Result<Columns> ExtendedRate(Evaluation& evaluation, const Call& call, RangeSource& source,
                             bool counter, bool rate) {
  (void)call;
  const TimeGrid& grid = source.grid();
  const bool smoothed = source.selector()->smoothed;
  const int64_t lookback = evaluation.lookback_ms();
  PICKET_ASSIGN(Columns out, evaluation.NewColumns(source.size(), grid.count));
  for (size_t i = 0; i < source.size(); ++i) {
    PICKET_TRY(evaluation.Checkpoint());
    const RangeSeries series = source.Series(i);
    double* row = out.AddRow({series.head.labels, true});
    Edges edges;
    source.Slide(series, [&](const Window& w) {
      edges.Move(series, w);
      const auto& times = series.times;
      const auto& values = series.values;
      const size_t inside = edges.before_start;
      const size_t end = edges.until_end;
      const bool anchor = inside > 0 && times[inside - 1] > w.start - lookback;
      Point first{};
      double last = 0;
      if (!smoothed) {
        if (end == inside) return;  // nothing new in the window
        first = anchor ? Point{times[inside - 1], values[inside - 1]}
                       : Point{times[inside], values[inside]};
        last = values[end - 1];
      } else {
        const bool later = end < times.size() && times[end] < w.end + lookback;
        const bool covered = end > inside || (anchor && later);
        if (!covered || (end == inside && !anchor)) return;
        if (anchor && times[inside - 1] == w.start) {
          first = {w.start, values[inside - 1]};
        } else if (anchor) {
          first = {w.start, Interpolate(times[inside - 1], values[inside - 1], times[inside],
                                        values[inside], w.start, counter, true)};
        } else {
          first = {times[inside], values[inside]};
        }
        if (end > 0 && (times[end - 1] == w.end || !later)) {
          last = values[end - 1];
        } else {
          last = Interpolate(times[end - 1], values[end - 1], times[end], values[end], w.end,
                             counter, false);
        }
      }
      const double result = Increase(first, values.subspan(inside, end - inside), last, counter);
      row[w.step] = rate ? result / (static_cast<double>(source.window_ms()) / 1000) : result;
    });
    out.DropLastIfEmpty();
  }
  return out;
}

Result<Columns> ExtendedTransitions(Evaluation& evaluation, const Call& call, RangeSource& source,
                                    bool resets) {
  (void)call;
  const TimeGrid& grid = source.grid();
  const int64_t lookback = evaluation.lookback_ms();
  PICKET_ASSIGN(Columns out, evaluation.NewColumns(source.size(), grid.count));
  for (size_t i = 0; i < source.size(); ++i) {
    PICKET_TRY(evaluation.Checkpoint());
    const RangeSeries series = source.Series(i);
    double* row = out.AddRow({series.head.labels, true});
    Edges edges;
    source.Slide(series, [&](const Window& w) {
      edges.Move(series, w);
      if (edges.until_end == edges.before_start) return;
      size_t from = edges.before_start;
      if (from > 0 && series.times[from - 1] > w.start - lookback) --from;
      double count = 0;
      for (size_t k = from + 1; k < edges.until_end; ++k) {
        const double before = series.values[k - 1];
        const double now = series.values[k];
        const bool hit =
            resets ? now < before : now != before && !(std::isnan(now) && std::isnan(before));
        count += hit ? 1 : 0;
      }
      row[w.step] = count;
    });
    out.DropLastIfEmpty();
  }
  return out;
}

}  // namespace picket::rules::promql
