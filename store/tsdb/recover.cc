// SPDX-License-Identifier: Apache-2.0
// From the files of an earlier run back to the store. Source: FORMAT.md, "Opening".
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "core/base/log.h"
#include "store/tsdb/tsdb_impl.h"

namespace picket::store::tsdb {
namespace {

constexpr size_t kNamedDamage = 100;
constexpr uint64_t kUnlimitedCapacity = uint64_t{64} << 30;  // address space only

}  // namespace

void Tsdb::Impl::Damage(uint64_t bytes, std::string what) {
  ++report.damaged_parts;
  report.damaged_bytes += bytes;
  damaged_total->Add();
  log::Warn("Damaged part of the sample store", {{"part", what}, {"bytes", bytes}});
  if (report.damage.size() < kNamedDamage) report.damage.push_back(std::move(what));
}

Status Tsdb::Impl::LockDirectory() {
  std::error_code ec;
  std::filesystem::create_directories(options.data_dir, ec);
  if (ec) return Fail(ErrorKind::kIo, fmt::format("create {}: {}", options.data_dir, ec.message()));
  const std::string path = options.data_dir + "/lock";
  lock_fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (lock_fd < 0) return Fail(ErrnoError("open " + path, errno));
  if (flock(lock_fd, LOCK_EX | LOCK_NB) != 0)
    return Fail(Error(ErrorKind::kOverloaded, options.data_dir + " is in use by another process")
                    .Remedy("stop the other agent or give this one its own data_dir"));
  return {};
}

Status Tsdb::Impl::OpenFiles() {
  const bool disk = !options.data_dir.empty();
  if (disk) PICKET_TRY(LockDirectory());
  const auto path = [&](const char* name) {
    return disk ? options.data_dir + "/" + name : std::string();
  };
  const uint64_t limit = options.config.max_bytes.value;
  // Twice the limit: a reader may hold evicted segments while new ones are filled.
  const uint64_t capacity = limit == 0 ? kUnlimitedCapacity : 2 * limit + (uint64_t{64} << 20);
  PICKET_ASSIGN(auto open_region, Region::Open(path("open.tsdb"), capacity, options.allocate));
  PICKET_ASSIGN(auto block_region, Region::Open(path("blocks.tsdb"), capacity, options.allocate));
  heap = std::make_unique<LogHeap>(std::move(open_region));
  segments = std::make_unique<Segments>(std::move(block_region));
  if (disk) {
    PICKET_ASSIGN(log, SeriesLog::Open(path("series.tsdb"), options.allocate));
  }
  table = std::make_unique<SeriesTable>(log.get());
  return {};
}

void Tsdb::Impl::Recover() {
  if (options.data_dir.empty()) return;
  std::unordered_set<uint64_t> sealed_logs;
  RecoverSeries();
  RecoverBlocks(sealed_logs);
  RecoverLogs(sealed_logs);
  std::unique_lock lock(table_mutex);
  table->FinishReplay();
  log_bytes_at_compaction = log->bytes();
  report.series = table->size();
  for (auto& source : sources)
    if (source != nullptr) closed_by_name[source->name] = source->id;
  for (SourceId id = 0; id < sources.size(); ++id)
    if (sources[id] == nullptr) free_sources.push_back(id);
  // Checking sums has touched every page.
  segments->LeaveToPageCache();
  heap->LeaveToPageCache();
  log->LeaveToPageCache();
}

void Tsdb::Impl::RecoverSeries() {
  log->Replay(
      [&](SeriesRecord type, std::span<const uint8_t> payload) {
        if (type != SeriesRecord::kSource && type != SeriesRecord::kSourceGone) {
          if (!table->Replay(type, payload))
            Damage(payload.size(), "series.tsdb: a record without sense or whose labels were lost");
          return;
        }
        uint64_t id;
        const uint8_t* end = payload.data() + payload.size();
        const uint8_t* p = GetVarint(payload.data(), end, id);
        if (p == nullptr || id >= kSourceChunk * source_chunks.size()) {
          Damage(payload.size(), "series.tsdb: a source record");
        } else if (type == SeriesRecord::kSource) {
          MakeSource(static_cast<SourceId>(id),
                     std::string(reinterpret_cast<const char*>(p), static_cast<size_t>(end - p)));
        } else if (id < sources.size()) {
          sources[id].reset();
        }
      },
      [&](uint64_t bytes, uint64_t offset) {
        Damage(bytes, fmt::format("series.tsdb bytes {} to {}", offset, offset + bytes));
      });
}

/// Pins a series found in a block or log; one whose hash differs, or that is not known, is counted
/// as lost.
void Tsdb::Impl::PinRecovered(SeriesId id, SourceId source, uint32_t hash, uint32_t mask,
                              uint64_t& lost) {
  table->Reserve(id);
  table->Pin(id);
  table->AddPlace(id, source);
  const SeriesEntry& e = table->At(id);
  if (e.label_count == 0 || ((e.hash ^ hash) & mask) != 0) ++lost;
}

void Tsdb::Impl::RecoverBlocks(std::unordered_set<uint64_t>& sealed_logs) {
  uint64_t newest_log = 0;
  segments->Load(
      [&](BlockRef ref) {
        const BlockHeader& header = ref.header();
        const BlockView view = ref.View();
        newest_log = std::max(newest_log, header.log);
        bool sound =
            view.ok() && header.source < kSourceChunk * source_chunks.size() && header.kind <= 1;
        std::vector<std::pair<SeriesId, uint8_t>> ids;
        if (sound) {
          sound = view.ForEach([&](const BlockView::Entry& e) { ids.emplace_back(e.id, e.tag); });
          for (const auto& [id, tag] : ids) sound &= id < (1U << 31);
        }
        if (!sound || ids.empty()) {
          Damage(header.length,
                 fmt::format("blocks.tsdb: a block of source {} whose content makes no sense",
                             header.source));
          return;
        }
        if (header.source >= sources.size() || sources[header.source] == nullptr)
          MakeSource(header.source, fmt::format("recovered {}", header.source));
        uint64_t lost = 0;
        for (const auto& [id, tag] : ids) PinRecovered(id, header.source, tag, 0xff, lost);
        if (lost > 0)
          Damage(0, fmt::format("blocks.tsdb: {} columns of series that series.tsdb does not name",
                                lost));
        ref.first = ids.front().first;
        ref.last = ids.back().first;
        sealed_logs.insert(header.log);
        sources[header.source]->blocks.push_back(std::move(ref));
        ++report.blocks;
      },
      [&](Segments::Damage d) { Damage(d.bytes, std::move(d.what)); });
  next_log = newest_log + 1;
}

void Tsdb::Impl::RecoverLogs(const std::unordered_set<uint64_t>& sealed_logs) {
  std::map<uint64_t, std::vector<std::pair<ChunkHeader, uint8_t*>>> logs;
  heap->Scan([&](const ChunkHeader& header, uint8_t* chunk) {
    next_log = std::max(next_log.load(), header.log + 1);
    // A block and its log both: the process died between sealing and freeing.
    if (sealed_logs.contains(header.log) || header.source >= kSourceChunk * source_chunks.size() ||
        header.kind > 1)
      return false;
    logs[header.log].emplace_back(header, chunk);
    return true;
  });
  for (auto& [number, chunks] : logs) RecoverLog(std::move(chunks));
}

void Tsdb::Impl::RecoverLog(std::vector<std::pair<ChunkHeader, uint8_t*>> chunks) {
  std::sort(chunks.begin(), chunks.end(),
            [](const auto& a, const auto& b) { return a.first.index < b.first.index; });
  const ChunkHeader head = chunks.front().first;
  std::vector<uint8_t*> whole;
  for (auto& [header, chunk] : chunks) {
    if (header.index == whole.size() && header.source == head.source && header.kind == head.kind) {
      whole.push_back(chunk);
      continue;
    }
    Damage(LogHeap::kPage << header.order,
           fmt::format("open.tsdb log {} of source {}: chunk {} without those before it",
                       header.log, header.source, header.index));
    heap->Free(chunk);
  }
  if (whole.empty()) return;
  if (head.source >= sources.size() || sources[head.source] == nullptr)
    MakeSource(head.source, fmt::format("recovered {}", head.source));
  Source& source = *sources[head.source];
  const auto kind = static_cast<BlockKind>(head.kind);
  auto& list = kind == BlockKind::kTimed ? source.timed : source.stripes;
  // The stripe's own number, unless a second log claims it.
  uint16_t index = std::min<uint16_t>(head.stripe, 4096);
  while (index < list.size() && list[index] != nullptr) ++index;
  if (index >= list.size()) list.resize(size_t{index} + 1);
  auto stripe = std::make_unique<Stripe>(*heap, kind, head.source, index, head.log);
  std::vector<uint32_t> hashes;
  const uint64_t lost_bytes = stripe->Adopt(std::move(whole), hashes);
  if (lost_bytes > 0)
    Damage(lost_bytes, fmt::format("open.tsdb log {} of source {}: rows after {} ms", head.log,
                                   head.source, stripe->rows() > 0 ? stripe->LastMs() : 0));
  if (stripe->rows() == 0) return stripe->Discard();
  report.open_rows += static_cast<uint64_t>(stripe->rows());
  uint64_t lost = 0;
  for (int slot = 0; slot < stripe->slots(); ++slot) {
    const SeriesId id = stripe->ids()[slot];
    PinRecovered(id, head.source, hashes[slot], UINT32_MAX, lost);
    if (kind == BlockKind::kTimed) {
      source.timed_slots.Insert(id, SlotRef(index, slot));
      continue;
    }
    SeriesEntry& e = table->At(id);
    e.owner = head.source;
    e.slot = SlotRef(index, slot);
    e.released = true;  // until its source sends it again
  }
  if (lost > 0)
    Damage(0, fmt::format("open.tsdb: {} slots of series that series.tsdb does not name", lost));
  list[index] = std::move(stripe);
}

}  // namespace picket::store::tsdb
