// SPDX-License-Identifier: Apache-2.0
// One log: a path and the files that were at it, oldest first, and who has read how far.
#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "collectors/logs/checkpoint.h"
#include "collectors/logs/config.h"
#include "collectors/logs/lines.h"
#include "collectors/logs/source_file.h"
#include "core/base/clock.h"
#include "core/budget/budget.h"

namespace picket::collectors::logs {

/// Destinations are lanes: each has its own place in every file, so that a slow one is left behind
/// without holding up the others. Lanes at the same place share one read and one parse.
using LaneMask = uint32_t;
inline constexpr int kMaxLanes = 32;
inline LaneMask LaneBit(int lane) { return LaneMask{1} << lane; }

/// The memory of one read, freed with the last batch that points into it.
struct Arena {
  std::string bytes;
  BudgetLease lease;
  std::shared_ptr<std::atomic<uint64_t>> live;  ///< bytes of all arenas, while this one is counted
  uint64_t counted = 0;
  ~Arena() {
    if (live) live->fetch_sub(counted);
  }
  std::deque<std::string> unescaped;  ///< JSON values that are not in `bytes` as they are
};

/// What one read gave. `unit` names it for acknowledgement, on every lane in `lanes`.
struct Reading {
  LaneMask lanes = 0;
  uint64_t unit = 0;
  uint64_t lines = 0;
  std::shared_ptr<Arena> arena;
  RecordLists records;
  LineCounts counts;
};

/// Lines that were lost before they could be read. `lines` is 1 when their number is not known.
struct Gap {
  uint64_t lines = 0;
  std::string detail;
};

struct LogOptions {
  Format format = Format::kAuto;
  size_t max_line = 256 * 1024;
  Duration partial_timeout = std::chrono::seconds(10);
};

/// Reading and checkpoints of one path. Rotation by rename, copy and truncation, deletion and a
/// retargeted link all end one generation and begin the next; a reader walks them in order and
/// keeps the state of its joins, so that a record cut in two by a rotation is one record. Threads:
/// one. Errors: a generation that cannot be read is set aside with its error; the others go on.
class TailedLog {
 public:
  TailedLog(std::string path, LogOptions options);

  /// Opens the file at the path. `start` of lanes without marks: beginning, or the present end.
  /// With `marks` (of this path, any order) it goes on where they stopped: in the file itself, in a
  /// rotated one found by inode and content, or from the beginning of files that came since.
  /// Without marks, files rotated from it and written to after `rotated_since` are read as well.
  void Open(std::vector<FileMark> marks, const std::vector<std::string>& lane_names, LaneMask lanes,
            bool from_end, UnixNs rotated_since, CheckpointJournal& journal,
            std::vector<Gap>& gaps);

  /// Looks for growth, rotation, truncation, deletion.
  /// `thorough` also asks what is at the path now, not only how the open files grew.
  void Look(Duration now, bool thorough, CheckpointJournal& journal, std::vector<Gap>& gaps);
  /// Reads one quantum for some of `open` lanes. False if there is nothing to read for them.
  bool Read(LaneMask open, UnixNs wall, Duration now, CheckpointJournal& journal, Reading& out,
            std::vector<Gap>& gaps);

  /// A unit was delivered on a lane. Returns the number of its lines.
  uint64_t Settle(int lane, uint64_t unit);
  /// The lane's undelivered units came back: reads them again. Returns the lines they had.
  uint64_t Rewind(int lane);
  /// A lane begins here: at the place of the one that is ahead.
  void AddLane(int lane);
  void RemoveLane(int lane);

  /// Puts what changed since into the journal, and drops generations that are done with.
  void StageMarks(const std::vector<std::string>& lane_names, Duration now,
                  CheckpointJournal& journal);
  /// Gives up the oldest deleted file. Returns its unread bytes, 0 if there is none.
  uint64_t AbandonDeleted(std::vector<Gap>& gaps);

