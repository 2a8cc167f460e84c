// SPDX-License-Identifier: Apache-2.0
#include "rules/promql/eval/histogram_rate.h"

#include <algorithm>
#include <cmath>

#include "rules/promql/eval/histogram_math.h"

namespace picket::rules::promql {

using Hint = HistogramValue::ResetHint;

namespace {

/// Says what bringing two histograms together took; false when they do not go together.
bool Report(Evaluation& evaluation, const CombineReport& report, std::string_view operation,
            std::string_view metric, const Node& at) {
  if (!report.compatible) {
    evaluation.annotations().MixedExponentialCustom(metric, at);
    return false;
  }
  if (report.bounds_reconciled) evaluation.annotations().MismatchedCustomBuckets(operation, at);
  return true;
}

}  // namespace

std::optional<HistogramValue> HistogramRate::Difference(
    std::span<const HistogramValue* const> samples) {
  const auto is_gauge = [](const HistogramValue* h) { return h->hint == Hint::kGauge; };
  if (counter && std::any_of(samples.begin(), samples.end(), is_gauge))
    evaluation.annotations().NativeNotCounter(metric, argument);
  if (!counter && !(is_gauge(samples.front()) && is_gauge(samples.back())))
    evaluation.annotations().NativeNotGauge(metric, argument);
  // What was before a reset at the very start cancels out, so it need not go together with the
  // rest.
  const bool skip_first = counter && DetectReset(*samples[0], *samples[1]);
  if (skip_first) samples = samples.subspan(1);
  const bool custom = samples.front()->custom();
  if (std::any_of(samples.begin(), samples.end(),
                  [&](const HistogramValue* h) { return h->custom() != custom; })) {
    evaluation.annotations().MixedExponentialCustom(metric, argument);
    return std::nullopt;
  }
  HistogramValue out = *samples.back();
  for (const HistogramValue* h : samples)
    if (!custom) ReduceResolution(out, h->schema);
  out.hint = Hint::kGauge;  // what resets have to do with it is settled here
  if (!skip_first &&
      !Report(evaluation, Combine(out, *samples.front(), -1), "subtraction", metric, argument))
    return std::nullopt;
  for (size_t i = 1; counter && i < samples.size(); ++i)
    if (DetectReset(*samples[i - 1], *samples[i]) &&
        !Report(evaluation, Combine(out, *samples[i - 1], 1), "addition", metric, argument))
      return std::nullopt;
  out.hint = Hint::kGauge;
  return out;
}

const HistogramValue* HistogramRate::Finish(HistogramValue difference, double factor) {
  Scale(difference, factor);
  Compact(difference);
  return evaluation.KeepHistogram(std::move(difference));
}

const HistogramValue* HistogramRate::Instant(const HistogramValue& before,
                                             const HistogramValue& last, double gap) {
  const bool gauges = before.hint == Hint::kGauge && last.hint == Hint::kGauge;
  const bool any_gauge = before.hint == Hint::kGauge || last.hint == Hint::kGauge;
  if (counter && any_gauge) evaluation.annotations().NativeNotCounter(metric, argument);
  if (!counter && !gauges) evaluation.annotations().NativeNotGauge(metric, argument);
  HistogramValue out = last;
  if (!counter || !DetectReset(before, last)) {
    out.hint = Hint::kGauge;
    if (!Report(evaluation, Combine(out, before, -1), "subtraction", metric, argument))
      return nullptr;
  }
  if (counter) DivideBy(out, gap);
  out.hint = Hint::kGauge;
  Compact(out);
  return evaluation.KeepHistogram(std::move(out));
}

double CountMixedTransitions(const RangeSeries& series, const Window& w, bool resets) {
  size_t f = w.lo;
  size_t h = w.histogram_lo;
  const HistogramValue* last_histogram = nullptr;
  const double* last_float = nullptr;
  double count = 0;
  while (f < w.hi || h < w.histogram_hi) {
    const bool take_float =
        h >= w.histogram_hi || (f < w.hi && series.times[f] < series.histogram_times[h]);
    if (take_float) {
      const double v = series.values[f];
      if (last_histogram != nullptr) count += 1;
      if (last_float != nullptr)
        count += resets ? (v < *last_float ? 1 : 0)
                        : (v != *last_float && !(std::isnan(v) && std::isnan(*last_float)) ? 1 : 0);
      last_float = &series.values[f++];
      last_histogram = nullptr;
      continue;
    }
    const HistogramValue& v = *series.histograms[h];
    if (last_float != nullptr) count += 1;
    if (last_histogram != nullptr)
      count +=
          (resets ? DetectReset(*last_histogram, v) : !SameHistogram(*last_histogram, v)) ? 1 : 0;
    last_histogram = series.histograms[h++];
    last_float = nullptr;
  }
  return count;
}

namespace {

bool IsFinite(const HistogramValue& h) {
  const auto finite = [](double v) { return std::isfinite(v); };
  return finite(h.count) && finite(h.zero_count) &&
         std::all_of(h.positive_buckets.begin(), h.positive_buckets.end(), finite) &&
         std::all_of(h.negative_buckets.begin(), h.negative_buckets.end(), finite);
}

/// Their sum, each scaled first; nothing when they do not go together.
std::optional<HistogramValue> ScaledSum(Evaluation& evaluation, const Node& argument,
                                        std::string_view metric,
                                        std::span<const HistogramValue* const> samples,
                                        double divisor) {
  const auto scaled = [&](const HistogramValue& h) {
    HistogramValue out = h;
    if (divisor != 1) DivideBy(out, divisor);
    return out;
  };
  HistogramSum total(scaled(*samples.front()));
  for (const HistogramValue* h : samples.subspan(1))
    if (!Report(evaluation, total.Add(scaled(*h)), "aggregation", metric, argument))
      return std::nullopt;
  return total.Result();
}

}  // namespace

const HistogramValue* TotalOfHistograms(Evaluation& evaluation, const Node& argument,
                                        std::string_view metric,
                                        std::span<const HistogramValue* const> samples,
                                        bool average) {
  const auto any = [&](Hint hint) {
    return std::any_of(samples.begin(), samples.end(),
                       [&](const HistogramValue* h) { return h->hint == hint; });
  };
  if (any(Hint::kReset) && any(Hint::kNotReset))
    evaluation.annotations().ConflictingCounterResets("aggregation", argument);
  const auto count = static_cast<double>(samples.size());
  auto total = ScaledSum(evaluation, argument, metric, samples, 1);
  if (!total) return nullptr;
  if (average && IsFinite(*total)) {
    DivideBy(*total, count);
  } else if (average) {
    // The sum overflowed, the mean need not.
    total = ScaledSum(evaluation, argument, metric, samples, count);
  }
  Compact(*total);
  return evaluation.KeepHistogram(std::move(*total));
}

}  // namespace picket::rules::promql
