// SPDX-License-Identifier: Apache-2.0
// The store's inside, shared by its .cc files only.
#pragma once
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/base/telemetry.h"
#include "store/tsdb/index/series_table.h"
#include "store/tsdb/log_heap.h"
#include "store/tsdb/segments.h"
#include "store/tsdb/source.h"
#include "store/tsdb/tsdb.h"

namespace picket::store::tsdb {

/// Lock order: a source's mutex, then table_mutex. sources_mutex, maintain_mutex and those inside
/// LogHeap and Segments are leaves, except that Maintain holds maintain_mutex first of all.
struct Tsdb::Impl {
  // --- opening (recover.cc)
  Status OpenFiles();
  void Recover();
  void RecoverSeries();
  void RecoverBlocks(std::unordered_set<uint64_t>& sealed_logs);
  void RecoverLogs(const std::unordered_set<uint64_t>& sealed_logs);
  void RecoverLog(std::vector<std::pair<ChunkHeader, uint8_t*>> chunks);
  void PinRecovered(SeriesId id, SourceId source, uint32_t hash, uint32_t mask, uint64_t& lost);
  void Damage(uint64_t bytes, std::string what);
  Status LockDirectory();

  // --- sources and series (tsdb.cc)
  std::shared_ptr<Source> FindSource(SourceId id) const;
  Source* OpenedSource(SourceId id) const;
  std::shared_ptr<Source> MakeSource(SourceId id, std::string name);
  void PublishSource(SourceId id, Source* source);
  std::vector<std::shared_ptr<Source>> Sources() const;
  bool ReleaseLocked(Source& source, SeriesId series);

  // --- appending (append.cc, seal.cc)
  void AppendRow(Source& source, const SampleRow& row);
  RowPlan& PlanFor(Source& source, const SampleRow& row);
  RowPlan MakePlan(Source& source, const SampleRow& row);
  uint32_t ClaimSlot(Source& source, SeriesId id, bool fresh_stripe, Stripe*& filling);
  Stripe* NewStripe(Source& source, std::vector<std::unique_ptr<Stripe>>& list, BlockKind kind);
  /// Samples kept; the others are dropped here.
  uint64_t AppendStripe(const Source& source, StripePlan& plan, const SampleRow& row);
  uint64_t AppendOverlapping(StripePlan& plan, const SampleRow& row, const uint64_t* next);
  uint64_t AppendTimedLocked(Source& source, std::span<const TimedSample> samples);
  uint32_t TimedSlot(Source& source, SeriesId id);
  struct TimedBatch {
    std::vector<SlotSample> samples;
    SlotSet slots{};
  };
  uint64_t FlushTimed(Stripe& stripe, TimedBatch& batch);
  bool SealIfDue(Source& source, Stripe& stripe);
  int SealAt(const Stripe& stripe) const;
  /// Seals what the stripe has and begins anew; an emptied stripe is deleted. False when there is
  /// no room. Slots may move: slot references and plans of the source are no longer good.
  bool SealStripe(Source& source, Stripe& stripe);
  void AfterRestart(Source& source, Stripe& stripe, const std::vector<SeriesId>& dropped);
  void DropStripe(Source& source, Stripe& stripe);
  void SealAll(Source& source);

  // --- keeping within limits (maintain.cc)
  void Maintain();
  /// After an append: when a block was sealed and some time has passed, or at once when room ran
  /// out.
  void MaintainIfDue();
  void EvictSegments();
  void TidySource(Source& source, UnixMs cutoff, bool orphan_grace_over);
  void RemoveDeadSources();
  void CompactSeriesLog();
  void LeaveToPageCache();
  void RefreshIndexBytes();
  uint64_t TotalBytes() const;
  void CountMetrics();

  TsdbOptions options;
  std::atomic<int64_t> retention_ms{0};
  std::atomic<uint64_t> max_bytes{0};
  std::atomic<uint64_t> max_series{0};
  std::shared_ptr<Balance> balance;
  int lock_fd = -1;
  RecoveryReport report;
  Duration opened_at{0};

  std::unique_ptr<LogHeap> heap;
  std::unique_ptr<Segments> segments;
  std::atomic<uint64_t> next_log{1};

  mutable std::shared_mutex table_mutex;  // guards log, table, live_series and every Source::holds
  std::unique_ptr<SeriesLog> log;
  std::unique_ptr<SeriesTable> table;
  uint64_t live_series = 0;
  uint64_t log_bytes_at_compaction = 0;

  mutable std::shared_mutex sources_mutex;  // guards the next three
  std::vector<std::shared_ptr<Source>> sources;
  std::vector<SourceId> free_sources;
  std::unordered_map<std::string, SourceId> closed_by_name;
  /// The row path finds its source here without a lock.
  static constexpr size_t kSourceChunk = 1024;
  struct SourceChunk {
    std::array<std::atomic<Source*>, kSourceChunk> at{};
  };
  std::array<std::atomic<SourceChunk*>, 4096> source_chunks{};

  std::mutex maintain_mutex;     // one Maintain at a time
  uint64_t maintained = 0;       // guarded by it
  int64_t left_to_cache_ns = 0;  // likewise
  std::atomic<bool> maintain_due{false};
  std::atomic<bool> room_needed{false};
  std::atomic<int64_t> last_maintain_ns{0};
  std::atomic<uint64_t> index_bytes{0};

  std::shared_ptr<Counter> rows_total, blocks_total, evicted_total, damaged_total, refused_total;
  std::vector<std::shared_ptr<void>> gauges;

  ~Impl();
};

}  // namespace picket::store::tsdb