  const std::string& path() const { return path_; }
  bool Knows(uint64_t device, uint64_t inode) const;
  bool Owns(uint32_t mark) const;
  /// Whether `file` begins like one of the files that are or were read here: a copy.
  bool IsCopy(const SourceFile& file) const;
  /// Nothing is at the path, all was read and delivered: it can be forgotten.
  bool Finished(Duration now) const;
  uint64_t UnreadDeletedBytes() const;
  /// Bytes written and not yet acknowledged by every lane; bytes not yet read by the leading one.
  uint64_t LagBytes(LaneMask lanes) const;
  uint64_t Pending(LaneMask open) const;
  /// How far the leading lane has read in the present file.
  uint64_t ReadOffset() const;
  void SetOptions(const LogOptions& options) { options_ = options; }
  uint64_t size() const { return chain_.empty() ? 0 : chain_.back().size; }
  uint64_t AckedOffset(LaneMask lanes) const;
  bool rotated() const { return chain_.size() > 1; }
  Duration last_growth() const { return last_growth_; }
  /// When the oldest bytes not yet acknowledged were first seen; zero if there are none.
  Duration behind_since() const { return behind_since_; }
  const std::string& last_error() const { return last_error_; }
  uint64_t HeldBytes() const;
  /// There is something to read, or parts that wait for a timeout.
  bool Wants(LaneMask open) const;
  bool empty() const { return chain_.empty(); }

 private:
  struct LanePlace {
    uint64_t resume = 0;
    uint64_t done = 0;
  };
  struct Generation {
    uint64_t number = 0;
    uint32_t mark = 0;  // id in the journal
    std::unique_ptr<SourceFile> file;
    Fingerprint fingerprint;
    uint64_t size = 0;      // when last looked at
    uint64_t read_end = 0;  // furthest byte any lane has read
    bool linked = true;
    bool ended = false;  // its bytes are not there any more: truncated, or unreadable
    bool dirty = true;
    LaneMask marked = 0;  // lanes the checkpoint knew
    Duration left{};      // when another file took its place
    std::array<LanePlace, kMaxLanes> lanes{};
  };
  struct Cursor {
    uint64_t generation = 0;
    uint64_t offset = 0;
    LaneMask lanes = 0;
    bool straggler = false;            // late bytes of a file that was left: does not walk on
    uint64_t stalled_at = UINT64_MAX;  // size at which the rest had no end of line
    Duration quiet_since{};
    std::string guard;  // the bytes before `offset`, to notice that they are not the same any more
    LineAssembler lines;
  };
  struct Unit {
    uint64_t id = 0;
    Place end;
    Place resume;
    uint64_t lines = 0;
    bool straggler = false;
    bool settled = false;
  };

  Generation* Find(uint64_t number);
  const Generation* Find(uint64_t number) const;
  Generation& Push(std::unique_ptr<SourceFile> file, const FileState& state,
                   CheckpointJournal& journal);
  std::unique_ptr<SourceFile> Locate(const FileMark& mark, const SourceFile* at_path,
                                     const std::vector<Sibling>& siblings);
  void AddRotatedWhileAway(int64_t after_ns, const std::vector<Sibling>& siblings,
                           CheckpointJournal& journal);
  void PlaceLanes(const std::vector<std::string>& lane_names, LaneMask lanes, bool known,
                  bool from_end);
  void PutCursor(int lane, const Generation& generation, uint64_t offset);
  void LookAtPath(Duration now, CheckpointJournal& journal);
  void LookAt(size_t index, Duration now, CheckpointJournal& journal, std::vector<Gap>& gaps);
  void Truncated(Generation& generation, uint64_t seen, Duration now, CheckpointJournal& journal,
                 std::vector<Gap>& gaps);
  void CatchStragglers(Generation& generation);
  bool Step(Cursor& cursor, Duration now, bool& changed);
  bool ReadAt(size_t index, UnixNs wall, Duration now, CheckpointJournal& journal, Reading& out,
              std::vector<Gap>& gaps);
  void Finish(Cursor& cursor, Reading& out);
  void Merge();
  void Detach(int lane);
  void Commit(int lane, const Unit& unit);
  void Retire(Duration now, CheckpointJournal& journal);
  LaneMask AllLanes() const;
  bool Idle(const Generation& generation) const;
  bool AllDelivered() const;

  std::string path_;
  LogOptions options_;
  std::deque<Generation> chain_;
  std::vector<Cursor> cursors_;
  std::array<std::deque<Unit>, kMaxLanes> outstanding_;
  std::vector<Fingerprint> past_heads_;  // of generations that left, to know copies of them
  uint64_t next_generation_ = 1;
  uint64_t next_unit_ = 1;
  LaneMask wanted_ = 0;   // the lanes there are
  bool at_path_ = false;  // the last generation is the file at the path
  Duration gone_since_{};
  Duration last_growth_{};
  Duration behind_since_{};
  std::string last_error_;
};

}  // namespace picket::collectors::logs
