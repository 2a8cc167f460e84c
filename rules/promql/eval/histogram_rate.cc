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
  if (!Report(evaluation, Combine(out, *samples.front(), -1), "subtraction", metric, argument))
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

const HistogramValue* TotalOverTime(Evaluation& evaluation, const Node& argument,
                                    std::string_view metric,
                                    std::span<const HistogramValue* const> samples, bool average) {
  HistogramValue total = *samples.front();
  bool resets = total.hint == Hint::kReset;
  bool not_resets = total.hint == Hint::kNotReset;
  for (size_t i = 1; i < samples.size(); ++i) {
    resets |= samples[i]->hint == Hint::kReset;
    not_resets |= samples[i]->hint == Hint::kNotReset;
    if (!Report(evaluation, Combine(total, *samples[i], 1), "aggregation", metric, argument))
      return nullptr;
  }
  if (resets && not_resets)
    evaluation.annotations().ConflictingCounterResets("aggregation", argument);
  if (average) DivideBy(total, static_cast<double>(samples.size()));
  Compact(total);
  return evaluation.KeepHistogram(std::move(total));
}

}  // namespace picket::rules::promql
