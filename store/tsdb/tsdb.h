// SPDX-License-Identifier: Apache-2.0
// The node's memory of samples: columns per source in memory-mapped files. Source: FORMAT.md.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/base/telemetry.h"
#include "core/base/units.h"
#include "core/model/delivery.h"
#include "core/model/metrics.h"
#include "core/model/query.h"
#include "store/tsdb/config.h"
#include "store/tsdb/instant.h"

namespace picket::store::tsdb {

struct TsdbOptions {
  std::string data_dir;  ///< the files live here; empty keeps everything in memory
  TsdbConfig config;
  const Clock* clock = &SystemClock::Get();
  std::shared_ptr<Balance> balance;  ///< samples in, kept and dropped; made if there is none
  Telemetry* telemetry = nullptr;
  /// Asked before a new series is taken; false refuses it (kOverloaded). Known series are never
  /// asked about.
  std::function<bool()> admit_series;
  /// The seam to posix_fallocate: makes bytes [offset, offset + length) of a file real. Returns an
  /// errno or 0.
  std::function<int(int fd, int64_t offset, int64_t length)> allocate;
};

/// What opening found. Shape: `damage` names each damaged part, at most 100 of them; the counts are
/// complete.
struct RecoveryReport {
  uint64_t series = 0;
  uint64_t blocks = 0;
  uint64_t open_rows = 0;
  uint64_t damaged_parts = 0;
  uint64_t damaged_bytes = 0;
  std::vector<std::string> damage;
};

struct TsdbStats {
  uint64_t series = 0;       ///< known, with samples in the window or a source that sends them
  uint64_t live_series = 0;  ///< held by a source
  uint64_t blocks = 0;
  uint64_t sealed_samples = 0;
  uint64_t sealed_bytes = 0;   ///< bytes of sealed blocks
  uint64_t segment_bytes = 0;  ///< what their segments occupy
  uint64_t open_bytes = 0;     ///< row logs of the open blocks
  uint64_t index_bytes = 0;    ///< series table, symbols, postings, column state (estimate)
  uint64_t dead_segments = 0;  ///< evicted, still read by somebody
  uint64_t TotalBytes() const { return segment_bytes + open_bytes + index_bytes; }
};

/// A store of recent samples: rows in, columns out.
/// Threads: rows of different sources at once; Querier methods from any thread, also during
/// appends. A reader sees
///          every row of a source up to some row, and of that row all or nothing.
/// Ownership: files are locked while it lives.
/// Errors: Append never fails; what cannot be kept is dropped through the balance by reason.
/// Cost: one mutex a row; no allocation, hash or label work per sample while a layout stays.
class Tsdb final : public MetricIntake, public Querier, public InstantQuerier {
 public:
  /// Opens or creates. Damage in the files is survived and reported, never an error.
  /// Errors: kIo when the directory cannot be used; kOverloaded when another process holds it.
  static Result<std::unique_ptr<Tsdb>> Open(TsdbOptions options);
  ~Tsdb() override;

  SourceId OpenSource(std::string name) override;
  void CloseSource(SourceId source) override;
  Result<SeriesId> Intern(SourceId source, const Labels& labels,
                          std::shared_ptr<const MetricMetadata> metadata) override;
  void Release(SourceId source, SeriesId series) override;
  void Append(const SampleRow& row) override;
  void AppendTimed(SourceId source, std::span<const TimedSample> samples) override;

  struct Interned {
    SeriesId id;
    bool became_live;  ///< no source held it before
  };
  /// Intern that also says whether the series was held by anyone.
  Result<Interned> InternSeries(SourceId source, const Labels& labels,
                                const std::shared_ptr<const MetricMetadata>& metadata);
  /// Release that says whether nobody holds the series any more.
  bool ReleaseSeries(SourceId source, SeriesId series);
  /// CloseSource that lists the series which nobody holds any more.
  std::vector<SeriesId> CloseSourceSeries(SourceId source);
  /// Whether rows of this source are taken. Cost: two loads, no lock.
  bool IsOpen(SourceId source) const;
  /// Calls `fn` for each series that a source holds.
  void ForEachLive(
      const std::function<void(SeriesId, const Labels&,
                               const std::shared_ptr<const MetricMetadata>&)>& fn) const;

  Result<std::unique_ptr<SeriesSet>> Select(std::span<const Matcher> matchers, UnixMs min_ms,
                                            UnixMs max_ms) const override;
  std::vector<Labels> SelectLabels(std::span<const Matcher> matchers, UnixMs min_ms,
                                   UnixMs max_ms) const override;
  std::vector<std::string> LabelNames(std::span<const Matcher> matchers) const override;
  std::vector<std::string> LabelValues(std::string_view name,
                                       std::span<const Matcher> matchers) const override;
  std::vector<std::shared_ptr<const MetricMetadata>> Metadata() const override;
  UnixMs OldestMs() const override;

  Result<std::unique_ptr<SeriesSet>> SelectInstant(std::span<const Matcher> matchers, UnixMs at_ms,
                                                   Milliseconds lookback) const override;
  bool Last(SeriesId series, LastSample& out) const override;

  /// Frees what has left the window or exceeds the limits, and seals what sources left behind. Call
  /// every few seconds; it also runs by itself when a block is sealed.
  void Maintain();
  /// Changes retention and limits while running.
  void Reconfigure(const TsdbConfig& config);

  const RecoveryReport& recovery() const;
  TsdbStats Stats() const;

 private:
  struct Impl;
  explicit Tsdb(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace picket::store::tsdb
