// SPDX-License-Identifier: Apache-2.0
// The turn: reading, delivery, acknowledgement. Finding files is in discovery.cc.
#include "collectors/logs/tailer.h"

#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdlib>

#include "collectors/logs/metrics.h"
#include "core/base/log.h"

namespace picket::collectors::logs {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kTick = milliseconds(200);     // growth of active files
constexpr Duration kIdleTick = seconds(1);        // growth of idle ones
constexpr Duration kActiveFor = seconds(10);      // after its last growth
constexpr Duration kCloseLook = seconds(1);       // rotation without a sign from inotify
constexpr Duration kScanMin = milliseconds(250);  // between two scans that inotify asked for
constexpr Duration kSync = seconds(5);
constexpr Duration kCountersEvery = seconds(10);
constexpr Duration kGarbageEvery = seconds(60);
constexpr uint64_t kTurnBytes = 4 * 1024 * 1024;  // then others get a look in

}  // namespace

AckQueue::AckQueue() : fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
AckQueue::~AckQueue() {
  if (fd_ >= 0) ::close(fd_);
}

void AckQueue::Put(const Ack& ack) {
  std::unique_lock lock(mutex_);
  const bool first = acks_.empty();
  acks_.push_back(ack);
  lock.unlock();
  if (first) Wake();
}

void AckQueue::Wake() {
  const uint64_t one = 1;
  // A full counter is readable already.
  if (::write(fd_, &one, sizeof one) < 0) return;
}

std::vector<AckQueue::Ack> AckQueue::Take() {
  uint64_t count = 0;
  if (::read(fd_, &count, sizeof count) < 0) count = 0;
  std::lock_guard lock(mutex_);
  return std::exchange(acks_, {});
}

Result<std::unique_ptr<Tailer>> Tailer::Make(Environment environment) {
  // Inside a pod the host's name is the pod's, unless the chart says it better.
  if (environment.own_pod.empty() && std::getenv("KUBERNETES_SERVICE_HOST") != nullptr)
    for (const char* name : {"POD_NAME", "HOSTNAME"})
      if (const char* pod = std::getenv(name); pod != nullptr && environment.own_pod.empty())
        environment.own_pod = pod;
  CheckpointJournal journal = CheckpointJournal::InMemory();
  if (!environment.folder.empty()) {
    PICKET_ASSIGN(journal, CheckpointJournal::Open(environment.folder));
  }
  if (journal.damaged_bytes() > 0)
    log::Warn("The log checkpoint had a damaged end, which was cut off",
              {{"folder", environment.folder}, {"bytes", journal.damaged_bytes()}});
  return std::unique_ptr<Tailer>(new Tailer(std::move(environment), std::move(journal)));
}

Tailer::Tailer(Environment environment, CheckpointJournal journal)
    : env_(std::move(environment)),
      journal_(std::move(journal)),
      acks_(std::make_shared<AckQueue>()),
      arena_bytes_(std::make_shared<std::atomic<uint64_t>>(0)),
      inotify_fd_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)),
      first_run_(journal_.fresh()) {
  static Telemetry unread;  // rows that nobody collects
  Telemetry& t = env_.telemetry != nullptr ? *env_.telemetry : unread;
  read_bytes_ = t.AddCounter(kReadBytes);
  read_lines_ = t.AddCounter(kReadLines);
  unparsed_ = t.AddCounter(kUnparsedLines);
  truncated_ = t.AddCounter(kTruncatedLines);
  nul_bytes_ = t.AddCounter(kSkippedNulBytes);
  overflow_ = t.AddCounter(kLabelOverflow);
  checkpoint_errors_ = t.AddCounter(kCheckpointErrors);
  files_ = t.AddGauge(kFiles);
  lag_ = t.AddGauge(kLagBytes);
  held_ = t.AddGauge(kHeldBytes);
  gaps_ = env_.balances != nullptr ? env_.balances->Open("logs", "files", "lines")
                                   : std::make_shared<Balance>("logs", "files", "lines");
}

Tailer::~Tailer() {
  if (inotify_fd_ >= 0) ::close(inotify_fd_);
}

LaneMask Tailer::Lanes() const {
  LaneMask mask = 0;
  for (size_t l = 0; l < lanes_.size(); ++l)
    if (lanes_[l].used) mask |= LaneBit(static_cast<int>(l));
  return mask;
}

