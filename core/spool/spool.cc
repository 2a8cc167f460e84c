// SPDX-License-Identifier: Apache-2.0
#include "core/spool/spool.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/hash.h"
#include "core/base/log.h"
#include "core/spool/impl.h"
#include "core/spool/metrics.h"

namespace picket::spool {
namespace {

constexpr uint64_t kMinSegment = 64 << 10;
constexpr uint64_t kMemorySegment = 1 << 20;
constexpr size_t kMaxSpares = 2;
constexpr Duration kProbeEvery = std::chrono::seconds(1);

class MemoryFile final : public File {
 public:
  explicit MemoryFile(uint64_t size) : bytes_(new char[size]), size_(size) {}
  Status WriteAt(uint64_t offset, std::span<const std::string_view> pieces) override {
    for (const auto piece : pieces) {
      if (offset + piece.size() > size_)
        return Fail(ErrorKind::kInternal, "write behind the end of a memory segment");
      std::copy(piece.begin(), piece.end(), bytes_.get() + offset);
      offset += piece.size();
    }
    return {};
  }
  Result<size_t> ReadAt(uint64_t offset, char* to, size_t n) override {
    if (offset >= size_) return 0;
    n = std::min<uint64_t>(n, size_ - offset);
    std::copy_n(bytes_.get() + offset, n, to);
    return n;
  }
  Status Allocate(uint64_t) override { return {}; }
  Status Sync() override { return {}; }

 private:
  std::unique_ptr<char[]> bytes_;
  uint64_t size_;
};

// A segment must be able to go without taking most of the queue with it.
uint64_t SegmentSize(const SpoolOptions& o) {
  const uint64_t wanted =
      o.directory.empty() ? std::min(o.segment_bytes.value, kMemorySegment) : o.segment_bytes.value;
  return std::max(std::min(wanted, o.max_bytes.value / 4), kMinSegment) & ~uint64_t{4095};
}

}  // namespace

Spool::Impl::Impl(SpoolOptions options)
    : options_(std::move(options)), segment_bytes_(SegmentSize(options_)) {}
Spool::Impl::~Impl() = default;

uint64_t Spool::Impl::TotalBytes() const {
  uint64_t total = 0;
  for (const auto& s : segments_) total += s.capacity;
  for (const auto& s : spares_) total += s.capacity;
  return total;
}

std::string Spool::Impl::SegmentPath(uint64_t number) const {
  return fmt::format("{}/{:016x}.seg", options_.directory, number);
}

void Spool::Impl::NoteError(const Error& error) {
  ++append_errors_;
  // A full disk fails each new file under a name of its own: said when it begins, then now and
  // then.
  uint64_t held = 0;
  if (error_limit_.Allow(held) || last_error_.empty())
    log::Warn(
        "Spool met a write error",
        {{"queue", options_.name}, {"error", error.ToString()}, {"messages_held_back", held}});
  last_error_ = error.message();
}

Segment* Spool::Impl::Find(Position position) {
  auto it = std::upper_bound(segments_.begin(), segments_.end(), position,
                             [](Position p, const Segment& s) { return p < s.base; });
  if (it == segments_.begin()) return nullptr;
  --it;
  return position < it->end() ? &*it : nullptr;
}

Status Spool::Impl::Append(const RecordInfo& given, std::span<const std::string_view> pieces) {
  RecordInfo info = given;
  if (info.lane >= kLanes)
    return Fail(ErrorKind::kInvalidArgument, fmt::format("lane {} is out of range", info.lane));
  if (info.time_ms == 0) info.time_ms = options_.clock->NowMs();
  uint64_t size = 0;
  uint32_t crc = 0;
  for (const auto piece : pieces) size += piece.size(), crc = Crc32c(piece, crc);
  if (size > kMaxBodyBytes || size + 4096 > options_.max_bytes.value)
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("a body of {} bytes is larger than the queue", size));

