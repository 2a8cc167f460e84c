// SPDX-License-Identifier: Apache-2.0
// How the files at a path follow each other: resumption, rotation, truncation, deletion.
#include <algorithm>

#include "collectors/logs/tailed_log.h"
#include "core/base/log.h"

namespace picket::collectors::logs {
namespace {

constexpr Duration kRotatedGrace = std::chrono::seconds(10);
constexpr size_t kPastHeads = 8;
constexpr uint32_t kEnoughToRecognise = 32;

// What rotation appends: numbers, dates, "old". Not another log's name.
bool IsRotationSuffix(const std::string& log, const std::string& sibling) {
  std::string_view rest(sibling);
  const std::string_view stem = std::string_view(log).substr(0, log.rfind('.'));
  if (rest.starts_with(log))
    rest.remove_prefix(log.size());
  else if (rest.starts_with(stem))
    rest.remove_prefix(stem.size());
  if (rest.ends_with(".log")) rest.remove_suffix(4);
  return rest == ".old" || rest.find_first_not_of("0123456789-_.:TZ") == std::string_view::npos;
}

}  // namespace

TailedLog::Generation& TailedLog::Push(std::unique_ptr<SourceFile> file, const FileState& state,
                                       CheckpointJournal& journal) {
  Generation g;
  g.number = next_generation_++;
  g.mark = journal.NewId();
  g.fingerprint.device = state.device;
  g.fingerprint.inode = state.inode;
  file->UpdateHead(state.size, g.fingerprint);
  g.size = state.size;
  g.linked = state.linked;
  g.file = std::move(file);
  chain_.push_back(std::move(g));
  return chain_.back();
}

std::unique_ptr<SourceFile> TailedLog::Locate(const FileMark& mark, const SourceFile* at_path,
                                              const std::vector<Sibling>& siblings) {
  uint32_t known = mark.fingerprint.head_length;
  for (const auto& [name, lane] : mark.lanes) known = std::min(known, lane.tail_length);
  // By inode first; then by content alone, which finds the copy that a truncation left.
  for (const bool by_inode : {true, false}) {
    if (!by_inode && known < kEnoughToRecognise) break;
    auto fits = [&](const SourceFile& file) {
      const auto state = file.Stat();
      const bool same = state && state->inode == mark.fingerprint.inode &&
                        state->device == mark.fingerprint.device;
      return state && same == by_inode && !Knows(state->device, state->inode) &&
             file.Continues(mark);
    };
    if (at_path != nullptr && fits(*at_path))
      if (auto file = at_path->Duplicate()) return *std::move(file);
    for (const Sibling& place : siblings)
      if (auto file = SourceFile::Open(place.path); file && fits(**file)) return *std::move(file);
  }
  return nullptr;
}

void TailedLog::AddRotatedWhileAway(int64_t after_ns, const std::vector<Sibling>& siblings,
                                    CheckpointJournal& journal) {
  for (const Sibling& s : siblings) {
    if (s.state.mtime_ns < after_ns || Knows(s.state.device, s.state.inode) ||
        !IsRotationSuffix(path_, s.path))
      continue;
    auto file = SourceFile::Open(s.path);
    if (!file || IsCopy(**file)) continue;
    // Names move on while they are looked at: what was opened counts.
    const auto state = (*file)->Stat();
    if (state && !Knows(state->device, state->inode)) Push(*std::move(file), *state, journal);
  }
}

void TailedLog::Open(std::vector<FileMark> marks, const std::vector<std::string>& lane_names,
                     LaneMask lanes, bool from_end, UnixNs rotated_since,
                     CheckpointJournal& journal, std::vector<Gap>& gaps) {
  wanted_ = lanes;
  std::sort(marks.begin(), marks.end(),
            [](const FileMark& a, const FileMark& b) { return a.generation < b.generation; });
  // The path first, its siblings then: what is rotated in between is seen twice rather than not.
  auto at_path = SourceFile::Open(path_);
  const std::vector<Sibling> siblings =
      marks.empty() && rotated_since == INT64_MAX ? std::vector<Sibling>{} : ListSiblings(path_);
  int64_t newest_ns = marks.empty() ? rotated_since : INT64_MIN;
  for (const FileMark& mark : marks) {
    next_generation_ = std::max(next_generation_, mark.generation + 1);
    std::unique_ptr<SourceFile> file = Locate(mark, at_path ? at_path->get() : nullptr, siblings);
    const Result<FileState> state = file ? file->Stat() : Fail(ErrorKind::kNotFound, path_);
    if (!state) {
      const bool unread = std::any_of(mark.lanes.begin(), mark.lanes.end(), [&](const auto& lane) {
        return lane.second.done < mark.size;
      });
      if (unread)
        gaps.push_back(
            {1, path_ + ": gone while Picket was away, with bytes that were not delivered"});
      journal.Forget(mark.id);
      continue;
    }
    Generation g;
    g.number = mark.generation;
    g.mark = mark.id;
    g.fingerprint = mark.fingerprint;
    g.fingerprint.device = state->device;
    g.fingerprint.inode = state->inode;
    g.size = state->size;
    g.linked = state->linked;
    for (size_t l = 0; l < lane_names.size(); ++l)
      if (const auto it = mark.lanes.find(lane_names[l]); it != mark.lanes.end()) {
        g.lanes[l] = {it->second.resume, it->second.done};
        g.marked |= LaneBit(static_cast<int>(l));
      }
    g.file = std::move(file);
    newest_ns = std::max(newest_ns, state->mtime_ns);
    chain_.push_back(std::move(g));
  }
  const Result<FileState> current = at_path ? (*at_path)->Stat() : Fail(at_path.error());
  at_path_ = current && !chain_.empty() && current->inode == chain_.back().fingerprint.inode &&
             current->device == chain_.back().fingerprint.device;
  const bool known = !marks.empty();
  if (!at_path_) {
    if (newest_ns != INT64_MIN) AddRotatedWhileAway(newest_ns, siblings, journal);
    if (!current) {
      if (current.error().kind() != ErrorKind::kNotFound || !known)
        last_error_ = current.error().ToString();
    } else if (!Knows(current->device, current->inode)) {
      Push(*std::move(at_path), *current, journal);
      at_path_ = true;
    }
  }
  PlaceLanes(lane_names, lanes, known, from_end);
}

// Where each lane begins: behind its marks; without any, where the others are, or at `from_end`.
void TailedLog::PlaceLanes(const std::vector<std::string>& lane_names, LaneMask lanes, bool known,
                           bool from_end) {
  if (chain_.empty()) return;
  LaneMask unknown = 0;
  for (size_t l = 0; l < lane_names.size(); ++l) {
    const int lane = static_cast<int>(l);
    if ((lanes & LaneBit(lane)) == 0) continue;
    const bool marked = std::any_of(chain_.begin(), chain_.end(), [&](const Generation& g) {
      return (g.marked & LaneBit(lane)) != 0;
    });
    if (!marked && known) {
      unknown |= LaneBit(lane);
      continue;
    }
    if (!known && from_end) {
      Generation& g = chain_.back();
      g.lanes[l] = {g.size, g.size};
      g.read_end = g.size;
    }
    for (const Generation& g : chain_) {
      if (g.lanes[l].resume >= g.size && &g != &chain_.back()) continue;
      PutCursor(lane, g, g.lanes[l].resume);
      break;
    }
  }
  for (Generation& g : chain_)
    for (const LanePlace& place : g.lanes) g.read_end = std::max(g.read_end, place.done);
  for (size_t l = 0; l < lane_names.size(); ++l) {
    if ((unknown & LaneBit(static_cast<int>(l))) == 0) continue;
    if (cursors_.empty())
      PutCursor(static_cast<int>(l), chain_.front(), 0);
    else
      AddLane(static_cast<int>(l));
  }
}

void TailedLog::Look(Duration now, bool thorough, CheckpointJournal& journal,
                     std::vector<Gap>& gaps) {
  if (thorough || !at_path_) LookAtPath(now, journal);
  for (size_t i = 0; i < chain_.size(); ++i) LookAt(i, now, journal, gaps);
  for (Generation& g : chain_) CatchStragglers(g);
  if (LagBytes(AllLanes()) == 0)
    behind_since_ = Duration::zero();
  else if (behind_since_ == Duration::zero())
    behind_since_ = now;
}

void TailedLog::LookAtPath(Duration now, CheckpointJournal& journal) {
  const Result<FileState> state = StatPath(path_);
  if (!state) {
    if (state.error().kind() != ErrorKind::kNotFound) last_error_ = state.error().ToString();
    if (at_path_ || gone_since_ == Duration::zero()) gone_since_ = now;
    if (at_path_ && !chain_.empty()) chain_.back().left = now;
    at_path_ = false;
    return;
  }
  if (!chain_.empty() && chain_.back().fingerprint.inode == state->inode &&
      chain_.back().fingerprint.device == state->device) {
    at_path_ = true;
    return;
  }
  if (Knows(state->device, state->inode)) return;
  auto file = SourceFile::Open(path_);
  if (!file) {
    last_error_ = file.error().ToString();
    return;
  }
  const auto opened = (*file)->Stat();
  if (!opened || Knows(opened->device, opened->inode)) return;
  const bool first = chain_.empty();
  if (!first && at_path_) chain_.back().left = now;
  if (!first) {
    // It may have been rotated more than once since the last look.
    if (const auto last = chain_.back().file->Stat(); last && !chain_.back().ended)
      AddRotatedWhileAway(last->mtime_ns, ListSiblings(path_), journal);
    for (Generation& g : chain_)
      if (g.left == Duration::zero()) g.left = now;
    // Rotated again since it was opened: the next look finds what is there now.
    if (Knows(opened->device, opened->inode)) {
      at_path_ = false;
      return;
    }
  }
  const LaneMask lanes = AllLanes();
  Generation& g = Push(*std::move(file), *opened, journal);
  at_path_ = true;
  last_growth_ = now;
  last_error_.clear();
  if (first)
    for (int lane = 0; lane < kMaxLanes; ++lane)
      if ((wanted_ & LaneBit(lane)) != 0 && (lanes & LaneBit(lane)) == 0) PutCursor(lane, g, 0);
}

void TailedLog::LookAt(size_t index, Duration now, CheckpointJournal& journal,
                       std::vector<Gap>& gaps) {
  Generation& g = chain_[index];
  if (g.ended) return;
  const Result<FileState> state = g.file->Stat();
  if (!state) {
    last_error_ = state.error().ToString();
    gaps.push_back({1, path_ + ": " + last_error_});
    g.ended = true;
    return;
  }
  g.linked = state->linked;
  uint64_t furthest = g.read_end;
  for (const Cursor& c : cursors_)
    if (c.generation == g.number) furthest = std::max(furthest, c.offset);
  if (state->size < furthest || state->size < g.size) {
    const uint64_t seen = g.size;
    g.size = state->size;
    return Truncated(g, seen, now, journal, gaps);
  }
  if (state->size != g.size) last_growth_ = now;
  g.size = state->size;
  g.dirty |= g.file->UpdateHead(g.size, g.fingerprint);
}

// The bytes a reader stood behind are gone: the file was cut, perhaps after it was copied.
void TailedLog::Truncated(Generation& g, uint64_t seen, Duration now, CheckpointJournal& journal,
                          std::vector<Gap>& gaps) {
  const bool current = &g == &chain_.back();
  uint64_t behind = seen;
  for (const Cursor& c : cursors_)
    if (c.generation == g.number) behind = std::min(behind, c.offset);
  auto fresh = current ? g.file->Duplicate() : Fail(ErrorKind::kNotFound, path_);
  std::unique_ptr<SourceFile> copy;
  FileState state;
  const std::vector<Sibling> siblings = ListSiblings(path_);
  for (auto s = siblings.rbegin(); s != siblings.rend() && !copy; ++s) {
    if (s->state.size < std::max(g.read_end, behind) || Knows(s->state.device, s->state.inode))
      continue;
    auto file = SourceFile::Open(s->path);
    if (!file || g.fingerprint.head_length == 0 || !(*file)->SameHead(g.fingerprint)) continue;
    const bool same = std::all_of(cursors_.begin(), cursors_.end(), [&](const Cursor& c) {
      std::string before;
      return c.generation != g.number || c.guard.empty() ||
             ((*file)->Read(c.offset - c.guard.size(), c.guard.size(), before) &&
              before == c.guard);
    });
    if (!same) continue;
    copy = *std::move(file);
    state = s->state;
  }
  past_heads_.push_back(g.fingerprint);
  if (past_heads_.size() > kPastHeads) past_heads_.erase(past_heads_.begin());
  g.left = now;
  g.dirty = true;
  if (copy) {
    g.file = std::move(copy);
    g.fingerprint.device = state.device;
    g.fingerprint.inode = state.inode;
    g.size = state.size;
    for (Cursor& c : cursors_)
      if (c.generation == g.number) c.stalled_at = UINT64_MAX;
  } else {
    g.ended = true;
    if (seen > behind)
      gaps.push_back({1, path_ + ": truncated with " + std::to_string(seen - behind) +
                             " bytes that were not read"});
    log::Warn("A log file was truncated; reading from its beginning",
              {{"path", path_}, {"unread_bytes", seen - std::min(seen, behind)}});
  }
  if (!fresh) return;
  if (auto now_state = (*fresh)->Stat()) Push(*std::move(fresh), *now_state, journal);
}

// Bytes that came into a file after everyone had left it for its successor.
void TailedLog::CatchStragglers(Generation& g) {
  if (g.ended || g.size <= g.read_end || &g == &chain_.back()) return;
  const bool someone = std::any_of(cursors_.begin(), cursors_.end(),
                                   [&](const Cursor& c) { return c.generation <= g.number; });
  const LaneMask lanes = AllLanes();
  if (someone || lanes == 0) return;
  Cursor cursor{.generation = g.number,
                .offset = g.read_end,
                .lanes = lanes,
                .straggler = true,
                .quiet_since = {},
                .guard = {},
                .lines = LineAssembler(options_.format, options_.max_line)};
  cursors_.push_back(std::move(cursor));
}

bool TailedLog::Idle(const Generation& g) const {
  const bool read = std::none_of(cursors_.begin(), cursors_.end(), [&](const Cursor& c) {
    return c.generation <= g.number && (!c.straggler || c.offset < g.size || c.lines.HasOpen());
  });
  const bool delivered =
      std::all_of(outstanding_.begin(), outstanding_.end(), [&](const std::deque<Unit>& units) {
        return std::none_of(units.begin(), units.end(), [&](const Unit& u) {
          return std::min(u.end, u.resume).generation <= g.number;
        });
      });
  return read && delivered;
}

void TailedLog::Retire(Duration now, CheckpointJournal& journal) {
  while (chain_.size() > 1 && Idle(chain_.front()) &&
         (chain_.front().ended || now - chain_.front().left > kRotatedGrace)) {
    Generation& g = chain_.front();
    std::erase_if(cursors_, [&](const Cursor& c) { return c.generation <= g.number; });
    past_heads_.push_back(g.fingerprint);
    if (past_heads_.size() > kPastHeads) past_heads_.erase(past_heads_.begin());
    // While some name is left, the mark says that this file was read already.
    if (g.ended || !g.linked) journal.Forget(g.mark);
    chain_.pop_front();
  }
}

void TailedLog::StageMarks(const std::vector<std::string>& lane_names, Duration now,
                           CheckpointJournal& journal) {
  for (Generation& g : chain_) {
    if (!g.dirty) continue;
    g.dirty = false;
    if (g.ended) {
      // Nothing of it can be read again.
      if (&g != &chain_.back()) journal.Forget(g.mark);
      continue;
    }
    FileMark mark{g.mark, path_, g.number, g.fingerprint, g.size, {}};
    for (size_t l = 0; l < lane_names.size(); ++l) {
      if ((wanted_ & LaneBit(static_cast<int>(l))) == 0) continue;
      LaneMark lane{g.lanes[l].resume, g.lanes[l].done, 0, 0};
      lane.tail_length = static_cast<uint32_t>(std::min<uint64_t>(lane.resume, kTailBytes));
      if (!g.file->Hash(lane.resume - lane.tail_length, lane.tail_length, lane.tail_hash))
        lane.tail_length = 0;
      mark.lanes.emplace(lane_names[l], lane);
    }
    journal.Put(std::move(mark));
  }
  Retire(now, journal);
}

bool TailedLog::Knows(uint64_t device, uint64_t inode) const {
  return std::any_of(chain_.begin(), chain_.end(), [&](const Generation& g) {
    return !g.ended && g.fingerprint.inode == inode && g.fingerprint.device == device;
  });
}

bool TailedLog::Owns(uint32_t mark) const {
  return std::any_of(chain_.begin(), chain_.end(),
                     [&](const Generation& g) { return g.mark == mark; });
}

bool TailedLog::IsCopy(const SourceFile& file) const {
  auto same = [&](const Fingerprint& f) {
    return f.head_length >= kEnoughToRecognise && file.SameHead(f);
  };
  return std::any_of(past_heads_.begin(), past_heads_.end(), same) ||
         std::any_of(chain_.begin(), chain_.end(),
                     [&](const Generation& g) { return same(g.fingerprint); });
}

bool TailedLog::Finished(Duration now) const {
  if (at_path_ || now - gone_since_ < kRotatedGrace + options_.partial_timeout) return false;
  return std::all_of(chain_.begin(), chain_.end(), [&](const Generation& g) {
    const bool read = std::none_of(cursors_.begin(), cursors_.end(), [&](const Cursor& c) {
      return c.generation == g.number && (c.lines.HasOpen() || (!g.ended && c.offset < g.size));
    });
    return read && (&g != &chain_.back() ? Idle(g) : AllDelivered());
  });
}

bool TailedLog::AllDelivered() const {
  return std::all_of(outstanding_.begin(), outstanding_.end(),
                     [](const std::deque<Unit>& units) { return units.empty(); });
}

uint64_t TailedLog::UnreadDeletedBytes() const {
  uint64_t bytes = 0;
  for (const Generation& g : chain_) {
    if (g.linked || g.ended) continue;
    uint64_t from = g.size;
    for (const Cursor& c : cursors_)
      if (c.generation <= g.number) from = std::min(from, c.generation == g.number ? c.offset : 0);
    bytes += g.size - from;
  }
  return bytes;
}

uint64_t TailedLog::AbandonDeleted(std::vector<Gap>& gaps) {
  for (Generation& g : chain_) {
    if (g.linked || g.ended) continue;
    uint64_t from = g.size;
    for (const Cursor& c : cursors_)
      if (c.generation <= g.number) from = std::min(from, c.generation == g.number ? c.offset : 0);
    if (from == g.size) continue;
    gaps.push_back({g.file->CountLines(from), path_ + ": deleted and not read in time"});
    g.ended = true;
    g.dirty = true;
    return g.size - from;
  }
  return 0;
}

}  // namespace picket::collectors::logs
