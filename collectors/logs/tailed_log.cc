// SPDX-License-Identifier: Apache-2.0
// Reading, places and acknowledgement. How the chain of files comes to be is in chain.cc.
#include "collectors/logs/tailed_log.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace picket::collectors::logs {
namespace {

constexpr size_t kChunk = 256 * 1024;
constexpr Duration kStragglerGrace = std::chrono::seconds(10);

template <class F>
void ForEachLane(LaneMask lanes, F f) {
  for (; lanes != 0; lanes &= lanes - 1) f(std::countr_zero(lanes));
}

}  // namespace

TailedLog::TailedLog(std::string path, LogOptions options)
    : path_(std::move(path)), options_(options) {}

TailedLog::Generation* TailedLog::Find(uint64_t number) {
  for (Generation& g : chain_)
    if (g.number == number) return &g;
  return nullptr;
}

const TailedLog::Generation* TailedLog::Find(uint64_t number) const {
  return const_cast<TailedLog*>(this)->Find(number);
}

LaneMask TailedLog::AllLanes() const {
  LaneMask all = 0;
  for (const Cursor& c : cursors_)
    if (!c.straggler) all |= c.lanes;
  return all;
}

void TailedLog::PutCursor(int lane, const Generation& generation, uint64_t offset) {
  for (Cursor& c : cursors_) {
    // Lanes that start together stay together from the first read on.
    if (c.generation == generation.number && c.offset == offset && !c.straggler &&
        !c.lines.HasOpen() &&
        generation.lanes[static_cast<size_t>(std::countr_zero(c.lanes))].done ==
            generation.lanes[static_cast<size_t>(lane)].done) {
      c.lanes |= LaneBit(lane);
      return;
    }
  }
  Cursor cursor{.generation = generation.number,
                .offset = offset,
                .lanes = LaneBit(lane),
                .straggler = false,
                .quiet_since = {},
                .guard = {},
                .lines = LineAssembler(options_.format, options_.max_line)};
  if (offset > 0 && generation.file && !generation.ended) {
    const uint64_t guard = std::min<uint64_t>(offset, kTailBytes);
    if (!generation.file->Read(offset - guard, guard, cursor.guard)) cursor.guard.clear();
    // A place inside a line is one whose head was cut and delivered, or never wanted.
    if (!cursor.guard.empty() && cursor.guard.back() != '\n' && cursor.guard.back() != '\0')
      cursor.lines.SkipToNewline();
  }
  cursors_.push_back(std::move(cursor));
}

// Where a cursor at the end of its file goes next. False if there is nothing for it to do.
bool TailedLog::Step(Cursor& cursor, Duration now, bool& changed) {
  const Generation* const here = Find(cursor.generation);
  const Generation* next = nullptr;
  for (const Generation& g : chain_)
    if (g.number > cursor.generation && (next == nullptr || g.number < next->number)) next = &g;
  if (cursor.straggler || next == nullptr) return false;
  // The old file's writer may still be at it until the new one has bytes.
  if (here != nullptr && !here->ended && next->size == 0 && next == &chain_.back() && at_path_ &&
      now - here->left < kStragglerGrace)
    return false;
  cursor.generation = next->number;
  cursor.offset = 0;
  if (!cursor.lines.HasOpen()) {
    uint64_t resume = UINT64_MAX;
    ForEachLane(cursor.lanes, [&](int lane) {
      resume = std::min(resume, next->lanes[static_cast<size_t>(lane)].resume);
    });
    cursor.offset = resume;
  }
  cursor.guard.clear();
  cursor.stalled_at = UINT64_MAX;
  return changed = true;
}

bool TailedLog::Read(LaneMask open, UnixNs wall, Duration now, CheckpointJournal& journal,
                     Reading& out, std::vector<Gap>& gaps) {
  // Rotated files first: they are the ones that may go away.
  std::sort(cursors_.begin(), cursors_.end(), [](const Cursor& a, const Cursor& b) {
    return a.generation != b.generation ? a.generation < b.generation : a.offset < b.offset;
  });
  for (size_t i = 0; i < cursors_.size(); ++i) {
    if ((cursors_[i].lanes & open) == 0) continue;
    if (const LaneMask left_behind = cursors_[i].lanes & ~open; left_behind != 0) {
      Cursor stays = cursors_[i];
      stays.lanes = left_behind;
      cursors_[i].lanes &= open;
      cursors_.push_back(std::move(stays));
    }
    if (ReadAt(i, wall, now, journal, out, gaps)) return true;
  }
  Merge();
  return false;
}

