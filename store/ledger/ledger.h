// SPDX-License-Identifier: Apache-2.0
// Good and total events per SLO and slot, for 30 days and more. Source: FORMAT.md.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/base/telemetry.h"
#include "store/ledger/ring.h"

namespace picket::store::ledger {

struct LedgerOptions {
  std::string data_dir;        ///< the files live here; empty keeps everything in memory
  std::string agent = "self";  ///< this node's name among others'
  Milliseconds keep = std::chrono::hours(24 * 32);
  const Clock* clock = &SystemClock::Get();
  Telemetry* telemetry = nullptr;
};

/// Dense number of an SLO in this ledger; stable over restarts.
using SloId = uint32_t;

/// The slot lengths, finest first. Each event is counted once in every ring, so each ring alone is
/// exact.
enum class Resolution : uint8_t { k10s = 0, k1m = 1, k10m = 2 };
inline constexpr int kResolutions = 3;

/// One agent's slot of one SLO, as it travels between nodes.
struct LedgerSlot {
  std::string_view slo;
  std::string_view agent;
  Resolution resolution = Resolution::k10s;
  UnixMs start_ms = 0;
  Counts counts;
};

/// A window's counts and how much of it was seen.
struct WindowSum {
  Counts counts;
  UnixMs from_ms = 0;  ///< where its first slot begins
  UnixMs to_ms = 0;    ///< where its last slot ends
};

/// The last raw value of a counter that an SLO is computed from, so that a restart loses no event.
struct RawCounter {
  double value = 0;
  UnixMs start_ms = 0;  ///< when the counter itself began, 0 if unknown
  UnixMs seen_ms = 0;
};

struct LedgerRecovery {
  uint64_t slos = 0;
  uint64_t records = 0;
  uint64_t damaged_parts = 0;
  std::vector<std::string> damage;  ///< names of the damaged parts, at most 100
};

/// The error-budget ledger.
/// Events are added locally (Add) or merged from other agents (Import); sums are over all agents.
/// Counts of one agent's slot only grow, so merging takes the larger of each field: idempotent,
/// free of order, exact. Durability: Commit writes what was added since the last one as one
/// checksummed record through the page cache; a killed process loses at most what was not
/// committed. A torn record is dropped whole. Threads: all methods. Cost: Add is three array adds;
/// a window sum reads at most 72 chunk sums and two chunks an agent.
class Ledger {
 public:
  /// Errors: kIo when the directory cannot be used. Damage is survived and reported.
  static Result<std::unique_ptr<Ledger>> Open(LedgerOptions options);
  ~Ledger();

  /// The number of this SLO, made when it is new.
  SloId OpenSlo(std::string_view name);
  std::vector<std::string> Slos() const;
  /// Forgets an SLO and its counts.
  void RemoveSlo(std::string_view name);

  /// Counts events at `at`. False when `at` lies before what is kept or more than ten minutes in
  /// the future.
  bool Add(SloId slo, UnixMs at, const Counts& counts);
  /// Spreads events over a gap (a downtime) in proportion to time; the sum stays exact. They cover
  /// no time.
  bool AddOver(SloId slo, UnixMs from_ms, UnixMs to_ms, uint64_t good, uint64_t total);
  /// Makes everything added so far survive a kill. Errors: kIo; what was added stays in memory and
  /// is written next time.
  Status Commit();

  /// The window that ends with `now`'s slot: finest ring that holds it.
  WindowSum Window(SloId slo, UnixMs now, Milliseconds window) const;
  /// From a slot boundary on (calendar windows): ten-minute slots.
  WindowSum Since(SloId slo, UnixMs from_ms, UnixMs now) const;
  /// The same for this agent's own events only.
  WindowSum LocalWindow(SloId slo, UnixMs now, Milliseconds window) const;
  /// Calls `fn` with the slots' sums over all agents, oldest first, for charts and time-slice SLOs.
  void ForEachSlot(SloId slo, Resolution resolution, UnixMs from_ms,
                   const std::function<void(UnixMs start_ms, const Counts&)>& fn) const;

  /// This agent's slots that end at or after `since_ms`, all resolutions, for other nodes.
  void Export(UnixMs since_ms, const std::function<void(const LedgerSlot&)>& fn) const;
  /// Merges another agent's slot. False when it is this agent's own or too old.
  bool Import(const LedgerSlot& slot);

  std::optional<RawCounter> Raw(SloId slo, uint64_t key) const;
  void SetRaw(SloId slo, uint64_t key, const RawCounter& raw);
  void EraseRaw(SloId slo, uint64_t key);

  const LedgerRecovery& recovery() const { return recovery_; }
  size_t memory_bytes() const;
  uint64_t disk_bytes() const;

 private:
  friend class LedgerFile;
  struct Book {
    std::array<std::unique_ptr<Ring>, kResolutions> rings;
  };
  struct Slo {
    std::string name;
    std::map<std::string, Book, std::less<>> books;  // by agent
    std::map<uint64_t, RawCounter> raw;
  };

  explicit Ledger(LedgerOptions options);
  Book& BookOf(Slo& slo, std::string_view agent);
  Slo* At(SloId id) const { return id < slos_.size() ? slos_[id].get() : nullptr; }
  SloId OpenLocked(std::string_view name);
  bool AddLocked(Slo& slo, std::string_view agent, UnixMs at, const Counts& counts);
  WindowSum SumLocked(const Slo& slo, Resolution resolution, int64_t first, int64_t last,
                      bool local) const;
  WindowSum WindowOf(SloId slo, UnixMs now, Milliseconds window, bool local) const;
  const Ring& Shape(Resolution r) const { return *shape_[static_cast<size_t>(r)]; }

  LedgerOptions options_;
  mutable std::mutex mutex_;                // guards all below
  std::vector<std::unique_ptr<Slo>> slos_;  // null where one was removed
  std::map<std::string, SloId, std::less<>> by_name_;
  std::array<std::unique_ptr<Ring>, kResolutions> shape_;  // empty rings, for slot arithmetic
  std::unique_ptr<class LedgerFile> file_;
  LedgerRecovery recovery_;
  std::shared_ptr<Counter> rejected_, damaged_;
};

}  // namespace picket::store::ledger
