// SPDX-License-Identifier: Apache-2.0
#include "store/tsdb/tsdb.h"

#include <fmt/format.h>
#include <unistd.h>

#include "store/tsdb/metrics.h"
#include "store/tsdb/tsdb_impl.h"

namespace picket::store::tsdb {

Tsdb::Tsdb(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tsdb::~Tsdb() = default;

Tsdb::Impl::~Impl() {
  gauges.clear();
  sources.clear();  // before the files that their blocks lie in
  for (auto& chunk : source_chunks) delete chunk.load();
  if (lock_fd >= 0) close(lock_fd);
}

Result<std::unique_ptr<Tsdb>> Tsdb::Open(TsdbOptions options) {
  auto impl = std::make_unique<Impl>();
  impl->options = std::move(options);
  impl->balance = impl->options.balance;
  if (impl->balance == nullptr)
    impl->balance = std::make_shared<Balance>("store", "tsdb", "samples");
  impl->opened_at = impl->options.clock->Steady();
  impl->retention_ms = impl->options.config.retention.count();
  impl->max_bytes = impl->options.config.max_bytes.value;
  impl->max_series = impl->options.config.max_series;
  impl->CountMetrics();
  PICKET_TRY(impl->OpenFiles());
  impl->Recover();
  impl->Maintain();
  return std::unique_ptr<Tsdb>(new Tsdb(std::move(impl)));
}

void Tsdb::Impl::CountMetrics() {
  Telemetry* t = options.telemetry;
  auto counter = [t](const MetricRow& row) {
    return t != nullptr ? t->AddCounter(row) : std::make_shared<Counter>();
  };
  rows_total = counter(kRowsTotal);
  blocks_total = counter(kBlocksSealedTotal);
  evicted_total = counter(kSegmentsEvictedTotal);
  damaged_total = counter(kDamagedPartsTotal);
  refused_total = counter(kSeriesRefusedTotal);
  if (t == nullptr) return;
  gauges.push_back(t->AddCallback(kSeries, {}, [this] {
    std::shared_lock lock(table_mutex);
    return table == nullptr ? 0.0 : static_cast<double>(table->size());
  }));
  gauges.push_back(t->AddCallback(kSamples, {}, [this] {
    return segments == nullptr ? 0.0 : static_cast<double>(segments->samples());
  }));
  gauges.push_back(t->AddCallback(kBytes, {{"part", "segments"}}, [this] {
    return segments == nullptr ? 0.0 : static_cast<double>(segments->segment_bytes());
  }));
  gauges.push_back(t->AddCallback(kBytes, {{"part", "open"}}, [this] {
    return heap == nullptr ? 0.0 : static_cast<double>(heap->used_bytes());
  }));
  gauges.push_back(t->AddCallback(kBytes, {{"part", "index"}},
                                  [this] { return static_cast<double>(index_bytes.load()); }));
}

std::shared_ptr<Source> Tsdb::Impl::FindSource(SourceId id) const {
  std::shared_lock lock(sources_mutex);
  return id < sources.size() ? sources[id] : nullptr;
}

std::vector<std::shared_ptr<Source>> Tsdb::Impl::Sources() const {
  std::shared_lock lock(sources_mutex);
  std::vector<std::shared_ptr<Source>> out;
  for (const auto& s : sources)
    if (s != nullptr) out.push_back(s);
  return out;
}

Source* Tsdb::Impl::OpenedSource(SourceId id) const {
  if (id / kSourceChunk >= source_chunks.size()) return nullptr;
  const SourceChunk* chunk = source_chunks[id / kSourceChunk].load(std::memory_order_acquire);
  return chunk == nullptr ? nullptr : chunk->at[id % kSourceChunk].load(std::memory_order_acquire);
}

void Tsdb::Impl::PublishSource(SourceId id, Source* source) {
  auto& place = source_chunks[id / kSourceChunk];
  SourceChunk* chunk = place.load();
  if (chunk == nullptr) {
    if (source == nullptr) return;
    chunk = new SourceChunk();
    place.store(chunk, std::memory_order_release);
  }
  chunk->at[id % kSourceChunk].store(source, std::memory_order_release);
}

/// Caller holds sources_mutex.
std::shared_ptr<Source> Tsdb::Impl::MakeSource(SourceId id, std::string name) {
  if (id >= sources.size()) sources.resize(size_t{id} + 1);
  auto source = std::make_shared<Source>();
  source->id = id;
  source->name = std::move(name);
  sources[id] = source;
  return source;
}

SourceId Tsdb::OpenSource(std::string name) {
  Impl& m = *impl_;
  std::unique_lock lock(m.sources_mutex);
  std::shared_ptr<Source> source;
  const auto closed = m.closed_by_name.find(name);
  if (closed != m.closed_by_name.end()) {
    // The same source after a restart or reload: it goes on where it was.
    source = m.sources[closed->second];
    m.closed_by_name.erase(closed);
  } else {
    SourceId id;
    if (m.free_sources.empty()) {
      id = static_cast<SourceId>(m.sources.size());
    } else {
      id = m.free_sources.back();
      m.free_sources.pop_back();
    }
    source = m.MakeSource(id, name);
    std::vector<uint8_t> payload(kMaxVarint + name.size());
    uint8_t* p = PutVarint(payload.data(), id);
    std::copy(name.begin(), name.end(), p);
    payload.resize(static_cast<size_t>(p - payload.data()) + name.size());
    std::unique_lock table_lock(m.table_mutex);
    if (m.log != nullptr)
      (void)m.log->Append(SeriesRecord::kSource, payload);  // only its continuity hangs on it
  }
  source->open = true;
  m.PublishSource(source->id, source.get());
  return source->id;
}

void Tsdb::CloseSource(SourceId source) { CloseSourceSeries(source); }

std::vector<SeriesId> Tsdb::CloseSourceSeries(SourceId id) {
  Impl& m = *impl_;
  std::vector<SeriesId> gone;
  const auto source = m.FindSource(id);
  if (source == nullptr || !source->open.exchange(false)) return gone;
  m.PublishSource(id, nullptr);
  {
    std::lock_guard lock(source->mutex);
    m.SealAll(*source);
  }
  {
    std::unique_lock lock(m.table_mutex);
    source->again.Clear();
    for (SeriesId series : source->holds.ToVector())
      if (m.ReleaseLocked(*source, series)) gone.push_back(series);
    source->holds.Clear();
  }
  std::unique_lock lock(m.sources_mutex);
  m.closed_by_name[source->name] = id;
  return gone;
}

Result<Tsdb::Interned> Tsdb::InternSeries(SourceId source_id, const Labels& labels,
                                          const std::shared_ptr<const MetricMetadata>& metadata) {
  Impl& m = *impl_;
  if (labels.empty()) return Fail(ErrorKind::kInvalidArgument, "a series without labels");
  const auto source = m.FindSource(source_id);
  if (source == nullptr) return Fail(ErrorKind::kInvalidArgument, "no such source");
  std::unique_lock lock(m.table_mutex);
  SeriesTable& table = *m.table;
  SeriesId id = table.Find(labels);
  if (id == kNoSeries) {
    const uint64_t limit = m.max_series.load();
    if ((limit > 0 && table.size() >= limit) ||
        (m.options.admit_series && !m.options.admit_series())) {
      m.refused_total->Add();
      return Fail(
          Error(ErrorKind::kOverloaded,
                fmt::format("new series refused at {} series", table.size()))
              .Remedy(
                  "raise the limit on series or the memory budget, or drop labels by relabelling"));
    }
    id = table.Create(labels, table.AcquireMetadata(metadata));
  } else if (metadata != nullptr && table.At(id).metadata == UINT32_MAX) {
    table.At(id).metadata = table.AcquireMetadata(metadata);
  }
  SeriesEntry& entry = table.At(id);
  if (!source->holds.Insert(id)) {
    if (uint32_t* more = source->again.Find(id))
      ++*more;
    else
      source->again.Insert(id, 1);
    return Interned{id, false};
  }
  const bool became_live = entry.holds++ == 0;
  m.live_series += became_live;
  return Interned{id, became_live};
}

Result<SeriesId> Tsdb::Intern(SourceId source, const Labels& labels,
                              std::shared_ptr<const MetricMetadata> metadata) {
  PICKET_ASSIGN(const Interned interned, InternSeries(source, labels, metadata));
  return interned.id;
}

bool Tsdb::Impl::ReleaseLocked(Source& source, SeriesId series) {
  if (uint32_t* more = source.again.Find(series)) {
    if (--*more == 0) source.again.Erase(series);
    return false;
  }
  if (!source.holds.Erase(series)) return false;
  SeriesEntry& entry = table->At(series);
  if (entry.owner == source.id) entry.released = true;
  if (--entry.holds > 0) return false;
  --live_series;
  if (entry.pins == 0) table->Consider(series);
  return true;
}

void Tsdb::Release(SourceId source, SeriesId series) { ReleaseSeries(source, series); }

bool Tsdb::ReleaseSeries(SourceId source_id, SeriesId series) {
  const auto source = impl_->FindSource(source_id);
  if (source == nullptr) return false;
  std::unique_lock lock(impl_->table_mutex);
  return impl_->ReleaseLocked(*source, series);
}

void Tsdb::ForEachLive(
    const std::function<void(SeriesId, const Labels&,
                             const std::shared_ptr<const MetricMetadata>&)>& fn) const {
  std::shared_lock lock(impl_->table_mutex);
  const SeriesTable& table = *impl_->table;
  for (SeriesId id = 0; id < table.end_id(); ++id) {
    const SeriesEntry& e = table.At(id);
    if (e.holds > 0) fn(id, table.LabelsOf(id), table.MetadataOf(e.metadata));
  }
}

bool Tsdb::IsOpen(SourceId source) const { return impl_->OpenedSource(source) != nullptr; }

void Tsdb::Append(const SampleRow& row) {
  Impl& m = *impl_;
  m.balance->In(row.values.size());
  Source* source = m.OpenedSource(row.source);
  if (source == nullptr || row.series.size() != row.values.size()) {
    m.balance->Drop(DropReason::kInvalid, row.values.size(), "a row of no open source");
    return;
  }
  m.AppendRow(*source, row);
  m.MaintainIfDue();
}

void Tsdb::AppendTimed(SourceId id, std::span<const TimedSample> samples) {
  Impl& m = *impl_;
  m.balance->In(samples.size());
  Source* source = m.OpenedSource(id);
  if (source == nullptr) {
    m.balance->Drop(DropReason::kInvalid, samples.size(), "samples of no open source");
    return;
  }
  {
    std::lock_guard lock(source->mutex);
    m.balance->Out(m.AppendTimedLocked(*source, samples));
  }
  m.MaintainIfDue();
}

void Tsdb::Maintain() { impl_->Maintain(); }

void Tsdb::Reconfigure(const TsdbConfig& config) {
  impl_->retention_ms = config.retention.count();
  impl_->max_bytes = config.max_bytes.value;
  impl_->max_series = config.max_series;
  impl_->Maintain();
}

const RecoveryReport& Tsdb::recovery() const { return impl_->report; }

TsdbStats Tsdb::Stats() const {
  Impl& m = *impl_;
  m.RefreshIndexBytes();
  TsdbStats s;
  {
    std::shared_lock lock(m.table_mutex);
    s.series = m.table->size();
    s.live_series = m.live_series;
  }
  s.blocks = m.segments->blocks();
  s.sealed_samples = m.segments->samples();
  s.sealed_bytes = m.segments->block_bytes();
  s.segment_bytes = m.segments->segment_bytes();
  s.open_bytes = m.heap->used_bytes();
  s.index_bytes = m.index_bytes.load();
  s.dead_segments = m.segments->dead();
  return s;
}

}  // namespace picket::store::tsdb
