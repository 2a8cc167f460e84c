// SPDX-License-Identifier: Apache-2.0
#include "rules/promql/memory_store.h"

#include <algorithm>
#include <bit>

#include "rules/promql/eval/histogram_math.h"

namespace picket::rules::promql {
namespace {

class MemorySet final : public SeriesSet {
 public:
  std::span<const SeriesColumns> series() const override { return series_; }
  std::vector<SeriesColumns> series_;
  std::deque<Labels> labels_;
};

bool MatchesAll(std::span<const Matcher> matchers, const Labels& labels) {
  return std::all_of(matchers.begin(), matchers.end(),
                     [&](const Matcher& m) { return m.Matches(labels.Get(m.name())); });
}

/// What a read says of a sample's counter resets: nothing for the first of a run of samples, that
/// there was none for the others. A reset or another layout begins a new run.
HistogramValue::ResetHint HintOnRead(const HistogramValue* previous,
                                     const HistogramValue& current) {
  using Hint = HistogramValue::ResetHint;
  if (current.hint == Hint::kGauge) return Hint::kGauge;
  if (previous == nullptr || previous->hint == Hint::kGauge || current.hint == Hint::kReset)
    return Hint::kUnknown;
  HistogramValue now = current;
  now.hint = Hint::kUnknown;
  const bool same_layout = previous->schema == now.schema &&
                           previous->zero_threshold == now.zero_threshold &&
                           previous->custom_values == now.custom_values;
  return !same_layout || DetectReset(*previous, now) ? Hint::kUnknown : Hint::kNotReset;
}

}  // namespace

size_t MemoryStore::Append(const Labels& labels, std::vector<Sample> samples) {
  Series& series = series_[labels];
  size_t refused = 0;
  for (Sample& sample : samples) {
    if (!series.times.empty() && sample.time_ms <= series.times.back()) {
      if (!IsLast(series, sample)) ++refused;
      continue;
    }
    if (sample.histogram) {
      auto stored = std::make_shared<HistogramValue>(*sample.histogram);
      const HistogramValue* previous =
          series.histograms.empty() ? nullptr : series.histograms.back().get();
      stored->hint = HintOnRead(previous, *stored);
      sample.histogram = std::move(stored);
      series.any_histogram = true;
    }
    series.times.push_back(sample.time_ms);
    series.values.push_back(sample.value);
    series.pointers.push_back(sample.histogram.get());
    series.histograms.push_back(std::move(sample.histogram));
  }
  return refused;
}

bool MemoryStore::IsLast(const Series& series, const Sample& sample) {
  if (sample.time_ms != series.times.back()) return false;
  const HistogramValue* last = series.pointers.back();
  if (last != nullptr || sample.histogram)
    return last != nullptr && sample.histogram && SameHistogram(*last, *sample.histogram);
  return std::bit_cast<uint64_t>(sample.value) == std::bit_cast<uint64_t>(series.values.back());
}

Result<std::unique_ptr<SeriesSet>> MemoryStore::Select(std::span<const Matcher> matchers,
                                                       UnixMs min_ms, UnixMs max_ms) const {
  ++selects_;
  auto set = std::make_unique<MemorySet>();
  for (const auto& [labels, series] : series_) {
    if (!MatchesAll(matchers, labels)) continue;
    const auto begin =
        std::lower_bound(series.times.begin(), series.times.end(), min_ms) - series.times.begin();
    const auto end =
        std::upper_bound(series.times.begin(), series.times.end(), max_ms) - series.times.begin();
    if (begin >= end) continue;
    const auto from = static_cast<size_t>(begin);
    const auto count = static_cast<size_t>(end - begin);
    SeriesColumns columns;
    columns.labels = &set->labels_.emplace_back(labels);
    columns.times_ms = std::span(series.times).subspan(from, count);
    columns.values = std::span(series.values).subspan(from, count);
    if (series.any_histogram) columns.histograms = std::span(series.pointers).subspan(from, count);
    set->series_.push_back(columns);
  }
  return set;
}

std::vector<Labels> MemoryStore::SelectLabels(std::span<const Matcher> matchers, UnixMs,
                                              UnixMs) const {
  std::vector<Labels> out;
  for (const auto& [labels, series] : series_)
    if (MatchesAll(matchers, labels)) out.push_back(labels);
  return out;
}

}  // namespace picket::rules::promql
