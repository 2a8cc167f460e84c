// SPDX-License-Identifier: Apache-2.0
// The ..._over_time functions.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <limits>

#include "rules/promql/eval/functions.h"
#include "rules/promql/eval/histogram_rate.h"
#include "rules/promql/eval/range_kernel.h"
#include "rules/promql/eval/sums.h"

namespace picket::rules::promql {

double Quantile(double q, std::span<double> values) {
  if (values.empty() || std::isnan(q)) return std::numeric_limits<double>::quiet_NaN();
  if (q < 0) return -std::numeric_limits<double>::infinity();
  if (q > 1) return std::numeric_limits<double>::infinity();
  std::sort(values.begin(), values.end(),
            [](double a, double b) { return std::isnan(a) ? !std::isnan(b) : a < b; });
  const double last = static_cast<double>(values.size() - 1);
  const double rank = q * last;
  const double lower = std::floor(rank);
  const double upper = std::min(last, lower + 1);
  const double weight = rank - lower;
  return values[static_cast<size_t>(lower)] * (1 - weight) +
         values[static_cast<size_t>(upper)] * weight;
}

namespace {

struct Context {
  Evaluation& evaluation;
  const Call& call;
  const Node& argument;
  std::string_view Name(const RangeSeries& series) const {
    return MetricNameOf(evaluation, series.head);
  }
  void Ignored(const RangeSeries& series, const Window& w) const {
    if (w.floats() > 0 && w.histograms() > 0)
      evaluation.annotations().HistogramIgnoredInMixedRange(Name(series), argument);
  }
};

std::span<const double> Floats(const RangeSeries& series, const Window& w) {
  return series.values.subspan(w.lo, w.floats());
}

/// A function of the window's floats alone; histograms beside them are ignored with an info.
template <double (*F)(std::span<const double>)>
struct FloatKernel {
  Context context;
  void Begin(const RangeSeries&) {}
  Cell At(const RangeSeries& series, const Window& w) {
    context.Ignored(series, w);
    return w.floats() == 0 ? Cell() : Cell{F(Floats(series, w)), nullptr};
  }
};

/// The smallest or largest value (or its time) by a deque of candidates. Cost: amortised O(1) a
/// step. NaN only when there is nothing else.
template <bool kMax, bool kTime>
struct ExtremeKernel {
  Context context;
  std::deque<uint32_t> candidates{};  // each better than all after it
  size_t next = 0;

