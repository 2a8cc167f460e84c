// SPDX-License-Identifier: Apache-2.0
// Calls, errors and durations of spans as series that rules and canaries read.
#pragma once
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "collectors/otlp/config.h"
#include "core/base/clock.h"
#include "core/base/telemetry.h"
#include "core/model/metrics.h"
#include "core/model/traces.h"
#include "core/proto/otlp_traces.h"

namespace picket::collectors::otlp {

/// Counts every span under (service, span_name, span_kind, status_code, dimensions) and hands the
/// counts to the intake as one row an interval, under Tempo's names:
///   traces_spanmetrics_calls_total, traces_spanmetrics_size_total (bytes),
///   traces_spanmetrics_latency_{bucket,sum,count} (seconds)
/// A new series begins with a zero at the instant of the row before, so that rate() sees its first
/// spans. Source: Grafana Tempo documentation, metrics-generator, span metrics. Threads: OnSpans
/// from any; Flush from one at a time. Cost: about 100 ns a span of a known key; one lock a
/// request; no allocation.
class SpanMetrics final : public SpanSink {
 public:
  SpanMetrics(SpanMetricsConfig config, MetricIntake& intake, const Clock& clock,
              Telemetry& telemetry);
  ~SpanMetrics() override;

  /// Always accepts.
  Admission OnSpans(const SpanSlab& slab) override;
  /// Sends the row of this instant; ends series without spans for stale_after.
  void Flush();

  size_t active_series() const;

 private:
  /// Tells series apart. Ownership: views; into the body while counting, into Entry::text when
  /// kept.
  struct Key {
    std::string_view service;
    std::string_view name;
    uint32_t kind = 0;
    uint32_t status = 0;
    std::span<const std::string_view> dimensions;
  };
  struct Entry {
    uint64_t hash = 0;
    std::vector<std::string> text;  ///< service, name, dimensions
    uint32_t kind = 0;
    uint32_t status = 0;
    bool overflow = false;
    bool interned = false;
    UnixMs last_seen = 0;
    uint64_t calls = 0;
    uint64_t size = 0;
    double seconds = 0;
    std::vector<uint64_t> buckets;  ///< not cumulative; one more for +Inf
    std::vector<SeriesId> ids;      ///< calls, size, sum, count, buckets
  };
  void CountSpan(std::string_view bytes, UnixMs now);
  Entry& EntryOf(const Key& key, uint64_t hash);
  static bool Same(const Entry& entry, const Key& key);
  Entry& Create(const Key& key, uint64_t hash);
  void Insert(uint32_t index);
  void Rehash(size_t slots);

  std::vector<Entry*> InternNew();
  bool InternEntry(Entry& entry);
  Labels LabelsOf(const Entry& entry, std::string_view metric, std::string_view le = {}) const;
  void SendZeros(const std::vector<Entry*>& fresh, UnixMs now);
  void FillRow(UnixMs now, std::vector<std::unique_ptr<Entry>>& departed);
  void AppendValues(const Entry& entry);
  void Release(const Entry& entry);

  const SpanMetricsConfig config_;
  MetricIntake& intake_;
  const Clock& clock_;
  const size_t series_per_entry_;
  std::vector<std::string> dimension_labels_;
  std::vector<uint64_t> bounds_ns_;
  std::shared_ptr<Counter> overflowed_;
  std::shared_ptr<Counter> refused_;
  std::shared_ptr<void> active_;
  std::shared_ptr<const MetricMetadata> calls_meta_, size_meta_, latency_meta_;
  const SourceId source_;

  mutable std::mutex mutex_;                     // guards what follows
  std::vector<std::unique_ptr<Entry>> entries_;  // dense; removed by Flush only
  std::vector<uint32_t> slots_;                  // open addressing: index + 1, 0 is free
  Entry* overflow_ = nullptr;                    // in entries_ too
  proto::AttributePicker resource_picker_, span_picker_;
  std::string_view service_;
  uint64_t service_hash_ = 0;
  std::vector<std::string_view> dimensions_;  // of the span at hand
  std::vector<std::string> repaired_;         // texts that were no UTF-8: service, name, dimensions

  // Flush only.
  UnixMs previous_ms_;
  uint64_t next_layout_ = 1;
  uint64_t layout_ = 0;  // 0: the row's series are to be listed anew
  std::vector<SeriesId> row_series_;
  std::vector<double> row_values_;
};

}  // namespace picket::collectors::otlp
