// SPDX-License-Identifier: Apache-2.0
// Opening a directory that some process left, however it ended.
#include <fmt/format.h>

#include <algorithm>

#include "core/base/log.h"
#include "core/spool/impl.h"

namespace picket::spool {
namespace {

constexpr std::string_view kCursorPrefix = "cursor-";

bool IsSegment(std::string_view name) {
  return name.size() == 20 && name.ends_with(".seg") &&
         name.substr(0, 16).find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool AllZero(File& file, uint64_t size) {
  std::string bytes(std::min<uint64_t>(size, kSegmentHeaderBytes + kTerminatorBytes), '\0');
  auto got = file.ReadAt(0, bytes.data(), bytes.size());
  return got && bytes.find_first_not_of('\0') == std::string::npos;
}

}  // namespace

Status Spool::Impl::Recover() {
  Files& files = *options_.files;
  PICKET_TRY(files.MakeDirectories(options_.directory));
  PICKET_ASSIGN(lock_, files.Lock(options_.directory + "/LOCK"));
  PICKET_ASSIGN(auto entries, files.List(options_.directory));
  std::sort(entries.begin(), entries.end(), [](auto& a, auto& b) { return a.name < b.name; });

  std::lock_guard lock(mutex_);
  const Files::Entry* last = nullptr;
  for (const auto& e : entries)
    if (IsSegment(e.name)) last = &e;
  for (const auto& e : entries) {
    if (IsSegment(e.name)) {
      PICKET_TRY(RecoverSegment(e.name, e.size, &e == last));
    } else if (e.name.starts_with("spare-")) {
      KeepSpare(e.name, e.size);
    } else if (e.name.ends_with(".tmp") || e.name.ends_with(".bad")) {
      (void)files.Remove(options_.directory + "/" + e.name);
    }
  }
  for (const auto& e : entries)
    if (e.name.starts_with(kCursorPrefix)) LoadCursor(e.name);
  for (auto& [name, state] : consumers_) Attach(*state);
  Release();
  return {};
}

void Spool::Impl::KeepSpare(const std::string& name, uint64_t size) {
  const std::string path = options_.directory + "/" + name;
  if (size == segment_bytes_ && spares_.empty()) {
    if (auto file = options_.files->Open(path, false)) {
      spares_.push_back({std::move(*file), path, size});
      return;
    }
  }
  (void)options_.files->Remove(path);
}

Status Spool::Impl::RecoverSegment(const std::string& name, uint64_t size, bool last) {
  Segment segment;
  segment.path = options_.directory + "/" + name;
  segment.number = std::stoull(name.substr(0, 16), nullptr, 16);
  segment.capacity = size;
  segment.base = next_position_;
  next_number_ = std::max(next_number_, segment.number + 1);
  PICKET_ASSIGN(auto file, options_.files->Open(segment.path, false));
  segment.file = std::move(file);
  auto scan = ScanSegment(*segment.file, size, next_seq_, last);
  if (!scan || (!scan->header && scan->records.empty())) {
    if (scan && AllZero(*segment.file, size)) {
      (void)options_.files->Remove(segment.path);  // made, but never written to
    } else {
      SetAside(segment.path);
    }
    return {};
  }
  if (scan->header && segments_.empty()) {
    // What was before the first segment was settled or evicted, and counted then.
    items_before_ = scan->header->items_before;
    next_seq_ = std::max(next_seq_, scan->header->first_seq);
  }
  Adopt(*scan, segment);
  if (last) CutTail(*scan, segment);
  segments_.push_back(std::move(segment));
  return {};
}

void Spool::Impl::Adopt(const SegmentScan& scan, Segment& segment) {
  const auto gap = [&](uint64_t seq, uint64_t items) {
    if (items > items_before_) {
      damages_.push_back({next_seq_, seq, items - items_before_,
                          fmt::format("unreadable records in {}", segment.path)});
      damaged_records_ += seq - next_seq_;
    }
    next_seq_ = std::max(next_seq_, seq);
    items_before_ = items;
  };
  if (scan.header) gap(scan.header->first_seq, scan.header->items_before);
  for (const auto& r : scan.records) {
    const auto& h = r.header;
    gap(h.seq, h.items_before);
    segment.entries.push_back({h.seq, 0, h.time_ms, r.offset, h.length, h.items, h.type, h.lane});
    const Position position = next_position_++;
    if (Position before = std::exchange(last_in_lane_[h.lane], position)) {
      Segment* s = before >= segment.base ? &segment : Find(before);
      if (s != nullptr) s->entries[before - s->base].next = position;
    }
    next_seq_ = h.seq + 1;
    items_before_ = h.items_before + h.items;
  }
  segment.used = scan.end;
  if (scan.damaged_spans > 0)
    log::Error("Spool segment is damaged; went on at the next good record",
               {{"file", segment.path}, {"stretches", scan.damaged_spans}});
}

void Spool::Impl::CutTail(const SegmentScan& scan, Segment& segment) {
  if (!scan.torn_tail) return;
  ++truncated_tails_;
  damages_.push_back(
      {next_seq_, next_seq_ + 1, scan.torn_items, fmt::format("torn tail of {}", segment.path)});
  ++next_seq_;  // never the number of a record that may be seen again
  log::Warn("Spool was cut back to its last good record",
            {{"file", segment.path}, {"offset", segment.used}, {"items", scan.torn_items}});
  const std::string zero(kTerminatorBytes, '\0');
  const std::string_view piece(zero);
  if (segment.used + kTerminatorBytes > segment.capacity) return;
  if (auto s = segment.file->WriteAt(segment.used, std::span(&piece, 1)); !s) {
    NoteError(s.error());
    segment.used = segment.capacity;  // not written to any more
  }
}

void Spool::Impl::SetAside(const std::string& path) {
  ++damaged_records_;
  log::Error("Spool segment holds no readable record; set aside until the next start",
             {{"file", path + ".bad"}});
  if (auto s = options_.files->Rename(path, path + ".bad"); !s) NoteError(s.error());
}

void Spool::Impl::LoadCursor(const std::string& file_name) {
  auto state = NewState(file_name.substr(kCursorPrefix.size()));
  state->path = options_.directory + "/" + file_name;
  auto file = options_.files->Open(state->path, false);
  if (!file) return NoteError(file.error());
  state->cursor = std::move(*file);
  bool found = false;
  for (uint64_t slot = 0; slot < 2; ++slot) {
    std::string bytes(kCursorSlotBytes, '\0');
    auto got = state->cursor->ReadAt(slot * kCursorSlotStride, bytes.data(), bytes.size());
    auto decoded = got && *got == bytes.size() ? DecodeCursor(bytes) : std::nullopt;
    if (!decoded || (found && decoded->generation <= state->generation)) continue;
    state->generation = decoded->generation;
    state->settled = decoded->positions;
    found = true;
  }
  if (!found)
    log::Warn(
        "Cursor cannot be read; the destination starts at the oldest record and may get some twice",
        {{"file", state->path}});
  // A power cut can lose records that a cursor knows: their numbers must not come again.
  for (const uint64_t seq : state->settled) next_seq_ = std::max(next_seq_, seq);
  consumers_[state->name] = std::move(state);
}

std::shared_ptr<Consumer::State> Spool::Impl::NewState(std::string name) {
  auto state = std::make_shared<Consumer::State>();
  state->name = std::move(name);
  return state;
}

/// Finds what waits for a consumer by its settled numbers.
void Spool::Impl::Attach(Consumer::State& state) {
  for (const auto& s : segments_)
    for (size_t i = 0; i < s.entries.size(); ++i) {
      const Entry& e = s.entries[i];
      if (e.seq < state.settled[e.lane]) continue;
      if (state.heads[e.lane] == 0) state.heads[e.lane] = s.base + i;
      state.records += 1;
      state.items += e.items;
      state.bytes += e.length;
    }
}

uint64_t Consumer::State::LowestSettled() const {
  return *std::min_element(settled.begin(), settled.end());
}

}  // namespace picket::spool