bool TailedLog::ReadAt(size_t index, UnixNs wall, Duration now, CheckpointJournal& journal,
                       Reading& out, std::vector<Gap>& gaps) {
  for (bool walked = true; walked;) {
    walked = false;
    Cursor& c = cursors_[index];
    Generation* const g = Find(c.generation);
    const uint64_t size = g == nullptr || g->ended ? c.offset : g->size;
    const bool leaving = g == nullptr || g->number != chain_.back().number || c.straggler;
    const bool deleted =
        g != nullptr && !g->linked && now - last_growth_ > options_.partial_timeout;
    const bool last = leaving || deleted;
    if (size <= c.offset || (c.stalled_at == size && !last)) {
      if (Step(c, now, walked)) continue;
      if (!c.lines.HasOpen()) return false;
      // Parts whose end does not come.
      const Duration limit = deleted ? now : now - options_.partial_timeout;
      out.arena = std::make_shared<Arena>();
      c.lines.FlushOpen(out.arena->bytes, limit, out.records, out.counts);
      for (const auto& list : out.records) out.lines += list.size();
      if (out.lines == 0) return false;
      Finish(c, out);
      return true;
    }
    uint64_t to = size;
    for (const Cursor& other : cursors_)
      if (other.generation == c.generation && other.offset > c.offset && !other.straggler)
        to = std::min(to, other.offset);  // so that it comes to lie where the other one does
    const size_t chunk = std::max(kChunk, options_.max_line + 4096);
    const auto wanted = static_cast<size_t>(std::min<uint64_t>(to - c.offset, chunk));
    auto arena = std::make_shared<Arena>();
    const size_t guard = c.guard.size();
    arena->bytes.reserve(guard + wanted + 64);
    if (auto read = g->file->Read(c.offset - guard, guard + wanted, arena->bytes); !read) {
      last_error_ = read.error().ToString();
      Gap gap{1, path_ + ": " + last_error_};
      gaps.push_back(std::move(gap));
      g->ended = true;
      continue;
    }
    if (arena->bytes.size() < guard || arena->bytes.compare(0, guard, c.guard) != 0) {
      Truncated(*g, g->size, now, journal, gaps);
      return ReadAt(index, wall, now, journal, out, gaps);
    }
    if (arena->bytes.size() == guard) return false;  // shrank since; the next look finds out
    const bool whole = arena->bytes.size() - guard == size - c.offset;
    uint64_t done = UINT64_MAX;
    ForEachLane(c.lanes,
                [&](int lane) { done = std::min(done, g->lanes[static_cast<size_t>(lane)].done); });
    const size_t data_end = arena->bytes.size();
    const LineAssembler::Input in{.begin = guard,
                                  .at = {g->number, c.offset},
                                  .done = done,
                                  .last = last && whole,
                                  .now = wall,
                                  .steady = now};
    const size_t consumed = c.lines.Feed(arena->bytes, in, out.records, out.counts);
    if (consumed == 0) {
      c.stalled_at = size;
      if (last && whole) return false;
      if (!last) return false;
    }
    const size_t at = guard + consumed;
    const size_t keep = std::min<size_t>(at, kTailBytes);
    c.guard.assign(arena->bytes, at - keep, keep);
    c.offset += consumed;
    if (out.counts.nul_bytes > 0 && at == data_end && c.guard.back() == '\0') {
      // A hole may be long: step over it at once.
      const uint64_t next = std::min(g->file->NextData(c.offset), size);
      if (next > c.offset) {
        c.guard.clear();
        c.offset = next;
      }
    }
    g->read_end = std::max(g->read_end, c.offset);
    for (const auto& list : out.records) out.lines += list.size();
    out.arena = std::move(arena);
    Finish(c, out);
    Merge();
    return true;
  }
  return false;
}

// Makes what was read a unit of every lane of the cursor.
void TailedLog::Finish(Cursor& cursor, Reading& out) {
  out.lanes = cursor.lanes;
  out.unit = next_unit_++;
  const Place end{cursor.generation, cursor.offset};
  const Unit unit{out.unit,         end,  cursor.lines.OldestOpen().value_or(end), out.lines,
                  cursor.straggler, false};
  ForEachLane(cursor.lanes,
              [&](int lane) { outstanding_[static_cast<size_t>(lane)].push_back(unit); });
}

void TailedLog::Merge() {
  for (size_t i = 0; i < cursors_.size(); ++i) {
    for (size_t j = i + 1; j < cursors_.size();) {
      Cursor& a = cursors_[i];
      Cursor& b = cursors_[j];
      if (a.generation == b.generation && a.offset == b.offset && !a.straggler && !b.straggler &&
          a.lines.OldestOpen() == b.lines.OldestOpen() &&
          a.lines.skipping() == b.lines.skipping()) {
        a.lanes |= b.lanes;
        cursors_.erase(cursors_.begin() + static_cast<ptrdiff_t>(j));
      } else {
        ++j;
      }
    }
  }
}

uint64_t TailedLog::Settle(int lane, uint64_t unit) {
  auto& units = outstanding_[static_cast<size_t>(lane)];
  uint64_t lines = 0;
  for (Unit& u : units) {
    if (u.id != unit) continue;
    u.settled = true;
    lines = u.lines;
    break;
  }
  while (!units.empty() && units.front().settled) {
    Commit(lane, units.front());
    units.pop_front();
  }
  return lines;
}