  std::vector<Loss> losses;
  std::vector<std::function<void()>> wake;
  std::shared_ptr<File> sync;
  Status status;
  {
    std::lock_guard lock(mutex_);
    if (closed_) return Fail(ErrorKind::kCancelled, "the queue is closed");
    ProbeDisk();
    for (int attempt = 0; attempt < 3; ++attempt) {
      // What goes into memory although there is a disk goes there for no longer than it must.
      const bool back = !segments_.empty() && !segments_.back().durable() && !spares_.empty();
      const bool fits =
          !segments_.empty() && !back &&
          segments_.back().capacity >= RecordEnd(segments_.back().used, size) + kTerminatorBytes;
      if (!fits) status = Roll(size, losses);
      if (!status) break;
      status = WriteRecord(segments_.back(), info, pieces, size, crc);
      if (status) break;
      NoteError(status.error());
      segments_.back().used =
          segments_.back().capacity;  // sealed: the next attempt takes another one
    }
    if (status) {
      const Segment& s = segments_.back();
      Link(s.entries.back(), s.end() - 1, wake);
      if (options_.fsync == FsyncPolicy::kAlways && s.durable()) sync = s.file;
    }
  }
  for (const auto& loss : losses)
    if (loss.balance) loss.balance->Drop(loss.reason, loss.items, "the oldest segment made room");
  for (const auto& w : wake) w();
  if (sync) PICKET_TRY(sync->Sync());
  return status;
}

Status Spool::Impl::WriteRecord(Segment& segment, const RecordInfo& info,
                                std::span<const std::string_view> pieces, uint64_t size,
                                uint32_t crc) {
  // A number is never used twice, also when its write failed half-way and may be found again after
  // a crash.
  const uint64_t seq = next_seq_++;
  char header[kRecordHeaderBytes];
  Encode(RecordHeader{crc, static_cast<uint32_t>(size), seq, items_before_, info.time_ms,
                      info.items, info.lane, info.type},
         header);
  // Zeros up to the next record and as its magic: a file that is used again has old bytes there.
  static constexpr char kZeros[kTerminatorBytes + 8] = {};
  const uint64_t end = RecordEnd(segment.used, size);
  const uint64_t padding = end - (segment.used + kRecordHeaderBytes + size) + kTerminatorBytes;

  std::string_view all[16];
  std::vector<std::string_view> many;
  std::span<std::string_view> list(all, pieces.size() + 2);
  if (pieces.size() + 2 > std::size(all)) {
    many.resize(pieces.size() + 2);
    list = many;
  }
  list.front() = {header, sizeof header};
  std::copy(pieces.begin(), pieces.end(), list.begin() + 1);
  list.back() = {kZeros, padding};
  if (auto written = segment.file->WriteAt(segment.used, list); !written) {
    const std::string_view zero(kZeros, kTerminatorBytes);
    (void)segment.file->WriteAt(segment.used,
                                std::span(&zero, 1));  // best effort: hides the half-written record
    return written;
  }
  segment.entries.push_back({seq, 0, info.time_ms, static_cast<uint32_t>(segment.used),
                             static_cast<uint32_t>(size), info.items, info.type, info.lane});
  segment.used = end;
  segment.dirty = true;
  items_before_ += info.items;
  ++next_position_;
  return {};
}

void Spool::Impl::Link(const Entry& entry, Position position,
                       std::vector<std::function<void()>>& wake) {
  if (Position last = std::exchange(last_in_lane_[entry.lane], position))
    if (Segment* s = Find(last)) s->entries[last - s->base].next = position;
  for (auto& [name, c] : consumers_) {
    c->records += 1;
    c->items += entry.items;
    c->bytes += entry.length;
    if (c->heads[entry.lane] != 0) continue;
    c->heads[entry.lane] = position;
    if (c->waker && !c->out[entry.lane].active) wake.push_back(c->waker);
  }
}

Status Spool::Impl::Roll(uint64_t size, std::vector<Loss>& losses) {
  PICKET_ASSIGN(Segment segment, MakeSegment(size, losses));
  segment.number = next_number_++;
  segment.base = next_position_;
  segment.used = kSegmentHeaderBytes;
  segments_.push_back(std::move(segment));
  Release();  // the one before may be settled entirely
  return {};
}

// The header first, then the name: a file with the name of a segment always has its own header.
Status Spool::Impl::NameSegment(Segment& segment) {
  char header[kSegmentHeaderBytes + kTerminatorBytes] = {};
  Encode(SegmentHeader{next_number_, next_seq_, items_before_}, header);
  const std::string_view bytes(header, sizeof header);
  const std::string path = SegmentPath(next_number_);
  auto status = segment.file->WriteAt(0, std::span(&bytes, 1));
  if (status) status = options_.files->Rename(segment.path, path);
  if (!status) {
    (void)options_.files->Remove(segment.path);
    return status;
  }
  segment.path = path;
  directory_dirty_ = true;
  return {};
}