  void Begin(const RangeSeries&) {
    candidates.clear();
    next = 0;
  }
  static bool Beats(double a, double b) { return kMax ? a > b : a < b; }
  Cell At(const RangeSeries& series, const Window& w) {
    context.Ignored(series, w);
    for (; next < w.hi; ++next) {
      const double v = series.values[next];
      if (std::isnan(v)) continue;
      while (!candidates.empty() && (kTime ? !Beats(series.values[candidates.back()], v)
                                           : Beats(v, series.values[candidates.back()])))
        candidates.pop_back();
      candidates.push_back(static_cast<uint32_t>(next));
    }
    while (!candidates.empty() && candidates.front() < w.lo) candidates.pop_front();
    if (w.floats() == 0) return {};
    if (candidates.empty())
      return {kTime ? static_cast<double>(series.times[w.hi - 1]) / 1000 : series.values[w.lo],
              nullptr};
    const size_t best = candidates.front();
    return {kTime ? static_cast<double>(series.times[best]) / 1000 : series.values[best], nullptr};
  }
};

double StdVar(std::span<const double> values) {
  CompensatedVariance variance;
  for (const double v : values) variance.Add(v);
  return variance.Result();
}
double StdDev(std::span<const double> values) { return std::sqrt(StdVar(values)); }

/// Median of the distances from the median.
double Mad(std::span<const double> values) {
  std::vector<double> copy(values.begin(), values.end());
  for (const double v : copy)
    if (std::isnan(v)) return v;
  const double median = Quantile(0.5, copy);
  for (double& v : copy) v = std::fabs(v - median);
  return Quantile(0.5, copy);
}

double Sum(std::span<const double> values) {
  CompensatedSum sum;
  for (const double v : values) sum.Add(v);
  return sum.Result();
}
double Average(std::span<const double> values) {
  CompensatedMean mean;
  for (const double v : values) mean.Add(v);
  return mean.Result();
}

/// sum and avg, which histograms have too.
template <bool kAverage>
struct TotalKernel {
  Context context;
  void Begin(const RangeSeries&) {}
  Cell At(const RangeSeries& series, const Window& w) {
    if (w.histograms() == 0) {
      const auto values = Floats(series, w);
      return {kAverage ? Average(values) : Sum(values), nullptr};
    }
    if (w.floats() > 0) {
      context.evaluation.annotations().MixedFloatsHistograms(context.Name(series),
                                                             context.argument);
      return {};
    }
    return {Absent(),
            TotalOfHistograms(context.evaluation, context.argument, context.Name(series),
                              series.histograms.subspan(w.histogram_lo, w.histograms()), kAverage)};
  }
};

struct CountKernel {
  Context context;
  void Begin(const RangeSeries&) {}
  Cell At(const RangeSeries&, const Window& w) {
    return {static_cast<double>(w.floats() + w.histograms()), nullptr};
  }
};

struct PresentKernel {
  Context context;
  void Begin(const RangeSeries&) {}
  Cell At(const RangeSeries&, const Window&) { return {1, nullptr}; }
};

/// The first or last sample of either kind, or its time.
template <bool kLast, bool kTime>
struct EdgeKernel {
  Context context;
  void Begin(const RangeSeries&) {}
  Cell At(const RangeSeries& series, const Window& w) {
    const size_t f = kLast ? w.hi - 1 : w.lo;
    const size_t h = kLast ? w.histogram_hi - 1 : w.histogram_lo;
    bool histogram = w.floats() == 0;
    if (!histogram && w.histograms() > 0)
      histogram = (series.histogram_times[h] > series.times[f]) == kLast;
    if (kTime)
      return {static_cast<double>(histogram ? series.histogram_times[h] : series.times[f]) / 1000,
              nullptr};
    if (histogram) return {Absent(), series.histograms[h]};
    return {series.values[f], nullptr};
  }
};

struct QuantileKernel {
  Context context;
  const std::vector<double>& q;
  std::vector<double> scratch{};
  void Begin(const RangeSeries&) {}
  Cell At(const RangeSeries& series, const Window& w) {
    context.Ignored(series, w);
    if (w.floats() == 0) return {};
    const auto values = Floats(series, w);
    scratch.assign(values.begin(), values.end());
    return {Quantile(q[w.step], scratch), nullptr};
  }
};

/// Holt's linear method. `smoothing` weighs the level, `trend` the slope; both between 0 and 1.
struct SmoothingKernel {
  Context context;
  const std::vector<double>& smoothing;
  const std::vector<double>& trend;
  void Begin(const RangeSeries&) {}
  Cell At(const RangeSeries& series, const Window& w) {
    context.Ignored(series, w);
    if (w.floats() < 2) return {};
    const double sf = smoothing[w.step];
    const double tf = trend[w.step];
    const auto values = Floats(series, w);
    double level = values[0];
    double slope = values[1] - values[0];
    double before = 0;
    for (size_t i = 1; i < values.size(); ++i) {
      // The first round keeps the initial slope.
      if (i > 1) slope = tf * (level - before) + (1 - tf) * slope;
      before = level;
      level = sf * values[i] + (1 - sf) * (level + slope);
    }
    return {level, nullptr};
  }
};

template <class Kernel, bool kDropName = true>
Result<Value> Run(Evaluation& evaluation, const Call& call, const TimeGrid& grid) {
  PICKET_ASSIGN(RangeSource source, RangeSource::Make(evaluation, *call.arguments[0], grid));
  Kernel kernel{{evaluation, call, *call.arguments[0]}};
  PICKET_ASSIGN(Columns out, RunKernel(evaluation, source, kDropName, kernel));
  return Value::Vector(std::move(out));
}

Result<Value> QuantileOverTime(Evaluation& evaluation, const Call& call, const TimeGrid& grid) {
  PICKET_ASSIGN(const std::vector<double> q, evaluation.EvaluateScalar(*call.arguments[0], grid));
  PICKET_ASSIGN(RangeSource source, RangeSource::Make(evaluation, *call.arguments[1], grid));
  QuantileKernel kernel{{evaluation, call, *call.arguments[1]}, q, {}};
  PICKET_ASSIGN(Columns out, RunKernel(evaluation, source, true, kernel));
  if (out.size() > 0)
    for (const double v : q)
      if (!(v >= 0 && v <= 1)) evaluation.annotations().InvalidQuantile(v, *call.arguments[0]);
  return Value::Vector(std::move(out));
}

Result<Value> DoubleExponentialSmoothing(Evaluation& evaluation, const Call& call,
                                         const TimeGrid& grid) {
  PICKET_ASSIGN(const std::vector<double> smoothing,
                evaluation.EvaluateScalar(*call.arguments[1], grid));
  PICKET_ASSIGN(const std::vector<double> trend,
                evaluation.EvaluateScalar(*call.arguments[2], grid));
  for (const double v : smoothing)
    if (v <= 0 || v >= 1)
      return Fail(ErrorKind::kInvalidArgument,
                  fmt::format("invalid smoothing factor. Expected: 0 < sf < 1, got: {}", v));
  for (const double v : trend)
    if (v <= 0 || v >= 1)
      return Fail(ErrorKind::kInvalidArgument,
                  fmt::format("invalid trend factor. Expected: 0 < tf < 1, got: {}", v));
  PICKET_ASSIGN(RangeSource source, RangeSource::Make(evaluation, *call.arguments[0], grid));
  SmoothingKernel kernel{{evaluation, call, *call.arguments[0]}, smoothing, trend};
  PICKET_ASSIGN(Columns out, RunKernel(evaluation, source, true, kernel));
  return Value::Vector(std::move(out));
}

constexpr auto kRows = std::to_array<FunctionRow>({
    {"sum_over_time", &Run<TotalKernel<false>>},
    {"avg_over_time", &Run<TotalKernel<true>>},
    {"min_over_time", &Run<ExtremeKernel<false, false>>},
    {"max_over_time", &Run<ExtremeKernel<true, false>>},
    {"count_over_time", &Run<CountKernel>},
    {"present_over_time", &Run<PresentKernel>},
    {"last_over_time", &Run<EdgeKernel<true, false>, false>},
    {"first_over_time", &Run<EdgeKernel<false, false>, false>},
    {"stddev_over_time", &Run<FloatKernel<StdDev>>},
    {"stdvar_over_time", &Run<FloatKernel<StdVar>>},
    {"mad_over_time", &Run<FloatKernel<Mad>>},
    {"ts_of_first_over_time", &Run<EdgeKernel<false, true>>},
    {"ts_of_last_over_time", &Run<EdgeKernel<true, true>>},
    {"ts_of_min_over_time", &Run<ExtremeKernel<false, true>>},
    {"ts_of_max_over_time", &Run<ExtremeKernel<true, true>>},
    {"quantile_over_time", &QuantileOverTime},
    {"double_exponential_smoothing", &DoubleExponentialSmoothing},
});

}  // namespace

std::span<const FunctionRow> OverTimeFunctions() { return kRows; }

}  // namespace picket::rules::promql