// Lanes that may be given more. Below the read-ahead a slow one costs memory only; above it the
// file keeps its lines, and the others read on without it.
LaneMask Tailer::OpenLanes() const {
  if (!reading_ || (env_.budget != nullptr && !env_.budget->ReadFiles())) return 0;
  LaneMask mask = 0;
  uint64_t lanes = 0;
  for (size_t l = 0; l < lanes_.size(); ++l) {
    const Lane& lane = lanes_[l];
    if (!lane.used) continue;
    ++lanes;
    if (lane.local() || lane.sink->HeldBytes() < env_.read_ahead.value)
      mask |= LaneBit(static_cast<int>(l));
  }
  // Arenas live until the last destination has let go; a few lines may keep a whole one.
  return arena_bytes_->load() < 2 * lanes * env_.read_ahead.value ? mask : 0;
}

int Tailer::FreeLane(const std::string& name) {
  for (size_t l = 0; l < lanes_.size(); ++l)
    if (!lanes_[l].used && lane_names_[l] == name) return static_cast<int>(l);
  for (size_t l = 0; l < lanes_.size(); ++l)
    if (!lanes_[l].used) {
      lane_names_[l] = name;
      return static_cast<int>(l);
    }
  if (lanes_.size() >= kMaxLanes) return -1;
  lanes_.emplace_back();
  lane_names_.push_back(name);
  return static_cast<int>(lanes_.size()) - 1;
}

void Tailer::ApplyLanes(std::vector<Destination> destinations) {
  const bool local =
      !observers_.empty() || std::any_of(entries_.begin(), entries_.end(),
                                         [](const auto& e) { return !e->counters->empty(); });
  if (local) destinations.push_back({"local", nullptr});
  // The same address twice is two destinations, with a place each.
  std::map<std::string, int> seen;
  for (Destination& d : destinations)
    if (const int n = ++seen[d.name]; n > 1) d.name += " #" + std::to_string(n);
  auto wanted = [&](const std::string& name) {
    return std::find_if(destinations.begin(), destinations.end(),
                        [&](const Destination& d) { return d.name == name; });
  };
  for (size_t l = 0; l < lanes_.size(); ++l) {
    Lane& lane = lanes_[l];
    if (!lane.used) continue;
    const auto it = wanted(lane.name);
    if (it == destinations.end()) {
      for (auto& [path, log] : logs_) log.tail->RemoveLane(static_cast<int>(l));
      lane = Lane{.name = {},
                  .sink = {},
                  .balance = {},
                  .epoch = lane.epoch + 1,
                  .outstanding = 0,
                  .used = false};
      continue;
    }
    if (it->sink != lane.sink) {
      lane.sink = it->sink;
      Rewind(static_cast<int>(l));
    }
    destinations.erase(it);
  }
  for (Destination& d : destinations) {
    const int l = FreeLane(d.name);
    if (l < 0) {
      log::Error("Too many destinations of logs; one is left out", {{"name", d.name}});
      continue;
    }
    Lane& lane = lanes_[static_cast<size_t>(l)];
    lane.name = d.name;
    lane.sink = std::move(d.sink);
    lane.used = true;
    lane.balance = env_.balances != nullptr ? env_.balances->Open("logs", d.name, "lines")
                                            : std::make_shared<Balance>("logs", d.name, "lines");
    for (auto& [path, log] : logs_) log.tail->AddLane(l);
  }
}

void Tailer::Rewind(int l) {
  Lane& lane = lanes_[static_cast<size_t>(l)];
  ++lane.epoch;
  lane.outstanding = 0;
  for (auto& [path, log] : logs_) lane.balance->Return(log.tail->Rewind(l));
}

bool Tailer::Settled() const {
  return std::all_of(lanes_.begin(), lanes_.end(),
                     [](const Lane& lane) { return lane.outstanding == 0; });
}

void Tailer::TakeAcks() {
  for (const AckQueue::Ack& ack : acks_->Take()) {
    Lane& lane = lanes_[static_cast<size_t>(ack.lane)];
    if (!lane.used || lane.epoch != ack.epoch) continue;
    --lane.outstanding;
    const auto path = path_of_.find(ack.log);
    if (path == path_of_.end()) continue;
    Log& log = logs_.at(path->second);
    if (ack.ok) {
      lane.balance->Out(log.tail->Settle(ack.lane, ack.unit));
      log.dirty = true;
    } else if (reading_) {
      // Given back undelivered by a destination that stays: read again.
      lane.balance->Return(log.tail->Rewind(ack.lane));
    }
  }
}

