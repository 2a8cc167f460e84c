// SPDX-License-Identifier: Apache-2.0
// From rows to compressed request bodies.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <vector>

#include "core/base/telemetry.h"
#include "core/model/metrics.h"
#include "core/relabel/relabel.h"
#include "exporters/remote_write/request.h"
#include "exporters/remote_write/series_book.h"

namespace picket::exporters::remote_write {

struct EncoderOptions {
  bool v2 = false;
  uint32_t max_samples = 2'000;   ///< in one request
  uint32_t direct_samples = 500;  ///< a row of at least as many makes its own requests at once
  uint32_t batches = 1;           ///< small sources are gathered in so many
  Duration deadline = std::chrono::seconds(5);  ///< of a sample in a batch
  Labels external_labels = {};
  std::vector<relabel::Config> relabel = {};
  const Clock* clock = &SystemClock::Get();
  Telemetry* telemetry = nullptr;
  std::string name = {};
};

/// A body ready for the spool. Ownership: `body` is borrowed for the call.
struct EncodedRequest {
  uint16_t type;
  uint16_t lane;
  uint32_t samples;
  std::string_view body;  ///< one Snappy block
};

/// v1: a row is written from the labels that the book keeps in wire form, a copy a label. v2: each
/// source has a template of its last row, the encoded request without values and times; a row of
/// the same layout is written from it. Both into memory that all sources of a thread share, which
/// is then compressed. Rows below `direct_samples` are gathered into batches, for which v2 numbers
/// symbols anew (a table look-up a label text, no hash). Order: all rows of a source go to one
/// lane, in order. Threads: as SampleSink; Flush from any. The output is called on the calling
/// thread, one call at a time a lane. Cost: a shared lock a row; nothing a sample but the copies.
class Encoder {
 public:
  using Output = std::function<void(const EncodedRequest&)>;
  Encoder(EncoderOptions options, Output output);
  ~Encoder();

  void OnSeries(SeriesId id, const Labels& labels,
                const std::shared_ptr<const MetricMetadata>& metadata);
  void OnSeriesGone(SeriesId id);
  void OnSourceGone(SourceId source);
  /// Returns how many samples were filtered by relabelling.
  uint32_t OnRow(const SampleRow& row);
  uint32_t OnTimed(SourceId source, std::span<const TimedSample> samples);

  /// Sends batches that are due at `now` (Steady), or all. Returns when the next one is due.
  std::optional<Duration> Flush(Duration now, bool all = false);
  /// Called when a batch gets its first sample, with its deadline. Set before the first row; must
  /// not call back.
  void SetOnPending(std::function<void(Duration)> f) { on_pending_ = std::move(f); }
  /// From now on v1: the backend does not know v2.
  void UseV1();
  bool v2() const { return v2_.load(std::memory_order_relaxed); }
  std::vector<std::shared_ptr<const MetricMetadata>> Families() const;
  uint64_t pending() const { return pending_.load(std::memory_order_relaxed); }
  /// Of what is known of series, without templates and batches.
  size_t memory_bytes() const;

 private:
  /// The template of one v2 request: what stays of it from row to row.
  struct Chunk {
    std::string head;   ///< symbols
    std::string parts;  ///< for each series what stands before its value and what behind its time
    size_t tails = 0;   ///< bytes of them without their sizes
    uint32_t samples = 0;
    std::vector<uint32_t> index;  ///< in the row; empty when they are [first, first + samples)
    uint32_t first = 0;
  };
  class ChunkMaker;
  struct Source {
    uint64_t layout = 0;  // the rest up to `filtered`: of the template
    size_t time_width = 0;
    std::vector<Chunk> chunks;
    uint32_t filtered = 0;
    std::optional<uint16_t> lane;  ///< for good, once it has sent
    bool direct = false;           ///< has a lane of its own
  };
  struct Batch {
    explicit Batch(bool v2) : builder(v2) {}
    std::mutex mutex;  // guards the rest, and the order of outputs to its lane
    RequestBuilder builder;
    Duration deadline{0};
  };

  Source& SourceOf(SourceId id, std::shared_lock<std::shared_mutex>& lock);
  void MakePlan(Source& s, const SampleRow& row);
  /// The request, in memory of this thread that is good until the next call on it.
  static std::string_view FillIn(const Chunk& chunk, const SampleRow& row);
  uint32_t SendFromPlan(Source& s, const SampleRow& row);
  uint32_t SendV1(const Source& s, const SampleRow& row);
  uint32_t Gather(const Source& s, const SampleRow& row);
  void AddSample(Batch& batch, uint16_t lane, SeriesBook::Series series, UnixMs t, double v);
  void FlushLocked(Batch& batch, uint16_t lane, size_t cause);
  void Emit(uint16_t lane, bool v2, uint32_t samples, std::string_view request, size_t cause);
  uint16_t BatchLane(SourceId id) const { return static_cast<uint16_t>(id % batches_.size()); }
  uint16_t DirectLane(SourceId id) const;

  EncoderOptions options_;
  Output output_;
  std::function<void(Duration)> on_pending_;
  std::atomic<bool> v2_;
  std::atomic<uint64_t> pending_{0};
  mutable std::shared_mutex
      mutex_;  // guards book_ and the sources' table; a source itself belongs to its caller
  SeriesBook book_;
  std::vector<std::unique_ptr<Source>> sources_;
  std::vector<std::unique_ptr<Batch>> batches_;
  std::array<std::shared_ptr<Counter>, 3> built_;
  std::shared_ptr<Counter> bytes_raw_, bytes_sent_, plans_;
};

}  // namespace picket::exporters::remote_write