Result<Segment> Spool::Impl::MakeSegment(uint64_t body_size, std::vector<Loss>& losses) {
  const uint64_t needed = RecordEnd(kSegmentHeaderBytes, body_size) + kTerminatorBytes;
  const uint64_t capacity = std::max(segment_bytes_, (needed + 4095) & ~uint64_t{4095});
  if (memory()) {
    MakeRoom(capacity, losses);
    for (;;) {
      auto segment = MakeMemorySegment(capacity);
      if (segment || !EvictOldest(DropReason::kMemory, losses)) return segment;
    }
  }
  for (bool first = true;; first = false) {
    Segment segment;
    segment.capacity = capacity;
    if (UseSpare(segment) && NameSegment(segment)) return segment;
    MakeRoom(capacity, losses);
    if (UseSpare(segment) && NameSegment(segment)) return segment;
    auto made = MakeFileSegment(capacity);
    if (made) return made;
    if (first) NoteError(made.error());
    // Asked again after each eviction: the oldest segment may have been one in memory.
    if (auto m = MakeOverflowSegment(needed)) return m;
    if (!EvictOldest(DropReason::kDiskFull, losses)) return made;
  }
}

Result<Segment> Spool::Impl::MakeOverflowSegment(uint64_t needed) {
  uint64_t in_memory = 0;
  for (const auto& s : segments_)
    if (!s.durable()) in_memory += s.capacity;
  const uint64_t usual = std::min(kMemorySegment, options_.memory_overflow.value / 4);
  const uint64_t size =
      (std::max(needed, std::min(usual, segment_bytes_)) + 4095) & ~uint64_t{4095};
  if (in_memory + size > options_.memory_overflow.value)
    return Fail(ErrorKind::kOverloaded, "the queue holds as much in memory as it may");
  return MakeMemorySegment(size);
}

Status Spool::Impl::UseSpare(Segment& segment) {
  for (auto it = spares_.begin(); it != spares_.end(); ++it) {
    if (it->capacity != segment.capacity) continue;
    segment.file = std::move(it->file);
    segment.path = std::move(it->path);
    spares_.erase(it);
    return {};
  }
  return Fail(ErrorKind::kNotFound, "no spare segment");
}

// Whether the disk takes files again after an error; the one that shows it is kept to be used.
void Spool::Impl::ProbeDisk() {
  if (last_error_.empty() || memory()) return;
  const Duration now = options_.clock->Steady();
  if (now < next_probe_) return;
  next_probe_ = now + kProbeEvery;
  const std::string path = fmt::format("{}/spare-{:016x}.tmp", options_.directory, next_number_++);
  auto file = options_.files->Open(path, true);
  if (!file) return;
  const std::string zero(kTerminatorBytes, '\0');
  const std::string_view piece(zero);
  auto made = (*file)->Allocate(segment_bytes_);
  if (made) made = (*file)->WriteAt(0, std::span(&piece, 1));
  if (made) {
    log::Info("Spool can be written again", {{"queue", options_.name}});
    last_error_.clear();
    if (spares_.size() < kMaxSpares && TotalBytes() + segment_bytes_ <= options_.max_bytes.value) {
      spares_.push_back({std::move(*file), path, segment_bytes_});
      return;
    }
  }
  (void)options_.files->Remove(path);
}

Result<Segment> Spool::Impl::MakeFileSegment(uint64_t capacity) {
  Segment segment;
  segment.capacity = capacity;
  segment.path = fmt::format("{}/new-{:016x}.tmp", options_.directory, next_number_);
  PICKET_ASSIGN(auto file, options_.files->Open(segment.path, true));
  segment.file = std::move(file);
  if (auto s = segment.file->Allocate(capacity); !s) {
    (void)options_.files->Remove(segment.path);
    return Fail(std::move(s).error());
  }
  PICKET_TRY(NameSegment(segment));
  return segment;
}

Result<Segment> Spool::Impl::MakeMemorySegment(uint64_t capacity) {
  Segment segment;
  segment.capacity = capacity;
  if (options_.budget != nullptr) {
    auto lease = options_.budget->Reserve(BudgetClass::kSpoolMemory, capacity);
    if (!lease) return Fail(ErrorKind::kOverloaded, "the memory budget refused a queue segment");
    segment.lease = std::move(*lease);
  }
  segment.file = std::make_shared<MemoryFile>(capacity);
  return segment;
}