void Tailer::Look(Duration now) {
  const bool thorough = look_closely_ || now >= next_close_look_;
  if (!thorough && now < next_tick_) return;
  next_tick_ = now + kTick;
  if (thorough) next_close_look_ = now + kCloseLook;
  const bool closely = std::exchange(look_closely_, false);
  std::vector<Gap> gaps;
  for (auto& [path, log] : logs_) {
    if (!closely && now < log.next_look) continue;
    log.tail->Look(now, thorough, journal_, gaps);
    log.next_look = now + (now - log.tail->last_growth() < kActiveFor ? kTick : kIdleTick);
    log.dirty |= log.tail->rotated();
  }
  Record(gaps);
  if (!thorough) return;
  uint64_t lag = 0;
  for (auto it = logs_.begin(); it != logs_.end();) {
    Log& log = it->second;
    lag += log.tail->LagBytes(Lanes());
    if (!log.tail->Finished(now)) {
      ++it;
      continue;
    }
    log.tail->StageMarks(lane_names_, now, journal_);
    path_of_.erase(log.id);
    it = logs_.erase(it);
  }
  files_->Set(static_cast<double>(logs_.size()));
  lag_->Set(static_cast<double>(lag));
  held_->Set(static_cast<double>(arena_bytes_->load()));
  LimitDeleted();
}

void Tailer::LimitDeleted() {
  for (size_t e = 0; e < entries_.size(); ++e) {
    uint64_t held = 0;
    for (auto& [path, log] : logs_)
      if (log.entry == e) held += log.tail->UnreadDeletedBytes();
    std::vector<Gap> gaps;
    const uint64_t limit = entries_[e]->config.hold_deleted.value;
    for (auto& [path, log] : logs_)
      while (held > limit && log.entry == e) {
        const uint64_t freed = log.tail->AbandonDeleted(gaps);
        if (freed == 0) break;
        held -= std::min(held, freed);
      }
    Record(gaps);
  }
}

void Tailer::Record(const std::vector<Gap>& gaps) {
  for (const Gap& gap : gaps) {
    gaps_->In(gap.lines);
    gaps_->Drop(DropReason::kRotated, gap.lines, gap.detail);
  }
}

bool Tailer::Pump(Duration now) {
  uint64_t left = kTurnBytes;
  std::vector<Gap> gaps;
  // Rotated files before all others, then each log one quantum in turn.
  for (const bool rotated : {true, false}) {
    bool any = true;
    while (any && left > 0) {
      any = false;
      auto it = rotated ? logs_.begin() : logs_.lower_bound(resume_at_);
      for (size_t n = 0; n < logs_.size() && left > 0; ++n, ++it) {
        if (it == logs_.end()) it = logs_.begin();
        Log& log = it->second;
        if (log.tail->rotated() != rotated && rotated) continue;
        const LaneMask open = OpenLanes();
        if (open == 0) return Record(gaps), false;
        if (!log.tail->Wants(open)) continue;
        Reading reading;
        if (!log.tail->Read(open, env_.clock->NowNs(), now, journal_, reading, gaps)) continue;
        left -= std::min<uint64_t>(left, reading.arena->bytes.size() + 1);
        any = true;
        if (!rotated) resume_at_ = it->first + '\x01';
        Deliver(log, reading);
      }
    }
  }
  Record(gaps);
  return left == 0;
}

