// SPDX-License-Identifier: Apache-2.0
// rate() and its relatives, changes() and resets(), and lines through points.
#include <array>
#include <cmath>
#include <limits>

#include "rules/promql/eval/extended_range.h"
#include "rules/promql/eval/functions.h"
#include "rules/promql/eval/histogram_rate.h"
#include "rules/promql/eval/range_kernel.h"
#include "rules/promql/eval/sums.h"

namespace picket::rules::promql {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// rate, increase (counters) and delta, extrapolated to the window's edges.
/// Cost: O(1) a step plus the counter resets inside the window.
class ExtrapolatedKernel {
 public:
  ExtrapolatedKernel(Evaluation& evaluation, const Call& call, const RangeSource& source,
                     bool counter, bool rate)
      : evaluation_(evaluation),
        call_(call),
        window_ms_(source.window_ms()),
        counter_(counter),
        rate_(rate) {}

  void Begin(const RangeSeries& series) {
    resets_.clear();
    next_reset_ = 0;
    if (!counter_) return;
    for (size_t i = 1; i < series.values.size(); ++i)
      if (series.values[i] < series.values[i - 1]) resets_.push_back(static_cast<uint32_t>(i));
  }

  Cell At(const RangeSeries& series, const Window& w) {
    if (w.histograms() > 0) return Histograms(series, w);
    if (w.floats() < 2) return {};
    const size_t last = w.hi - 1;
    double result = series.values[last] - series.values[w.lo];
    while (next_reset_ < resets_.size() && resets_[next_reset_] <= w.lo) ++next_reset_;
    for (size_t r = next_reset_; r < resets_.size() && resets_[r] <= last; ++r)
      result += series.values[resets_[r] - 1];
    const double samples = static_cast<double>(w.floats() - 1);
    const double factor =
        Factor(series.times[w.lo], series.times[last], samples, series.values[w.lo], result, w);
    return {result * factor, nullptr};
  }

  /// How much the difference between first and last sample stands for the whole window.
  double Factor(UnixMs first_ms, UnixMs last_ms, double gaps, double first, double result,
                const Window& w) const {
    double to_start = static_cast<double>(first_ms - w.start) / 1000;
    double to_end = static_cast<double>(w.end - last_ms) / 1000;
    const double sampled = static_cast<double>(last_ms - first_ms) / 1000;
    const double average = sampled / gaps;
    const double threshold = average * 1.1;
    if (to_start >= threshold) to_start = average / 2;
    // A counter cannot have been below zero: do not extrapolate beyond where it would have been
    // zero.
    if (counter_ && result > 0 && first >= 0)
      to_start = std::min(to_start, sampled * (first / result));
    if (to_end >= threshold) to_end = average / 2;
    const double factor = (sampled + to_start + to_end) / sampled;
    return rate_ ? factor / (static_cast<double>(window_ms_) / 1000) : factor;
  }

 private:
  Cell Histograms(const RangeSeries& series, const Window& w) {
    if (w.floats() > 0) {
      evaluation_.annotations().MixedFloatsHistograms(MetricNameOf(evaluation_, series.head),
                                                      *call_.arguments[0]);
      return {};
    }
    if (w.histograms() < 2) return {};
    const size_t last = w.histogram_hi - 1;
    HistogramRate rate{evaluation_, *call_.arguments[0], MetricNameOf(evaluation_, series.head),
                       counter_};
    auto difference = rate.Difference(series.histograms.subspan(w.histogram_lo, w.histograms()));
    if (!difference) return {};
    const HistogramValue& first = *series.histograms[w.histogram_lo];
    const double factor =
        Factor(series.histogram_times[w.histogram_lo], series.histogram_times[last],
               static_cast<double>(w.histograms() - 1), first.count, difference->count, w);
    return {Absent(), rate.Finish(std::move(*difference), factor)};
  }