void TailedLog::Commit(int lane, const Unit& unit) {
  const auto l = static_cast<size_t>(lane);
  for (Generation& g : chain_) {
    LanePlace place = g.lanes[l];
    if (g.number == unit.end.generation) {
      place.done = std::max(place.done, unit.end.offset);
      place.resume = unit.resume.generation == g.number ? unit.resume.offset
                     : unit.straggler                   ? unit.end.offset
                                                        : 0;
      // Parts from the file before keep this one to be read from its beginning as well.
      if (unit.resume.generation < g.number) place.resume = 0;
    } else if (g.number < unit.end.generation && !unit.straggler) {
      if (g.number < unit.resume.generation) {
        place.resume = place.done = std::max(place.done, g.read_end);
      } else if (g.number == unit.resume.generation) {
        place.resume = unit.resume.offset;
        place.done = std::max(place.done, g.read_end);
      } else {
        place.resume = 0;
        place.done = std::max(place.done, g.read_end);
      }
    } else {
      continue;
    }
    g.dirty |= place.resume != g.lanes[l].resume || place.done != g.lanes[l].done;
    g.lanes[l] = place;
  }
}

uint64_t TailedLog::Rewind(int lane) {
  auto& units = outstanding_[static_cast<size_t>(lane)];
  uint64_t lines = 0;
  for (const Unit& u : units)
    if (!u.settled) lines += u.lines;
  // Settled units behind an unsettled one were never committed: they are read again as well, but
  // their lines are delivered and stay out of the account.
  units.clear();
  Detach(lane);
  for (const Generation& g : chain_) {
    const LanePlace& place = g.lanes[static_cast<size_t>(lane)];
    if (place.resume >= g.size && &g != &chain_.back()) continue;
    PutCursor(lane, g, place.resume);
    break;
  }
  return lines;
}

void TailedLog::AddLane(int lane) {
  wanted_ |= LaneBit(lane);
  if (chain_.empty()) return;
  Place ahead{chain_.back().number, chain_.back().size};
  bool found = false;
  for (const Cursor& c : cursors_) {
    if (c.straggler || (found && Place{c.generation, c.offset} <= ahead)) continue;
    ahead = {c.generation, c.offset};
    found = true;
  }
  for (Generation& g : chain_) {
    LanePlace& place = g.lanes[static_cast<size_t>(lane)];
    place.resume = place.done = g.number < ahead.generation    ? g.size
                                : g.number == ahead.generation ? ahead.offset
                                                               : 0;
    g.dirty = true;
  }
  if (const Generation* g = Find(ahead.generation)) PutCursor(lane, *g, ahead.offset);
}

void TailedLog::RemoveLane(int lane) {
  wanted_ &= ~LaneBit(lane);
  Detach(lane);
}

void TailedLog::Detach(int lane) {
  for (Cursor& c : cursors_) c.lanes &= ~LaneBit(lane);
  std::erase_if(cursors_, [](const Cursor& c) { return c.lanes == 0; });
  outstanding_[static_cast<size_t>(lane)].clear();
}

uint64_t TailedLog::Pending(LaneMask open) const {
  uint64_t pending = 0;
  for (const Cursor& c : cursors_) {
    if ((c.lanes & open) == 0) continue;
    uint64_t bytes = 0;
    for (const Generation& g : chain_) {
      if (g.ended || g.number < c.generation) continue;
      bytes += g.number == c.generation ? g.size - std::min(g.size, c.offset) : g.size;
    }
    pending = std::max(pending, bytes);
  }
  return pending;
}

bool TailedLog::Wants(LaneMask open) const {
  return std::any_of(cursors_.begin(), cursors_.end(), [&](const Cursor& c) {
    if ((c.lanes & open) == 0) return false;
    const Generation* g = Find(c.generation);
    return c.lines.HasOpen() || g == nullptr || g->ended || c.generation != chain_.back().number ||
           (g->size > c.offset && (c.stalled_at != g->size || !g->linked));
  });
}

uint64_t TailedLog::LagBytes(LaneMask lanes) const {
  uint64_t lag = 0;
  ForEachLane(lanes, [&](int lane) {
    uint64_t bytes = 0;
    for (const Generation& g : chain_)
      if (!g.ended) bytes += g.size - std::min(g.size, g.lanes[static_cast<size_t>(lane)].done);
    lag = std::max(lag, bytes);
  });
  return lag;
}

uint64_t TailedLog::AckedOffset(LaneMask lanes) const {
  uint64_t acked = UINT64_MAX;
  if (chain_.empty()) return 0;
  ForEachLane(lanes, [&](int lane) {
    acked = std::min(acked, chain_.back().lanes[static_cast<size_t>(lane)].done);
  });
  return acked == UINT64_MAX ? 0 : acked;
}

uint64_t TailedLog::ReadOffset() const {
  uint64_t offset = 0;
  for (const Cursor& c : cursors_)
    if (!chain_.empty() && c.generation == chain_.back().number)
      offset = std::max(offset, c.offset);
  return offset;
}

uint64_t TailedLog::HeldBytes() const {
  uint64_t bytes = 0;
  for (const Cursor& c : cursors_) bytes += c.lines.HeldBytes();
  return bytes;
}

}  // namespace picket::collectors::logs
