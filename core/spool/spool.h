// SPDX-License-Identifier: Apache-2.0
// The durable queue: a segmented, checksummed append log of ready-to-send bodies, one cursor per
// destination.
#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/base/telemetry.h"
#include "core/base/units.h"
#include "core/budget/budget.h"
#include "core/model/delivery.h"
#include "core/spool/files.h"

namespace picket::spool {

/// Order is kept within a lane, and only there. Fixed, because cursors on disk hold one position a
/// lane; how many requests are in flight is the sender's business and may change at any time.
inline constexpr uint32_t kLanes = 64;
/// The lane of anything that has a stable hash (a source, a series, a stream).
inline uint16_t LaneOf(uint64_t hash) { return static_cast<uint16_t>(hash % kLanes); }

enum class FsyncPolicy : uint8_t {
  kInterval,  ///< a kill -9 loses nothing; a power cut loses at most the last interval
  kAlways,    ///< each Append waits for the disk
  kNever,     ///< a power cut loses what the kernel had not written back
};

struct SpoolOptions {
  std::string directory;
  Bytes max_bytes{
      512ULL << 20};  ///< of segment files on disk (or of memory); the oldest segment goes first
  Bytes segment_bytes{8ULL << 20};
  FsyncPolicy fsync = FsyncPolicy::kInterval;
  Milliseconds fsync_interval{1000};
  Bytes memory_overflow{
      4ULL << 20};           ///< kept in memory when the disk is full, before old data is dropped
  Bytes max_memory{0};       ///< cap without a disk, if less than max_bytes; 0: max_bytes
  Budget* budget = nullptr;  ///< memory segments draw on it; outlives the spool
  const Clock* clock = &SystemClock::Get();
  Files* files = &SystemFiles();
  Telemetry* telemetry = nullptr;  ///< outlives the spool
  std::string name;                ///< in its metrics: "remote_write prom"
};

/// What is known of a body without reading it.
struct RecordInfo {
  uint16_t type = 0;   ///< the writer's own: which encoding the body is in
  uint16_t lane = 0;   ///< below kLanes
  uint32_t items = 0;  ///< samples, lines, spans in the body, as balances count them
  UnixMs time_ms = 0;  ///< of its newest item, for the age limit; 0: now
};

class Consumer;

/// The queue. Directory layout, record format and recovery: core/spool/FORMAT.md.
/// Invariant: for each consumer, appended = settled + leased + waiting, in items; nothing leaves
/// without a count. Threads: all methods from any thread. Ownership: outlives its consumers and
/// their leases. Cost: Append is one checksum and one pwritev into the page cache, 56 bytes of
/// memory a record kept.
class Spool {
 public:
  /// Takes the directory, repairs what a crash left, and is ready to append. A damaged tail is cut
  /// back to the last good record, a damaged middle is skipped; both are counted for each consumer
  /// that had not settled them. Errors: kOverloaded when another process holds the directory; kIo
  /// when it cannot be made or read.
  static Result<std::unique_ptr<Spool>> Open(SpoolOptions options);
  /// The same interface without a disk: segments are memory, charged to the budget.
  static std::unique_ptr<Spool> OpenMemory(SpoolOptions options);
  /// Open, or memory with a warning when the disk cannot be used; an error only when another
  /// process holds the directory.
  static Result<std::unique_ptr<Spool>> OpenOrMemory(SpoolOptions options);
  ~Spool();  ///< Close()
  /// Writes through and lets go of the directory, so that another may open it. What is out to be
  /// sent stays in the queue, whatever comes of it; Append fails from now on.
  void Close();

  /// Adds one body. The caller has counted its items In on the balance of every consumer; from here
  /// on the spool counts. With no consumer open the record waits for those whose cursor is on disk.
  /// Errors: kInvalidArgument (larger than the cap), kOverloaded (disk full and no memory), kIo.
  /// The caller drops then.
  Status Append(const RecordInfo& info, std::span<const std::string_view> pieces);
  Status Append(const RecordInfo& info, std::string_view body) {
    return Append(info, std::span(&body, 1));
  }

  /// The reader of one destination. Shape: name is [a-z0-9_.-]+, unique among open consumers.
  /// A new name in a spool that has other cursors starts at the end; otherwise at the oldest
  /// record. What is restored is counted In on `balance`, what was damaged In and Drop(kCorrupt).
  Result<std::unique_ptr<Consumer>> OpenConsumer(std::string name,
                                                 std::shared_ptr<Balance> balance);
  /// Forgets cursors of destinations that are not open now, so that they hold no disk. Returns name
  /// and waiting items.
  std::vector<std::pair<std::string, uint64_t>> RetireClosed();

