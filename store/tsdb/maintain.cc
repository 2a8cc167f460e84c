// SPDX-License-Identifier: Apache-2.0
// Retention, limits, and what sources left behind.
#include <algorithm>

#include "core/base/log.h"
#include "store/tsdb/tsdb_impl.h"

namespace picket::store::tsdb {
namespace {

/// After a restart a source may come back under its name and go on with its open block.
constexpr auto kOrphanGrace = std::chrono::minutes(5);
constexpr Duration kMaintainEvery = std::chrono::seconds(5);
constexpr Duration kLeaveEvery = std::chrono::minutes(1);
constexpr uint64_t kCompactAbove = uint64_t{1} << 20;

}  // namespace

uint64_t Tsdb::Impl::TotalBytes() const {
  return segments->segment_bytes() + heap->used_bytes() + index_bytes.load();
}

void Tsdb::Impl::RefreshIndexBytes() {
  size_t n = 0;
  for (const auto& source : Sources()) {
    std::lock_guard lock(source->mutex);
    n += sizeof(Source) + source->timed_slots.memory_bytes() +
         source->blocks.capacity() * sizeof(BlockRef);
    for (const auto& s : source->stripes)
      if (s != nullptr) n += s->memory_bytes();
    for (const auto& s : source->timed)
      if (s != nullptr) n += s->memory_bytes();
    for (const auto& p : source->plans)
      for (const auto& s : p.stripes) n += sizeof s + s.gather.capacity() * 4;
  }
  {
    const auto all = Sources();
    std::shared_lock lock(table_mutex);
    n += table->memory_bytes();
    for (const auto& source : all) n += source->holds.memory_bytes() + source->again.memory_bytes();
  }
  index_bytes = n;
}

void Tsdb::Impl::EvictSegments() {
  const int64_t retention = retention_ms.load();
  const uint64_t limit = max_bytes.load();
  const UnixMs cutoff = options.clock->NowMs() - retention;
  uint64_t total = TotalBytes();
  segments->Evict(
      [&](const Segment& oldest) {
        const bool old = retention > 0 && oldest.max_ms < cutoff;
        const bool over = limit > 0 && total > limit;
        if (!old && !over) return false;
        total -= std::min(total, Segments::BytesOf(oldest));
        return true;
      },
      [&](const std::shared_ptr<Segment>& segment) {
        evicted_total->Add();
        std::unique_lock lock(table_mutex);
        Segments::ForEachBlock(*segment, [&](const BlockHeader& header, const uint8_t* at) {
          const BlockView view(header, {at + sizeof header, header.length - sizeof header});
          if (view.ok()) view.ForEach([&](const BlockView::Entry& e) { table->Unpin(e.id); });
        });
      });
}

void Tsdb::Impl::TidySource(Source& source, UnixMs cutoff, bool orphan_grace_over) {
  std::lock_guard lock(source.mutex);
  std::erase_if(source.blocks,
                [](const BlockRef& b) { return b.segment->dead.load(std::memory_order_relaxed); });
  if (source.blocks.capacity() > 2 * source.blocks.size() + 8) source.blocks.shrink_to_fit();
  const bool orphan = !source.open && orphan_grace_over;
  const int64_t retention = retention_ms.load();
  for (auto* list : {&source.stripes, &source.timed}) {
    for (size_t i = 0; i < list->size(); ++i) {
      Stripe* stripe = (*list)[i].get();
      if (stripe == nullptr) continue;
      const bool outlived = retention > 0 && stripe->LastMs() < cutoff;
      const bool idle =
          retention > 0 && stripe->rows() > 0 && stripe->FirstMs() < cutoff + retention / 2;
      if (outlived) {
        DropStripe(source, *stripe);
      } else if (orphan || idle) {
        if (stripe->rows() > 0 && !SealStripe(source, *stripe)) continue;
        if (orphan && (*list)[i] != nullptr) DropStripe(source, *stripe);
      }
    }
  }
}

void Tsdb::Impl::RemoveDeadSources() {
  std::vector<SourceId> gone;
  {
    std::unique_lock lock(sources_mutex);
    for (auto& source : sources) {
      if (source == nullptr || source->open) continue;
      {
        std::lock_guard source_lock(source->mutex);
        if (!source->Empty()) continue;
      }
      const auto named = closed_by_name.find(source->name);
      if (named != closed_by_name.end() && named->second == source->id) closed_by_name.erase(named);
      gone.push_back(source->id);
      free_sources.push_back(source->id);
      source.reset();
    }
  }
  std::unique_lock lock(table_mutex);
  for (SourceId id : gone) {
    uint8_t payload[kMaxVarint];
    if (log != nullptr)
      (void)log->Append(SeriesRecord::kSourceGone, {payload, PutVarint(payload, id)});
  }
}

void Tsdb::Impl::CompactSeriesLog() {
  const auto all = Sources();
  std::unique_lock lock(table_mutex);
  if (log == nullptr) return;
  const bool grown = log->bytes() > kCompactAbove && log->bytes() > 2 * log_bytes_at_compaction;
  if (table->persisted() && !grown) return;
  auto written = log->Rewrite([&](SeriesLog& fresh) -> Status {
    for (const auto& source : all) {
      std::vector<uint8_t> payload(kMaxVarint);
      payload.resize(static_cast<size_t>(PutVarint(payload.data(), source->id) - payload.data()));
      payload.insert(payload.end(), source->name.begin(), source->name.end());
      PICKET_TRY(fresh.Append(SeriesRecord::kSource, payload));
    }
    return table->WriteAll(fresh);
  });
  if (written) {
    table->MarkPersisted();
    log_bytes_at_compaction = log->bytes();
    return;
  }
  static log::RateLimit limit;
  uint64_t suppressed;
  if (limit.Allow(suppressed))
    log::Warn("Cannot rewrite the series file", {{"error", written.error().ToString()}});
}

void Tsdb::Impl::MaintainIfDue() {
  const bool urgent = room_needed.exchange(false);
  if (!urgent && !maintain_due.load(std::memory_order_relaxed)) return;
  const int64_t now = options.clock->Steady().count();
  if (!urgent && now - last_maintain_ns.load(std::memory_order_relaxed) < kMaintainEvery.count())
    return;
  Maintain();
}

void Tsdb::Impl::Maintain() {
  std::unique_lock maintaining(maintain_mutex, std::try_to_lock);
  if (!maintaining.owns_lock()) return;
  maintain_due = false;
  last_maintain_ns = options.clock->Steady().count();
  const int64_t retention = retention_ms.load();
  segments->SetSpan(retention > 0 ? std::max<int64_t>(retention / 8, 1) : INT64_MAX);
  // Counting memory walks every label pair; the figure moves slowly.
  if (maintained++ % 8 == 0) RefreshIndexBytes();
  EvictSegments();
  const UnixMs cutoff = retention > 0 ? options.clock->NowMs() - retention : INT64_MIN;
  const bool grace_over = options.clock->Steady() - opened_at >= kOrphanGrace;
  for (const auto& source : Sources()) TidySource(*source, cutoff, grace_over);
  {
    std::unique_lock lock(table_mutex);
    table->Collect();
  }
  RemoveDeadSources();
  CompactSeriesLog();
  LeaveToPageCache();
}

/// What readers have touched since the last time. Pages being written are left again when full.
void Tsdb::Impl::LeaveToPageCache() {
  const int64_t now = options.clock->Steady().count();
  if (now - left_to_cache_ns < kLeaveEvery.count()) return;
  left_to_cache_ns = now;
  segments->LeaveToPageCache();
  heap->LeaveToPageCache();
  std::unique_lock lock(table_mutex);
  if (log != nullptr) log->LeaveToPageCache();
}

}  // namespace picket::store::tsdb
