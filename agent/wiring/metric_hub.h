// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <mutex>
#include <shared_mutex>
#include <string>
#include <vector>

#include "core/model/metrics.h"
#include "store/tsdb/tsdb.h"

namespace picket::wiring {

/// The way of every sample: from collectors and rules into the store and to each destination.
/// Ids, limits and the balance of samples are the store's; a sink sees each series before its first
/// row. Threads: MetricIntake's; sinks may come and go at any time (a reload). Cost: a row is one
/// call into the store and one into each sink, under a shared lock taken once.
class MetricHub final : public MetricIntake {
 public:
  explicit MetricHub(store::tsdb::Tsdb& store) : store_(&store) {}

  /// From now on `sink` gets every row; first OnSeries for all live series. Ownership: the
  /// caller's, until RemoveSink.
  void AddSink(SampleSink* sink);
  /// After it returns no call is in the sink and none will come.
  void RemoveSink(SampleSink* sink);

  SourceId OpenSource(std::string name) override;
  void CloseSource(SourceId source) override;
  Result<SeriesId> Intern(SourceId source, const Labels& labels,
                          std::shared_ptr<const MetricMetadata> metadata) override;
  void Release(SourceId source, SeriesId series) override;
  void Append(const SampleRow& row) override;
  void AppendTimed(SourceId source, std::span<const TimedSample> samples) override;

 private:
  store::tsdb::Tsdb* store_;
  std::mutex series_mutex_;  // serialises OnSeries and OnSeriesGone; taken before sinks_mutex_
  std::shared_mutex sinks_mutex_;  // guards sinks_; shared while a row is on its way
  std::vector<SampleSink*> sinks_;
};

}  // namespace picket::wiring