void Tailer::Deliver(Log& log, Reading& reading) {
  Arena& arena = *reading.arena;
  read_bytes_->Add(arena.bytes.size());
  read_lines_->Add(reading.lines);
  unparsed_->Add(reading.counts.unparsed);
  truncated_->Add(reading.counts.truncated);
  nul_bytes_->Add(reading.counts.nul_bytes);
  arena.counted = arena.bytes.capacity();
  arena.live = arena_bytes_;
  arena_bytes_->fetch_add(arena.counted);
  if (env_.budget != nullptr)
    if (auto lease = env_.budget->Reserve(BudgetClass::kLogArenas, arena.counted))
      arena.lease = *std::move(lease);
  Entry& entry = *entries_[log.entry];
  const uint64_t overflowed = entry.splitter.overflowed();
  std::vector<LogBatch> batches = entry.splitter.Split(reading, log.streams, streams_);
  overflow_->Add(entry.splitter.overflowed() - overflowed);
  for (LaneMask rest = reading.lanes; rest != 0; rest &= rest - 1) {
    const int l = std::countr_zero(rest);
    Lane& lane = lanes_[static_cast<size_t>(l)];
    lane.balance->In(reading.lines);
    if (lane.local()) {
      for (const LogBatch& batch : batches) {
        entry.counters->Add(batch);
        for (const auto& observer : observers_) observer->OnLogs(batch);
      }
    }
    if (lane.local() || batches.empty()) {
      lane.balance->Out(log.tail->Settle(l, reading.unit));
      log.dirty = true;
      continue;
    }
    ++lane.outstanding;
    AckQueue::Ack ack{log.id, l, lane.epoch, reading.unit, false};
    Receipt receipt([acks = acks_, ack](bool ok) mutable {
      ack.ok = ok;
      acks->Put(ack);
    });
    for (LogBatch& batch : batches) {
      batch.receipt = receipt;
      lane.sink->OnLogs(batch);
      batch.receipt = {};
    }
  }
}

void Tailer::StageAndCommit(Duration now) {
  for (auto& [path, log] : logs_)
    if (std::exchange(log.dirty, false)) log.tail->StageMarks(lane_names_, now, journal_);
  const bool sync = now >= next_sync_;
  if (sync) next_sync_ = now + kSync;
  if (!journal_.staged() && !sync) return;
  if (auto written = journal_.Commit(sync); !written) {
    checkpoint_errors_->Add();
    static log::RateLimit limit;
    uint64_t held = 0;
    if (limit.Allow(held))
      log::Error("The log checkpoint cannot be written; after a crash lines would be sent again",
                 {{"error", written.error().ToString()}, {"messages_held_back", held}});
  }
}

void Tailer::FlushCounters(Duration now) {
  if (now < next_flush_) return;
  next_flush_ = now + kCountersEvery;
  for (const auto& entry : entries_) entry->counters->Flush(env_.clock->NowMs());
}

Duration Tailer::Step() {
  const Duration now = env_.clock->Steady();
  TakeAcks();
  ReadWatches();
  if (reading_ && ((rescan_ && now >= next_scan_) || now >= next_scan_ + seconds(10) - kScanMin))
    Rescan(now);
  Look(now);
  const bool more = Pump(now);
  StageAndCommit(now);
  FlushCounters(now);
  if (now >= next_gc_) {
    if (next_gc_ != Duration::zero()) CollectGarbage();
    next_gc_ = now + kGarbageEvery;
  }
  if (more) return Duration::zero();
  Duration next = next_close_look_;
  for (const auto& [path, log] : logs_)
    if (now - log.tail->last_growth() < kActiveFor) next = std::min(next, next_tick_);
  if (rescan_) next = std::min(next, next_scan_);
  return std::max(next - now, Duration(milliseconds(1)));
}

void Tailer::Close() {
  TakeAcks();
  for (auto& [path, log] : logs_) log.dirty = true;
  for (const auto& entry : entries_) entry->counters->Flush(env_.clock->NowMs());
  next_sync_ = Duration::zero();
  StageAndCommit(env_.clock->Steady());
}

std::vector<FileStatus> Tailer::Files() const {
  std::vector<FileStatus> out;
  const Duration now = env_.clock->Steady();
  for (const auto& [path, log] : logs_) {
    const TailedLog& tail = *log.tail;
    FileStatus s;
    s.path = path;
    s.size = tail.size();
    s.read_offset = tail.ReadOffset();
    s.acked_offset = tail.AckedOffset(Lanes());
    s.lag_bytes = tail.LagBytes(Lanes());
    if (tail.behind_since() != Duration::zero())
      s.lag_seconds = std::chrono::duration<double>(now - tail.behind_since()).count();
    s.rotated = tail.rotated();
    s.last_error = tail.last_error();
    out.push_back(std::move(s));
  }
  return out;
}

}  // namespace picket::collectors::logs