void Spool::Impl::MakeRoom(uint64_t capacity, std::vector<Loss>& losses) {
  while (TotalBytes() + capacity > options_.max_bytes.value) {
    const auto wrong = std::find_if(spares_.begin(), spares_.end(),
                                    [&](auto& s) { return s.capacity != capacity; });
    if (wrong != spares_.end()) {
      (void)options_.files->Remove(wrong->path);
      spares_.erase(wrong);
      continue;
    }
    if (!spares_.empty()) return;  // of the right size: it will be used, which adds nothing
    if (!EvictOldest(DropReason::kQueueFull, losses)) return;
  }
}

bool Spool::Impl::EvictOldest(DropReason reason, std::vector<Loss>& losses) {
  if (segments_.empty()) return false;
  Segment& s = segments_.front();
  for (auto& [name, c] : consumers_) {
    uint64_t lost = 0;
    for (uint16_t lane = 0; lane < kLanes; ++lane) {
      auto& out = c->out[lane];
      for (Position p = c->heads[lane]; p != 0 && p < s.end(); p = c->heads[lane]) {
        const Entry& e = s.entries[p - s.base];
        c->heads[lane] = e.next;
        c->settled[lane] = std::max(c->settled[lane], e.seq + 1);
        if (out.active && !out.evicted) {
          out.evicted = true;  // its holder has the bytes and will settle it
          out.reason = reason;
          continue;
        }
        lost += e.items;
        c->records -= 1, c->items -= e.items, c->bytes -= e.length;
      }
    }
    if (lost == 0) continue;
    if (!c->balance) c->lost_unopened[reason] += lost;
    losses.push_back({c->balance, reason, lost});
    Persist(*c);
  }
  Retire(std::move(s));
  segments_.pop_front();
  return true;
}

void Spool::Impl::Retire(Segment&& s) {
  if (!s.durable()) return;
  directory_dirty_ = true;
  // A reader may still be inside the file: then it must not be written over.
  const bool reusable =
      s.capacity == segment_bytes_ && spares_.size() < kMaxSpares && s.file.use_count() == 1;
  if (reusable) {
    const std::string path = fmt::format("{}/spare-{:016x}.tmp", options_.directory, s.number);
    if (options_.files->Rename(s.path, path)) {
      spares_.push_back({std::move(s.file), path, s.capacity});
      return;
    }
  }
  if (auto removed = options_.files->Remove(s.path); !removed) NoteError(removed.error());
}

void Spool::Impl::Release() {
  if (consumers_.empty()) return;
  Position low = next_position_;
  for (const auto& [name, c] : consumers_)
    for (const Position head : c->heads)
      if (head != 0) low = std::min(low, head);
  // The last one is being written to.
  while (segments_.size() > 1 && segments_.front().end() <= low) {
    Retire(std::move(segments_.front()));
    segments_.pop_front();
  }
  // In memory nothing is kept for nothing.
  if (segments_.size() == 1 && !segments_.front().durable() && !segments_.front().entries.empty() &&
      segments_.front().end() <= low)
    segments_.clear();
}

Status Spool::Impl::Sync() {
  std::vector<std::shared_ptr<File>> data, cursors;
  bool directory = false;
  {
    std::lock_guard lock(mutex_);
    ProbeDisk();  // also when nothing comes in
    for (auto& s : segments_)
      if (s.durable() && std::exchange(s.dirty, false)) data.push_back(s.file);
    for (auto& [name, c] : consumers_)
      if (c->cursor && std::exchange(c->dirty, false)) cursors.push_back(c->cursor);
    directory = std::exchange(directory_dirty_, false);
  }
  Status result;
  for (auto* list : {&data, &cursors})
    for (const auto& file : *list)
      if (auto s = file->Sync(); !s) result = s;
  if (directory && !memory())
    if (auto s = options_.files->SyncDirectory(options_.directory); !s) result = s;
  return result;
}

Spool::Stats Spool::Impl::Read() const {
  std::lock_guard lock(mutex_);
  Stats stats;
  stats.bytes = TotalBytes();
  stats.segments = segments_.size();
  for (const auto& s : segments_) {
    stats.records += s.entries.size();
    if (!s.durable()) stats.memory_bytes += s.capacity;
  }
  stats.truncated_tails = truncated_tails_;
  stats.damaged_records = damaged_records_;
  stats.append_errors = append_errors_;
  stats.last_error = last_error_;
  stats.durable = !memory();
  return stats;
}

