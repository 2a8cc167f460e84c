// SPDX-License-Identifier: Apache-2.0
// Samples between the rooms: how collectors and rules hand them in, how the store and the
// destinations take them.
#pragma once
#include <bit>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/model/labels.h"

namespace picket {

/// Dense number of a series in this process: an index into arrays. Reused after its series has left
/// the store.
using SeriesId = uint32_t;
inline constexpr SeriesId kNoSeries = UINT32_MAX;
/// Dense number of a source (a scrape target, a rule group, the host): series that get their
/// samples in rows.
using SourceId = uint32_t;

/// The value that ends a series. Source: Prometheus model/value.
inline constexpr uint64_t kStaleNanBits = 0x7ff0000000000002ULL;
inline double StaleNan() { return std::bit_cast<double>(kStaleNanBits); }
inline bool IsStaleNan(double v) { return std::bit_cast<uint64_t>(v) == kStaleNanBits; }

enum class MetricType : uint8_t {
  kUnknown,
  kCounter,
  kGauge,
  kHistogram,
  kGaugeHistogram,
  kSummary,
  kInfo,
  kStateset
};
std::string_view MetricTypeName(MetricType type);  // "counter", "gauge", ...

/// What TYPE, HELP and UNIT said of a metric family. Shared by its series.
struct MetricMetadata {
  MetricType type = MetricType::kUnknown;
  std::string family;
  std::string help;
  std::string unit;
};

/// All samples of one source at one instant.
/// Shape: `series` and `values` have equal length; ids are unique in a row; a series that ends has
/// the value StaleNan().
///        `layout` is equal between two rows of a source exactly when their `series` are equal,
///        element by element, so that consumers keep per-layout plans (label bytes, column slots)
///        and do no per-sample lookup. It is never 0.
/// Ownership: borrowed for the call.
struct SampleRow {
  SourceId source = 0;
  uint64_t layout = 0;
  UnixMs timestamp_ms = 0;
  std::span<const SeriesId> series;
  std::span<const double> values;
};

/// A sample with a time of its own (exposition timestamps, backfill). Shape: ascending in time per
/// series.
struct TimedSample {
  SeriesId series;
  UnixMs timestamp_ms;
  double value;
};

/// The way in for samples: what collectors and rules see. Implemented by agent/wiring over the
/// store and destinations. Threads: different sources from different threads at once; one source
/// from one thread at a time.
class MetricIntake {
 public:
  virtual ~MetricIntake() = default;
  /// `name` is shown to people: "scrape shop 10.0.0.1:8080". Sources are few; open them once.
  virtual SourceId OpenSource(std::string name) = 0;
  /// Ends the source. Series it still holds are released; write staleness markers with a last row
  /// before, if wanted.
  virtual void CloseSource(SourceId source) = 0;
  /// The id for these final labels (after relabelling, with __name__), held by this source until
  /// Release. Cold path. Errors: kOverloaded when new series are refused for want of memory; known
  /// series go on.
  virtual Result<SeriesId> Intern(SourceId source, const Labels& labels,
                                  std::shared_ptr<const MetricMetadata> metadata) = 0;
  /// The source will send no more of this series. Call after its staleness marker.
  virtual void Release(SourceId source, SeriesId series) = 0;
  /// Hot path: one call a scrape. Cost: no lock, allocation, hash or label work per sample in
  /// steady state.
  virtual void Append(const SampleRow& row) = 0;
  virtual void AppendTimed(SourceId source, std::span<const TimedSample> samples) = 0;
};

/// A taker of samples behind the intake: the store, each remote-write destination.
/// Threads: OnRow for different sources may come at once; OnSeries and OnSeriesGone are serialised.
class SampleSink {
 public:
  virtual ~SampleSink() = default;
  /// `id` means these labels from now on. Comes before the first row that uses it.
  virtual void OnSeries(SeriesId id, const Labels& labels,
                        const std::shared_ptr<const MetricMetadata>& metadata) = 0;
  /// `id` will not come again until the next OnSeries.
  virtual void OnSeriesGone(SeriesId id) = 0;
  virtual void OnSourceGone(SourceId source) = 0;
  virtual void OnRow(const SampleRow& row) = 0;
  virtual void OnTimed(SourceId source, std::span<const TimedSample> samples) = 0;
};

}  // namespace picket
