// SPDX-License-Identifier: Apache-2.0
#include "rules/promql/eval/extended_range.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <optional>

#include "rules/promql/eval/histogram_math.h"
#include "rules/promql/eval/histogram_rate.h"
#include "rules/promql/eval/range_kernel.h"

namespace picket::rules::promql {
namespace {

/// A value at an edge: one sample, or the line between two of them.
struct EdgeValue {
  size_t sample = 0;
  bool interpolated = false;  // between sample and sample + 1
};

/// What a modified window compares: its first and last value and the samples between them.
struct ExtendedWindow {
  EdgeValue first;
  EdgeValue last;
  size_t inside = 0;  // samples [inside, end) lie in the window
  size_t end = 0;
};

/// Finds the edges of windows over one series' times. Indexes only move on from step to step.
class EdgeFinder {
 public:
  EdgeFinder(std::span<const UnixMs> times, bool smoothed, int64_t lookback_ms)
      : times_(times), smoothed_(smoothed), lookback_ms_(lookback_ms) {}

  std::optional<ExtendedWindow> At(const Window& w) {
    while (inside_ < times_.size() && times_[inside_] <= w.start) ++inside_;
    while (end_ < times_.size() && times_[end_] <= w.end) ++end_;
    ExtendedWindow out{{inside_, false}, {end_ - 1, false}, inside_, end_};
    const bool anchor = HasAnchor(w);
    const bool later = smoothed_ && HasLater(w);
    const bool empty = end_ == inside_;
    if (empty && !(anchor && later)) return std::nullopt;
    if (anchor) {
      out.first.sample = inside_ - 1;
      out.first.interpolated = smoothed_ && times_[inside_ - 1] != w.start;
    }
    out.last.interpolated = later && times_[end_ - 1] != w.end;
    return out;
  }
  /// Whether any sample that the window may use is there.
  bool Touches(const Window& w) {
    At(w);
    return end_ > inside_ || HasAnchor(w) || (smoothed_ && HasLater(w));
  }
  bool HasAnchor(const Window& w) const {
    return inside_ > 0 && times_[inside_ - 1] > w.start - lookback_ms_;
  }
  bool HasLater(const Window& w) const {
    return end_ < times_.size() && times_[end_] < w.end + lookback_ms_;
  }

 private:
  std::span<const UnixMs> times_;
  bool smoothed_;
  int64_t lookback_ms_;
  size_t inside_ = 0;
  size_t end_ = 0;
};

double Fraction(std::span<const UnixMs> times, size_t k, UnixMs time) {
  return static_cast<double>(time - times[k]) / static_cast<double>(times[k + 1] - times[k]);
}

/// A counter that fell between two samples is taken to have gone on from zero.
double FloatAt(const RangeSeries& s, const EdgeValue& e, UnixMs time, bool counter) {
  const double v = s.values[e.sample];
  if (!e.interpolated) return v;
  const double next = s.values[e.sample + 1];
  const double fraction = Fraction(s.times, e.sample, time);
  return counter && next < v ? next * fraction : v + (next - v) * fraction;
}

double FloatIncrease(const RangeSeries& s, const ExtendedWindow& x, const Window& w, bool counter) {
  const double first = FloatAt(s, x.first, w.start, counter);
  const double last = FloatAt(s, x.last, w.end, counter);
  double result = last - first;
  if (!counter) return result;
  double previous = first;
  for (size_t k = x.inside; k < x.end; ++k) {
    if (s.values[k] < previous) result += previous;
    previous = s.values[k];
  }
  return last < previous ? result + previous : result;
}

/// The same over histograms, with what there is to warn of.
class HistogramIncrease {
 public:
  HistogramIncrease(Evaluation& evaluation, const Node& argument, const RangeSeries& series,
                    bool counter)
      : evaluation_(evaluation),
        argument_(argument),
        s_(series),
        metric_(MetricNameOf(evaluation, series.head)),
        counter_(counter) {}

  const HistogramValue* At(const ExtendedWindow& x, const Window& w, double divisor) {
    const size_t from = std::min(x.first.sample, x.inside);
    const size_t to = x.last.sample + (x.last.interpolated ? 2 : 1);
    if (!Check(s_.histograms.subspan(from, to - from))) return nullptr;
    const HistogramValue first = EdgeAt(x.first, w.start);
    HistogramValue last = EdgeAt(x.last, w.end);
    HistogramValue out = last;
    out.hint = HistogramValue::ResetHint::kGauge;
    Combine(out, first, -1);
    if (counter_) {
      const HistogramValue* previous = &first;
      for (size_t k = x.inside; k < x.end; ++k) {
        const HistogramValue* now = s_.histograms[k];
        if (k != x.first.sample && DetectReset(*previous, *now)) Combine(out, *previous, 1);
        previous = now;
      }
      if (x.last.interpolated && x.end > x.inside && DetectReset(*previous, last))
        Combine(out, *previous, 1);
    }
    DivideBy(out, divisor);
    out.hint = HistogramValue::ResetHint::kGauge;
    Compact(out);
    return evaluation_.KeepHistogram(std::move(out));
  }