void Spool::Impl::RegisterMetrics() {
  if (options_.telemetry == nullptr) return;
  const auto add = [&](const MetricRow& row, uint64_t Stats::* member) {
    metrics_.push_back(options_.telemetry->AddCallback(
        row, {{"queue", options_.name}}, [weak = weak_from_this(), member]() -> double {
          auto self = weak.lock();
          return self ? static_cast<double>(self->Read().*member) : 0.0;
        }));
  };
  add(kSpoolBytes, &Stats::bytes);
  add(kSpoolMemoryBytes, &Stats::memory_bytes);
  add(kSpoolTruncatedTails, &Stats::truncated_tails);
  add(kSpoolDamagedRecords, &Stats::damaged_records);
  add(kSpoolWriteErrors, &Stats::append_errors);
}

Status Spool::Impl::ForEach(
    const std::function<void(const RecordInfo&, uint64_t, std::string_view)>& visit) const {
  std::lock_guard lock(mutex_);
  std::string body;
  for (const auto& s : segments_)
    for (const auto& e : s.entries) {
      body.resize(e.length);
      PICKET_ASSIGN(const size_t got,
                    s.file->ReadAt(e.offset + kRecordHeaderBytes, body.data(), body.size()));
      body.resize(got);
      visit({e.type, e.lane, e.items, e.time_ms}, e.seq, body);
    }
  return {};
}

// --- the face ---

Spool::Spool(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

Spool::~Spool() { Close(); }

void Spool::Close() {
  if (impl_->flusher_) {
    impl_->flusher_->Remove(impl_.get());
    (void)impl_->Sync();
  }
  std::lock_guard lock(impl_->mutex_);
  impl_->closed_ = true;
  impl_->lock_.reset();
}

Result<std::unique_ptr<Spool>> Spool::Open(SpoolOptions options) {
  if (options.directory.empty())
    return Fail(ErrorKind::kInvalidArgument, "a spool needs a directory");
  auto impl = std::make_shared<Impl>(std::move(options));
  PICKET_TRY(impl->Recover());
  impl->RegisterMetrics();
  if (impl->options_.fsync == FsyncPolicy::kInterval) {
    impl->flusher_ = Flusher::Shared();
    impl->flusher_->Add(impl, impl->options_.fsync_interval);
  }
  return std::unique_ptr<Spool>(new Spool(std::move(impl)));
}

std::unique_ptr<Spool> Spool::OpenMemory(SpoolOptions options) {
  options.directory.clear();
  if (options.max_memory.value > 0)
    options.max_bytes = std::min(options.max_bytes, options.max_memory);
  auto impl = std::make_shared<Impl>(std::move(options));
  impl->RegisterMetrics();
  return std::unique_ptr<Spool>(new Spool(std::move(impl)));
}

Result<std::unique_ptr<Spool>> Spool::OpenOrMemory(SpoolOptions options) {
  SpoolOptions copy = options;
  auto spool = Open(std::move(copy));
  if (spool || spool.error().kind() == ErrorKind::kInvalidArgument) return spool;
  if (spool.error().message().find("held by another") != std::string::npos) return spool;
  log::Warn("Queue has no disk and lives in memory; a crash loses what waits in it",
            {{"directory", options.directory}, {"error", spool.error().ToString()}});
  return OpenMemory(std::move(options));
}

Status Spool::Append(const RecordInfo& info, std::span<const std::string_view> pieces) {
  return impl_->Append(info, pieces);
}
Result<std::unique_ptr<Consumer>> Spool::OpenConsumer(std::string name,
                                                      std::shared_ptr<Balance> balance) {
  PICKET_ASSIGN(auto state, impl_->OpenState(std::move(name), std::move(balance)));
  return std::unique_ptr<Consumer>(new Consumer(impl_, std::move(state)));
}
std::vector<std::pair<std::string, uint64_t>> Spool::RetireClosed() {
  return impl_->RetireClosed();
}
std::vector<Spool::Unread> Spool::Closed() const { return impl_->Closed(); }
void Spool::RetireDrained() { impl_->RetireDrained(); }
Status Spool::Sync() { return impl_->Sync(); }
Spool::Stats Spool::Read() const { return impl_->Read(); }
Status Spool::ForEach(const std::function<void(const RecordInfo&, uint64_t seq,
                                               std::string_view body)>& visit) const {
  return impl_->ForEach(visit);
}

}  // namespace picket::spool
