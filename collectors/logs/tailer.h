// SPDX-License-Identifier: Apache-2.0
// All logs: finds them, reads them in turns, hands batches out, keeps the checkpoint behind the
// acknowledgements.
#pragma once
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "collectors/logs/config.h"
#include "collectors/logs/counters.h"
#include "collectors/logs/path_labels.h"
#include "collectors/logs/streams.h"
#include "collectors/logs/tailed_log.h"
#include "core/base/clock.h"
#include "core/base/telemetry.h"
#include "core/budget/budget.h"
#include "core/model/delivery.h"
#include "core/model/logs.h"
#include "core/model/metrics.h"

namespace picket::collectors::logs {

/// Where lines go and whose acknowledgement moves the checkpoint. The name is kept in it: the same
/// name after a restart or a reload goes on where it was.
struct Destination {
  std::string name;
  std::shared_ptr<LogSink> sink;
};

/// What the collector stands on. Ownership: borrowed, outlives it; `intake`, `telemetry` and
/// `budget` may be null.
struct Environment {
  const Clock* clock = &SystemClock::Get();
  BalanceBook* balances = nullptr;
  Telemetry* telemetry = nullptr;
  MetricIntake* intake = nullptr;
  Budget* budget = nullptr;
  std::string folder;                 ///< of the checkpoint; empty: none is kept
  std::vector<std::string> own_logs;  ///< files Picket itself writes
  std::string own_pod;       ///< its own lines are left out; empty: POD_NAME or HOSTNAME in a pod
  Bytes read_ahead = 8_MiB;  ///< unacknowledged bytes a destination may hold
};

/// One file as the page shows it.
struct FileStatus {
  std::string path;
  uint64_t size = 0;
  uint64_t read_offset = 0;
  uint64_t acked_offset = 0;
  uint64_t lag_bytes = 0;  ///< over all files of the log, to the slowest destination
  double lag_seconds = 0;  ///< since when there has been something not acknowledged
  bool rotated = false;    ///< an older file is still being read
  std::string last_error;
};

/// Acknowledgements on their way back. Threads: any may put; Wake's descriptor becomes readable.
class AckQueue {
 public:
  struct Ack {
    uint64_t log;
    int lane;
    uint32_t epoch;
    uint64_t unit;
    bool ok;
  };
  AckQueue();
  ~AckQueue();
  void Put(const Ack& ack);
  void Wake();
  std::vector<Ack> Take();
  int fd() const { return fd_; }

 private:
  std::mutex mutex_;  // guards acks_
  std::vector<Ack> acks_;
  int fd_;
};

/// The state machine behind LogCollector: every call does what is to be done now and returns.
/// Threads: one at a time. Errors: a file that fails is set aside and named; the others go on.
class Tailer {
 public:
  static Result<std::unique_ptr<Tailer>> Make(Environment environment);
  ~Tailer();

  /// Takes new settings. Files that stay keep their place; destinations are known by name; one
  /// whose sink is another object now gets again what the old one did not acknowledge. `observers`
  /// see every line once, when it is first read, and acknowledge nothing.
  Status Apply(std::vector<LogsConfig> config, std::vector<Destination> destinations,
               std::vector<std::shared_ptr<LogSink>> observers);

  /// One turn: acknowledgements, new files, growth, at most a few MiB of reading, the checkpoint.
  /// Returns how long there is nothing to do unless a descriptor of WaitFds becomes readable.
  Duration Step();
  /// No more reading; acknowledgements still move the checkpoint.
  void StopReading() { reading_ = false; }
  /// Whether every line read was acknowledged.
  bool Settled() const;
  /// Writes the checkpoint down to the disk.
  void Close();

  int ack_fd() const { return acks_->fd(); }
  int watch_fd() const { return inotify_fd_; }
  void Wake() { acks_->Wake(); }
  std::vector<FileStatus> Files() const;

 private:
  struct Lane {
    std::string name;
    std::shared_ptr<LogSink> sink;  // null: the local lane of counters and observers
    std::shared_ptr<Balance> balance;
    uint32_t epoch = 0;
    uint64_t outstanding = 0;  // units not acknowledged yet
    bool used = false;
    bool local() const { return sink == nullptr; }
  };
  struct Entry {  // one item of the configuration
    LogsConfig config;
    PathLabels labels;
    StreamSplitter splitter;
    std::unique_ptr<LineCounters> counters;
    bool scanned = false;  // its files of the first look have been opened
    bool added = false;    // by a reload
  };
  struct Log {
    uint64_t id;
    size_t entry;
    std::unique_ptr<TailedLog> tail;
    LogStreams streams;
    Duration next_look{};
    bool dirty = true;
  };

  explicit Tailer(Environment environment, CheckpointJournal journal);
  void ApplyLanes(std::vector<Destination> destinations);
  int FreeLane(const std::string& name);
  void TakeAcks();
  void ReadWatches();
  void Rescan(Duration now);
  void Watch(const std::set<std::string>& folders);
  void OpenMarked();
  void OpenPath(const std::string& path, size_t entry);
  bool KnownElsewhere(const std::string& path, const FileState& state,
                      std::vector<FileMark>& marks);
  size_t EntryFor(const std::string& path) const;
  void Look(Duration now);
  bool Pump(Duration now);
  void Deliver(Log& log, Reading& reading);
  void Rewind(int lane);
  void Record(const std::vector<Gap>& gaps);
  bool IsOwn(const std::string& path) const;
  bool StartsAtEnd(const std::string& path, const Entry& entry) const;
  void Insert(const std::string& path, size_t entry, std::vector<FileMark> marks, bool from_end);
  void StageAndCommit(Duration now);
  void CollectGarbage();
  void LimitDeleted();
  void FlushCounters(Duration now);
  LaneMask Lanes() const;
  LaneMask OpenLanes() const;
  LogOptions OptionsOf(const LogsConfig& config) const;

  Environment env_;
  CheckpointJournal journal_;
  std::shared_ptr<AckQueue> acks_;
  std::vector<std::unique_ptr<Entry>> entries_;
  std::vector<Lane> lanes_;
  std::vector<std::string> lane_names_;
  std::vector<std::shared_ptr<LogSink>> observers_;
  std::map<std::string, Log> logs_;
  std::unordered_map<uint64_t, std::string> path_of_;
  StreamTable streams_;
  std::shared_ptr<std::atomic<uint64_t>> arena_bytes_;
  std::shared_ptr<Balance> gaps_;
  std::map<int, std::string> watches_;
  std::map<std::string, int> watch_of_;
  int inotify_fd_ = -1;
  bool reading_ = true;
  bool first_run_ = false;  // no checkpoint was there
  bool rescan_ = true;
  bool look_closely_ = false;
  UnixNs last_scan_ns_ = INT64_MAX;
  uint64_t next_log_ = 1;
  std::string resume_at_;  // where the round goes on
  Duration next_scan_{}, next_tick_{}, next_close_look_{}, next_sync_{}, next_flush_{}, next_gc_{};
  std::shared_ptr<Counter> read_bytes_, read_lines_, unparsed_, truncated_, nul_bytes_, overflow_,
      checkpoint_errors_;
  std::shared_ptr<Gauge> files_, lag_, held_;
};

}  // namespace picket::collectors::logs
