// SPDX-License-Identifier: Apache-2.0
#include "rules/alerting/unit_test/store.h"

namespace picket::rules::alerting::unit_test {

void Store::AddInput(promql::SeriesLine line, UnixMs start, Milliseconds interval) {
  Input input;
  for (size_t i = 0; i < line.values.size(); ++i) {
    promql::SlotValue& slot = line.values[i];
    if (slot.omitted()) continue;
    input.samples.push_back({start + static_cast<int64_t>(i) * interval.count(),
                             slot.value.value_or(0), std::move(slot.histogram)});
  }
  input_[line.labels] = std::move(input);
}

void Store::ShowUntil(UnixMs t) {
  for (auto& [labels, input] : input_)
    while (input.shown < input.samples.size() && input.samples[input.shown].time_ms <= t)
      Put(labels, std::move(input.samples[input.shown++]));
}

Result<SeriesId> Store::Intern(SourceId, const Labels& labels,
                               std::shared_ptr<const MetricMetadata>) {
  const auto [it, fresh] = ids_.try_emplace(labels, static_cast<SeriesId>(labels_.size()));
  if (fresh) labels_.push_back(labels);
  return it->second;
}

void Store::Append(const SampleRow& row) {
  for (size_t i = 0; i < row.series.size(); ++i)
    Put(labels_[row.series[i]], {row.timestamp_ms, row.values[i], nullptr});
}

void Store::AppendTimed(SourceId, std::span<const TimedSample> samples) {
  for (const TimedSample& s : samples) Put(labels_[s.series], {s.timestamp_ms, s.value, nullptr});
}

void Store::Put(const Labels& labels, promql::MemoryStore::Sample sample) {
  // The end of a series that somebody else goes on with is no conflict.
  const bool end = !sample.histogram && IsStaleNan(sample.value);
  if (samples_.Append(labels, {std::move(sample)}) > 0 && !end)
    conflicts_.push_back(labels.ToString());
}

}  // namespace picket::rules::alerting::unit_test