  /// A cursor that nobody has open, and what waits for it.
  struct Unread {
    std::string name;
    uint64_t records = 0, items = 0, bytes = 0;
  };
  std::vector<Unread> Closed() const;
  /// Forgets cursors that are not open and for which nothing waits: that loses nothing.
  void RetireDrained();

  /// Waits for the disk: data first, then cursors.
  Status Sync();

  struct Stats {
    uint64_t bytes = 0;  ///< of segments, used or reserved for reuse
    uint64_t segments = 0;
    uint64_t records = 0;          ///< kept, settled or not
    uint64_t memory_bytes = 0;     ///< the part of bytes that a crash would lose
    uint64_t truncated_tails = 0;  ///< found at Open
    uint64_t damaged_records = 0;  ///< found at Open or while reading
    uint64_t append_errors = 0;    ///< failed writes, recovered from or not
    std::string last_error;        ///< of the last write, empty when it went well
    bool durable = false;          ///< false: memory mode
  };
  Stats Read() const;
  /// Every waiting record of the directory, settled or not, for tests and tools. Order: as
  /// appended.
  Status ForEach(const std::function<void(const RecordInfo&, uint64_t seq, std::string_view body)>&
                     visit) const;

 private:
  friend class Consumer;
  friend class Delivery;
  class Impl;
  explicit Spool(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

/// One record handed out to be sent. While it is held nothing else of its lane is handed out.
/// Ownership: moved; dropping it unsettled puts the record back (or counts it lost if it was
/// evicted meanwhile).
class Delivery {
 public:
  Delivery(Delivery&& o) noexcept;
  Delivery& operator=(Delivery&& o) noexcept;
  ~Delivery();
  const RecordInfo& info() const { return info_; }
  uint64_t seq() const { return seq_; }
  std::string_view body() const;
  /// Keeps the memory of body() beyond the delivery.
  std::shared_ptr<const void> keep() const { return bytes_; }

  /// The backend has it; `rejected` of its items it took not (counted kPartial).
  void Delivered(uint32_t rejected = 0, std::string_view detail = {}) &&;
  /// It will never have it.
  void Dropped(DropReason reason, std::string_view detail) &&;
  /// Some parts were taken and some not, after a split.
  void Settle(uint32_t delivered, std::span<const std::pair<DropReason, uint32_t>> dropped,
              std::string_view detail) &&;

 private:
  friend class Consumer;
  Delivery();
  struct Ref;
  std::unique_ptr<Ref> ref_;
  /// The balance to count on, or null when the spool was closed meanwhile.
  std::shared_ptr<Balance> Finish();
  RecordInfo info_;
  uint64_t seq_ = 0;
  std::shared_ptr<char[]> bytes_;  // header and body, as read
  size_t size_ = 0;
};

/// A destination's place in the spool. Its cursor is written at each settlement, so that a kill -9
/// re-sends only what was in flight. Threads: any.
class Consumer {
 public:
  ~Consumer();

  /// What waits at the head of a lane. Shape: seq 0 means the lane is empty or its head is handed
  /// out.
  struct Head {
    uint64_t seq = 0;
    UnixMs time_ms = 0;
    uint32_t items = 0;
    uint32_t bytes = 0;
  };
  std::array<Head, kLanes> Heads() const;
  /// Hands out the head of a lane; damaged records in front of it are dropped and counted. Nothing
  /// when the lane is empty, its head is out already, or the disk cannot be read just now.
  std::optional<Delivery> Take(uint16_t lane);
  /// Drops the head of a lane without reading it.
  void DropHead(uint16_t lane, DropReason reason, std::string_view detail);
  /// Drops everything that waits; for a shutdown without a disk.
  void DropAll(DropReason reason, std::string_view detail);

  /// Called, on the thread that made it so, when an empty lane has got a record or one was put
  /// back. Must not block or call back.
  void SetWaker(std::function<void()> waker);

  struct Backlog {
    uint64_t records = 0, items = 0, bytes = 0;  ///< waiting or handed out
    UnixMs oldest_ms = 0;                        ///< time of the oldest, 0 when there is none
  };
  Backlog Read() const;
  bool durable() const;
  /// Records below were in the spool before this consumer was opened.
  uint64_t first_new_seq() const;
  const std::string& name() const;
  const std::shared_ptr<Balance>& balance() const;

 private:
  friend class Spool;
  friend class Delivery;
  struct State;
  Consumer(std::shared_ptr<Spool::Impl> impl, std::shared_ptr<State> state);
  std::shared_ptr<Spool::Impl> impl_;
  std::shared_ptr<State> state_;
};

}  // namespace picket::spool