  Evaluation& evaluation_;
  const Call& call_;
  int64_t window_ms_;
  bool counter_;
  bool rate_;
  std::vector<uint32_t> resets_;  // samples that are lower than the one before
  size_t next_reset_ = 0;         // the first that may lie inside the window
};

bool HasCounterSuffix(std::string_view name) {
  constexpr std::array<std::string_view, 4> kSuffixes = {"_total", "_sum", "_count", "_bucket"};
  for (const std::string_view suffix : kSuffixes)
    if (name.ends_with(suffix)) return true;
  return false;
}

/// Says so once when what is taken for a counter is not named like one.
void HintAtNonCounters(Evaluation& evaluation, const Call& call, const Columns& columns) {
  std::string_view previous;
  for (size_t i = 0; i < columns.size(); ++i) {
    const std::string_view name = columns.heads[i].labels->Get(kMetricName);
    if (name.empty() || name == previous || HasCounterSuffix(name)) continue;
    bool floats = false;
    for (size_t t = 0; t < columns.steps && !floats; ++t) floats = !IsAbsent(columns.Row(i)[t]);
    if (!floats) continue;
    previous = name;
    evaluation.annotations().PossibleNonCounter(name, *call.arguments[0]);
  }
}

template <bool kCounter, bool kRate>
Result<Value> Extrapolated(Evaluation& evaluation, const Call& call, const TimeGrid& grid) {
  PICKET_ASSIGN(RangeSource source, RangeSource::Make(evaluation, *call.arguments[0], grid));
  const VectorSelector* selector = source.selector();
  const bool extended = selector != nullptr && (selector->anchored || selector->smoothed);
  auto run = [&]() -> Result<Columns> {
    if (extended) return ExtendedRate(evaluation, call, source, kCounter, kRate);
    ExtrapolatedKernel kernel(evaluation, call, source, kCounter, kRate);
    return RunKernel(evaluation, source, true, kernel);
  };
  PICKET_ASSIGN(Columns out, run());
  if (kCounter) HintAtNonCounters(evaluation, call, out);
  return Value::Vector(std::move(out));
}

/// irate and idelta: the last two samples.
class InstantKernel {
 public:
  InstantKernel(Evaluation& evaluation, const Call& call, bool rate)
      : evaluation_(evaluation), call_(call), rate_(rate) {}
  void Begin(const RangeSeries&) {}
  Cell At(const RangeSeries& series, const Window& w) {
    if (w.histograms() > 0) return Mixed(series, w);
    if (w.floats() < 2) return {};
    const size_t last = w.hi - 1;
    const double value = series.values[last];
    const double before = series.values[last - 1];
    const double gap = static_cast<double>(series.times[last] - series.times[last - 1]) / 1000;
    if (gap == 0) return {};
    // After a reset the counter has come from zero.
    if (!rate_) return {value - before, nullptr};
    return {(value < before ? value : value - before) / gap, nullptr};
  }

 private:
  /// The last two samples of both kinds in time order.
  Cell Mixed(const RangeSeries& series, const Window& w) {
    if (w.floats() + w.histograms() < 2) return {};
    const UnixMs last_float =
        w.floats() > 0 ? series.times[w.hi - 1] : std::numeric_limits<UnixMs>::min();
    const UnixMs last_histogram = series.histogram_times[w.histogram_hi - 1];
    const UnixMs earlier_float =
        w.floats() > 1 ? series.times[w.hi - 2] : std::numeric_limits<UnixMs>::min();
    const UnixMs earlier_histogram = w.histograms() > 1 ? series.histogram_times[w.histogram_hi - 2]
                                                        : std::numeric_limits<UnixMs>::min();
    if (last_float > last_histogram && earlier_float > last_histogram) {
      Window floats = w;
      floats.histogram_lo = floats.histogram_hi;
      return At(series, floats);
    }
    if (last_histogram < last_float || earlier_histogram < last_float) {
      evaluation_.annotations().MixedFloatsHistograms(MetricNameOf(evaluation_, series.head),
                                                      *call_.arguments[0]);
      return {};
    }
    const double gap = static_cast<double>(last_histogram - earlier_histogram) / 1000;
    HistogramRate rate{evaluation_, *call_.arguments[0], MetricNameOf(evaluation_, series.head),
                       rate_};
    return {Absent(), rate.Instant(*series.histograms[w.histogram_hi - 2],
                                   *series.histograms[w.histogram_hi - 1], gap)};
  }

  Evaluation& evaluation_;
  const Call& call_;
  bool rate_;
};

template <bool kRate>
Result<Value> Instant(Evaluation& evaluation, const Call& call, const TimeGrid& grid) {
  PICKET_ASSIGN(RangeSource source, RangeSource::Make(evaluation, *call.arguments[0], grid));
  InstantKernel kernel(evaluation, call, kRate);
  PICKET_ASSIGN(Columns out, RunKernel(evaluation, source, true, kernel));
  return Value::Vector(std::move(out));
}

/// Counts transitions between neighbours. Cost: O(1) a step from running counts.
class TransitionKernel {
 public:
  explicit TransitionKernel(bool resets) : resets_(resets) {}
  void Begin(const RangeSeries& series) {
    up_to_.assign(series.values.size(), 0);
    for (size_t i = 1; i < series.values.size(); ++i)
      up_to_[i] = up_to_[i - 1] + (Counts(series.values[i - 1], series.values[i]) ? 1 : 0);
  }
  Cell At(const RangeSeries& series, const Window& w) {
    if (w.histograms() == 0) return {static_cast<double>(up_to_[w.hi - 1] - up_to_[w.lo]), nullptr};
    return {CountMixedTransitions(series, w, resets_), nullptr};
  }

