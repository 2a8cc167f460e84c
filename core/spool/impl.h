// SPDX-License-Identifier: Apache-2.0
// The inside of the spool, shared by the sources of this folder only.
#pragma once
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/base/log.h"
#include "core/spool/flusher.h"
#include "core/spool/format.h"
#include "core/spool/spool.h"

namespace picket::spool {

/// A record's place in the order of this process: dense from 1, 0 is none. (Numbers on disk may
/// have gaps.)
using Position = uint64_t;

struct Entry {
  uint64_t seq;
  Position next;  ///< of the same lane
  UnixMs time_ms;
  uint32_t offset, length, items;
  uint16_t type, lane;
};

struct Segment {
  uint64_t number = 0;
  Position base = 0;  ///< of entries[0]
  std::vector<Entry> entries;
  std::shared_ptr<File> file;
  std::string path;  ///< empty in memory
  uint64_t capacity = 0;
  uint64_t used = 0;
  BudgetLease lease;
  bool dirty = false;
  bool durable() const { return !path.empty(); }
  Position end() const { return base + entries.size(); }
};

/// An empty file that waits to become a segment again: its blocks are taken already.
struct Spare {
  std::shared_ptr<File> file;
  std::string path;
  uint64_t capacity = 0;
};

/// A stretch of numbers that can no longer be read.
struct Damage {
  uint64_t from_seq, to_seq;
  uint64_t items;
  std::string detail;
};

struct Consumer::State {
  std::string name;
  std::shared_ptr<Balance> balance;  ///< null until opened; then for good
  bool open = false;
  uint64_t first_new_seq = 0;
  std::function<void()> waker;
  std::array<Position, kLanes> heads{};
  std::array<uint64_t, kLanes> settled{};  ///< every number below is settled in that lane
  struct Out {
    bool active = false;
    bool evicted = false;                        ///< its segment went while it was out
    DropReason reason = DropReason::kQueueFull;  ///< why it went
    uint32_t read_failures = 0;
  };
  std::array<Out, kLanes> out{};
  uint64_t records = 0, items = 0, bytes = 0;
  std::map<DropReason, uint64_t> lost_unopened;  ///< dropped while there was no balance to count on
  std::shared_ptr<File> cursor;                  ///< null in memory
  std::string path;
  uint64_t generation = 0;
  bool dirty = false;

  uint64_t LowestSettled() const;
};

/// What one eviction or settlement cost, to be counted outside the lock.
struct Loss {
  std::shared_ptr<Balance> balance;
  DropReason reason;
  uint64_t items;
};

class Spool::Impl : public Flushable, public std::enable_shared_from_this<Spool::Impl> {
 public:
  explicit Impl(SpoolOptions options);
  ~Impl() override;

  Status Recover();  // recover.cc
  Status Append(const RecordInfo& info, std::span<const std::string_view> pieces);
  Result<std::shared_ptr<Consumer::State>> OpenState(std::string name,
                                                     std::shared_ptr<Balance> balance);
  std::vector<std::pair<std::string, uint64_t>> RetireClosed();
  std::vector<Unread> Closed() const;
  void RetireDrained();
  void RegisterMetrics();
  Status Sync() override;
  Milliseconds FlushInterval() const override { return options_.fsync_interval; }
  Stats Read() const;
  Status ForEach(
      const std::function<void(const RecordInfo&, uint64_t, std::string_view)>& visit) const;

  // consumer.cc
  /// The head of a lane, marked as out; nothing when there is none or it is out.
  std::optional<Entry> Lend(Consumer::State& state, uint16_t lane, std::shared_ptr<File>& file);
  /// False when the spool is closed: then nothing is settled, and nothing may be counted.
  bool Settle(Consumer::State& state, const Entry& entry);
  /// Returns why the record was evicted while it was out, and so is lost; else nothing.
  std::optional<DropReason> PutBack(Consumer::State& state, const Entry& entry);
  void NoteDamaged();
  void Persist(Consumer::State& state);
  void Close(Consumer::State& state);
  void CountRestored(Consumer::State& state, Balance& balance);

  bool memory() const { return options_.directory.empty(); }
  const SpoolOptions& options() const { return options_; }
  std::mutex& mutex() { return mutex_; }
  Segment* Find(Position position);
  void Release();  ///< gives back segments that every consumer is past

 private:
  friend class Spool;
  struct NewSegment;
  Status WriteRecord(Segment& segment, const RecordInfo& info,
                     std::span<const std::string_view> pieces, uint64_t size, uint32_t crc);
  Status Roll(uint64_t size, std::vector<Loss>& losses);
  Result<Segment> MakeSegment(uint64_t body_size, std::vector<Loss>& losses);
  Result<Segment> MakeFileSegment(uint64_t capacity);
  Result<Segment> MakeMemorySegment(uint64_t capacity);
  Result<Segment> MakeOverflowSegment(uint64_t needed);
  void ProbeDisk();
  Status UseSpare(Segment& segment);
  Status NameSegment(Segment& segment);
  void MakeRoom(uint64_t capacity, std::vector<Loss>& losses);
  bool EvictOldest(DropReason reason, std::vector<Loss>& losses);
  void Retire(Segment&& segment);
  void Link(const Entry& entry, Position position, std::vector<std::function<void()>>& wake);
  uint64_t TotalBytes() const;
  std::string SegmentPath(uint64_t number) const;
  void NoteError(const Error& error);
  void LoadCursor(const std::string& file_name);
  Status RecoverSegment(const std::string& name, uint64_t size, bool last);
  void Adopt(const SegmentScan& scan, Segment& segment);
  void CutTail(const SegmentScan& scan, Segment& segment);
  void SetAside(const std::string& path);
  void KeepSpare(const std::string& name, uint64_t size);
  void Attach(Consumer::State& state);
  std::shared_ptr<Consumer::State> NewState(std::string name);

  SpoolOptions options_;
  uint64_t segment_bytes_;
  std::shared_ptr<void> lock_;
  std::shared_ptr<Flusher> flusher_;

  mutable std::mutex mutex_;  // guards everything below
  std::deque<Segment> segments_;
  std::vector<Spare> spares_;
  Position next_position_ = 1;
  uint64_t next_seq_ = 1;
  uint64_t next_number_ = 1;
  uint64_t items_before_ = 0;
  std::array<Position, kLanes> last_in_lane_{};
  std::map<std::string, std::shared_ptr<Consumer::State>> consumers_;
  std::vector<Damage> damages_;
  bool closed_ = false;
  bool directory_dirty_ = false;
  uint64_t truncated_tails_ = 0, damaged_records_ = 0, append_errors_ = 0;
  std::string last_error_;
  log::RateLimit error_limit_;
  Duration next_probe_{0};
  std::vector<std::shared_ptr<void>> metrics_;
};

/// Ties a Delivery to its consumer; gone once it is settled.
struct Delivery::Ref {
  std::shared_ptr<Spool::Impl> impl;
  std::shared_ptr<Consumer::State> state;
  Entry entry;
};

}  // namespace picket::spool
