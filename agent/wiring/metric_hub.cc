// SPDX-License-Identifier: Apache-2.0
#include "agent/wiring/metric_hub.h"

#include <algorithm>

namespace picket::wiring {

void MetricHub::AddSink(SampleSink* sink) {
  std::lock_guard series_lock(series_mutex_);
  // Rows wait meanwhile: the sink's first row must find all its series known.
  std::unique_lock lock(sinks_mutex_);
  store_->ForEachLive([&](SeriesId id, const Labels& labels,
                          const std::shared_ptr<const MetricMetadata>& metadata) {
    sink->OnSeries(id, labels, metadata);
  });
  sinks_.push_back(sink);
}

void MetricHub::RemoveSink(SampleSink* sink) {
  std::lock_guard series_lock(series_mutex_);
  std::unique_lock lock(sinks_mutex_);
  std::erase(sinks_, sink);
}

SourceId MetricHub::OpenSource(std::string name) { return store_->OpenSource(std::move(name)); }

void MetricHub::CloseSource(SourceId source) {
  std::lock_guard series_lock(series_mutex_);
  const std::vector<SeriesId> gone = store_->CloseSourceSeries(source);
  std::shared_lock lock(sinks_mutex_);
  for (SampleSink* sink : sinks_) {
    for (SeriesId id : gone) sink->OnSeriesGone(id);
    sink->OnSourceGone(source);
  }
}

Result<SeriesId> MetricHub::Intern(SourceId source, const Labels& labels,
                                   std::shared_ptr<const MetricMetadata> metadata) {
  std::lock_guard series_lock(series_mutex_);
  PICKET_ASSIGN(const auto interned, store_->InternSeries(source, labels, metadata));
  if (interned.became_live) {
    std::shared_lock lock(sinks_mutex_);
    for (SampleSink* sink : sinks_) sink->OnSeries(interned.id, labels, metadata);
  }
  return interned.id;
}

void MetricHub::Release(SourceId source, SeriesId series) {
  std::lock_guard series_lock(series_mutex_);
  if (!store_->ReleaseSeries(source, series)) return;
  std::shared_lock lock(sinks_mutex_);
  for (SampleSink* sink : sinks_) sink->OnSeriesGone(series);
}

void MetricHub::Append(const SampleRow& row) {
  std::shared_lock lock(sinks_mutex_);
  store_->Append(row);
  // A late row of a closed source was counted there; the destinations have forgotten its series.
  if (!store_->IsOpen(row.source)) return;
  for (SampleSink* sink : sinks_) sink->OnRow(row);
}

void MetricHub::AppendTimed(SourceId source, std::span<const TimedSample> samples) {
  std::shared_lock lock(sinks_mutex_);
  store_->AppendTimed(source, samples);
  if (!store_->IsOpen(source)) return;
  for (SampleSink* sink : sinks_) sink->OnTimed(source, samples);
}

}  // namespace picket::wiring
