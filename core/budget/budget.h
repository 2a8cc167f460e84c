// SPDX-License-Identifier: Apache-2.0
// The one memory number: every buffer draws on it, and what is shed first when it runs short is
// written here.
#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/telemetry.h"
#include "core/base/units.h"

namespace picket {

/// Who holds memory. A closed list, so that the page can show where it went.
enum class BudgetClass : uint8_t {
  kSpoolMemory,   ///< queues without a disk, and what waits while a disk is full
  kLogArenas,     ///< lines read and not yet acknowledged
  kSpanSlabs,     ///< request bodies of pushers
  kScrapeBodies,  ///< kept buffers of scrape targets
  kStore,         ///< the sample window of series that are known already
  kNewSeries,     ///< what a series costs when it is first seen
  kDecisions,     ///< rules, alerts, verdicts: never refused
  kCount
};
std::string_view BudgetClassName(BudgetClass c);

/// How short memory is. Each level sheds what the levels before it shed, and one thing more. Order:
/// DESIGN, "Delivery".
enum class Pressure : uint8_t {
  kNone,
  kRefuseAtDoor,     ///< pushers are told to come back, before their body is read
  kRefuseNewSeries,  ///< series that are known go on
  kSampleTraces,     ///< span consumers keep a share only
  kPauseReading,     ///< log files are not read further: the file itself is the buffer
  kCount
};
std::string_view PressureName(Pressure p);

class Budget;

/// A share of the budget that gives itself back. Shape: moved, never copied. Threads: one owner at
/// a time.
class BudgetLease {
 public:
  BudgetLease() = default;
  BudgetLease(BudgetLease&& o) noexcept
      : budget_(std::exchange(o.budget_, nullptr)),
        class_(o.class_),
        bytes_(std::exchange(o.bytes_, 0)) {}
  BudgetLease& operator=(BudgetLease&& o) noexcept;
  BudgetLease(const BudgetLease&) = delete;
  BudgetLease& operator=(const BudgetLease&) = delete;
  ~BudgetLease() { Release(); }

  uint64_t bytes() const { return bytes_; }
  explicit operator bool() const { return budget_ != nullptr; }
  /// Grows or shrinks in place; a refused growth leaves it as it was. Shrinking always works.
  bool Resize(uint64_t bytes);
  void Release();

 private:
  friend class Budget;
  BudgetLease(Budget* budget, BudgetClass c, uint64_t bytes)
      : budget_(budget), class_(c), bytes_(bytes) {}
  Budget* budget_ = nullptr;
  BudgetClass class_ = BudgetClass::kStore;
  uint64_t bytes_ = 0;
};

/// The limit and who holds how much of it.
/// Invariant: used() is the sum of the classes; only kDecisions may take it over the limit.
/// Levels are entered at 75, 82, 88 and 94 % of the limit and left five points lower, so that they
/// do not flutter. Ownership: outlives its leases. Threads: any. Cost: two relaxed adds and a
/// compare; no lock.
class Budget {
 public:
  /// A limit of 0 means none: everything is granted, the pressure stays kNone.
  explicit Budget(Bytes limit);
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;

  /// Refused when it would pass the limit, or when the present pressure sheds this class.
  /// kDecisions is always granted.
  std::optional<BudgetLease> Reserve(BudgetClass c, uint64_t bytes);

  Pressure pressure() const {
    return static_cast<Pressure>(level_.load(std::memory_order_relaxed));
  }
  /// The questions that rooms ask before they take something in.
  bool AcceptAtDoor() const { return pressure() < Pressure::kRefuseAtDoor; }
  bool AcceptNewSeries() const { return pressure() < Pressure::kRefuseNewSeries; }
  bool KeepAllTraces() const { return pressure() < Pressure::kSampleTraces; }
  bool ReadFiles() const { return pressure() < Pressure::kPauseReading; }

  Bytes limit() const { return Bytes(limit_.load(std::memory_order_relaxed)); }
  /// A reload may change it; what is held stays held.
  void SetLimit(Bytes limit);
  uint64_t used() const { return used_.load(std::memory_order_relaxed); }
  uint64_t used(BudgetClass c) const {
    return by_class_[static_cast<size_t>(c)].load(std::memory_order_relaxed);
  }
  uint64_t refused(BudgetClass c) const {
    return refused_[static_cast<size_t>(c)].load(std::memory_order_relaxed);
  }

  /// Registers the rows of metrics.h; drop the result to end them.
  [[nodiscard]] std::vector<std::shared_ptr<void>> Export(Telemetry& telemetry);

 private:
  friend class BudgetLease;
  bool Take(BudgetClass c, uint64_t bytes);
  void Give(BudgetClass c, uint64_t bytes);
  void Update(uint64_t used);

  std::atomic<uint64_t> limit_;
  std::atomic<uint64_t> used_{0};
  std::atomic<uint8_t> level_{0};
  std::array<std::atomic<uint64_t>, static_cast<size_t>(BudgetClass::kCount)> by_class_{};
  std::array<std::atomic<uint64_t>, static_cast<size_t>(BudgetClass::kCount)> refused_{};
};

}  // namespace picket