 private:
  bool Check(std::span<const HistogramValue* const> used) {
    const auto gauge = [](const HistogramValue* h) {
      return h->hint == HistogramValue::ResetHint::kGauge;
    };
    if (std::any_of(used.begin(), used.end(), [&](const HistogramValue* h) {
          return h->custom() != used.front()->custom();
        })) {
      evaluation_.annotations().MixedExponentialCustom(metric_, argument_);
      return false;
    }
    if (counter_ && std::any_of(used.begin(), used.end(), gauge))
      evaluation_.annotations().NativeNotCounter(metric_, argument_);
    if (!counter_ && !(gauge(used.front()) && gauge(used.back())))
      evaluation_.annotations().NativeNotGauge(metric_, argument_);
    return true;
  }
  HistogramValue EdgeAt(const EdgeValue& e, UnixMs time) const {
    const HistogramValue& v = *s_.histograms[e.sample];
    if (!e.interpolated) return v;
    return InterpolateHistograms(v, *s_.histograms[e.sample + 1],
                                 Fraction(s_.histogram_times, e.sample, time), counter_);
  }

  Evaluation& evaluation_;
  const Node& argument_;
  const RangeSeries& s_;
  std::string_view metric_;
  bool counter_;
};

}  // namespace

HistogramValue InterpolateHistograms(const HistogramValue& a, const HistogramValue& b,
                                     double fraction, bool counter) {
  HistogramValue out = b;
  if (counter && DetectReset(a, b)) {
    Scale(out, fraction);
    return out;
  }
  out.hint = a.hint;
  Combine(out, a, -1);
  Scale(out, fraction);
  Combine(out, a, 1);
  out.hint = a.hint;
  return out;
}

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
  const TimeGrid& grid = source.grid();
  const bool smoothed = source.selector()->smoothed;
  const double divisor = rate ? static_cast<double>(source.window_ms()) / 1000 : 1;
  PICKET_ASSIGN(Columns out, evaluation.NewColumns(source.size(), grid.count));
  for (size_t i = 0; i < source.size(); ++i) {
    PICKET_TRY(evaluation.Checkpoint());
    const RangeSeries series = source.Series(i);
    double* row = out.AddRow({series.head.labels, true});
    const size_t index = out.size() - 1;
    EdgeFinder floats(series.times, smoothed, evaluation.lookback_ms());
    EdgeFinder histograms(series.histogram_times, smoothed, evaluation.lookback_ms());
    HistogramIncrease increase(evaluation, *call.arguments[0], series, counter);
    source.Slide(series, [&](const Window& w) {
      const bool has_floats = floats.Touches(w);
      const bool has_histograms = histograms.Touches(w);
      if (has_floats && has_histograms) {
        evaluation.annotations().MixedFloatsHistograms(MetricNameOf(evaluation, series.head),
                                                       *call.arguments[0]);
      } else if (has_floats) {
        if (const auto x = floats.At(w))
          row[w.step] = FloatIncrease(series, *x, w, counter) / divisor;
      } else if (const auto x = histograms.At(w)) {
        if (const HistogramValue* h = increase.At(*x, w, divisor); h != nullptr)
          out.SetHistogram(index, w.step, h);
      }
    });
    out.DropLastIfEmpty();
  }
  return out;
}

Result<Columns> ExtendedTransitions(Evaluation& evaluation, RangeSource& source, bool resets) {
  const TimeGrid& grid = source.grid();
  PICKET_ASSIGN(Columns out, evaluation.NewColumns(source.size(), grid.count));
  for (size_t i = 0; i < source.size(); ++i) {
    PICKET_TRY(evaluation.Checkpoint());
    const RangeSeries series = source.Series(i);
    double* row = out.AddRow({series.head.labels, true});
    EdgeFinder floats(series.times, false, evaluation.lookback_ms());
    EdgeFinder histograms(series.histogram_times, false, evaluation.lookback_ms());
    source.Slide(series, [&](const Window& w) {
      floats.At(w);
      histograms.At(w);
      Window wider = w;
      if (w.floats() + w.histograms() == 0) return;
      // Only the very last sample before the window takes part, of whichever kind it is.
      const UnixMs last_float = floats.HasAnchor(w) ? series.times[w.lo - 1] : INT64_MIN;
      const UnixMs last_histogram =
          histograms.HasAnchor(w) ? series.histogram_times[w.histogram_lo - 1] : INT64_MIN;
      if (last_float > last_histogram) --wider.lo;
      if (last_histogram > last_float) --wider.histogram_lo;
      row[w.step] = CountMixedTransitions(series, wider, resets);
    });
    out.DropLastIfEmpty();
  }
  return out;
}

}  // namespace picket::rules::promql