 private:
  bool Counts(double before, double now) const {
    if (resets_) return now < before;
    return now != before && !(std::isnan(now) && std::isnan(before));
  }
  bool resets_;
  std::vector<uint32_t> up_to_;
};

template <bool kResets>
Result<Value> Transitions(Evaluation& evaluation, const Call& call, const TimeGrid& grid) {
  PICKET_ASSIGN(RangeSource source, RangeSource::Make(evaluation, *call.arguments[0], grid));
  const VectorSelector* selector = source.selector();
  if (selector != nullptr && (selector->anchored || selector->smoothed)) {
    PICKET_ASSIGN(Columns out, ExtendedTransitions(evaluation, source, kResets));
    return Value::Vector(std::move(out));
  }
  TransitionKernel kernel(kResets);
  PICKET_ASSIGN(Columns out, RunKernel(evaluation, source, true, kernel));
  return Value::Vector(std::move(out));
}

struct Line {
  double slope;
  double intercept;
};

/// Least squares over the window, with times relative to `origin`.
Line Fit(const RangeSeries& series, const Window& w, UnixMs origin) {
  CompensatedSum x;
  CompensatedSum y;
  CompensatedSum xy;
  CompensatedSum xx;
  const double first = series.values[w.lo];
  bool constant = true;
  for (size_t i = w.lo; i < w.hi; ++i) {
    const double value = series.values[i];
    constant &= value == first;
    const double seconds = static_cast<double>(series.times[i] - origin) / 1000;
    x.Add(seconds);
    y.Add(value);
    xy.Add(seconds * value);
    xx.Add(seconds * seconds);
  }
  if (constant) return std::isinf(first) ? Line{kNan, kNan} : Line{0, first};
  const double n = static_cast<double>(w.floats());
  const double sum_x = x.sum + x.lost;
  const double sum_y = y.sum + y.lost;
  const double covariance = xy.sum + xy.lost - sum_x * sum_y / n;
  const double variance = xx.sum + xx.lost - sum_x * sum_x / n;
  const double slope = covariance / variance;
  return {slope, sum_y / n - slope * sum_x / n};
}

class LineKernel {
 public:
  LineKernel(Evaluation& evaluation, const Call& call, const std::vector<double>* ahead)
      : evaluation_(evaluation), call_(call), ahead_(ahead) {}
  void Begin(const RangeSeries&) {}
  Cell At(const RangeSeries& series, const Window& w) {
    if (w.floats() > 0 && w.histograms() > 0)
      evaluation_.annotations().HistogramIgnoredInMixedRange(MetricNameOf(evaluation_, series.head),
                                                             *call_.arguments[0]);
    if (w.floats() < 2) return {};
    if (ahead_ == nullptr) return {Fit(series, w, series.times[w.lo]).slope, nullptr};
    const Line line = Fit(series, w, w.eval_ms);
    return {line.slope * (*ahead_)[w.step] + line.intercept, nullptr};
  }

 private:
  Evaluation& evaluation_;
  const Call& call_;
  const std::vector<double>* ahead_;  // of predict_linear, seconds
};

Result<Value> Deriv(Evaluation& evaluation, const Call& call, const TimeGrid& grid) {
  PICKET_ASSIGN(RangeSource source, RangeSource::Make(evaluation, *call.arguments[0], grid));
  LineKernel kernel(evaluation, call, nullptr);
  PICKET_ASSIGN(Columns out, RunKernel(evaluation, source, true, kernel));
  return Value::Vector(std::move(out));
}

Result<Value> PredictLinear(Evaluation& evaluation, const Call& call, const TimeGrid& grid) {
  PICKET_ASSIGN(const std::vector<double> ahead,
                evaluation.EvaluateScalar(*call.arguments[1], grid));
  PICKET_ASSIGN(RangeSource source, RangeSource::Make(evaluation, *call.arguments[0], grid));
  LineKernel kernel(evaluation, call, &ahead);
  PICKET_ASSIGN(Columns out, RunKernel(evaluation, source, true, kernel));
  return Value::Vector(std::move(out));
}

constexpr auto kRows = std::to_array<FunctionRow>({
    {"rate", &Extrapolated<true, true>},
    {"increase", &Extrapolated<true, false>},
    {"delta", &Extrapolated<false, false>},
    {"irate", &Instant<true>},
    {"idelta", &Instant<false>},
    {"resets", &Transitions<true>},
    {"changes", &Transitions<false>},
    {"deriv", &Deriv},
    {"predict_linear", &PredictLinear},
});

}  // namespace

std::span<const FunctionRow> CounterFunctions() { return kRows; }

}  // namespace picket::rules::promql
