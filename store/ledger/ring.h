// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "core/base/clock.h"

namespace picket::store::ledger {

/// What happened in some time. Units: events; milliseconds in which the sources were seen.
struct Counts {
  uint64_t good = 0;
  uint64_t total = 0;
  uint64_t covered_ms = 0;
  bool operator==(const Counts&) const = default;
  bool Empty() const { return good == 0 && total == 0 && covered_ms == 0; }
  Counts& operator+=(const Counts& o) {
    good += o.good;
    total += o.total;
    covered_ms += o.covered_ms;
    return *this;
  }
};

/// The newest `slots` slots of one length, on multiples of it since the Unix epoch.
/// Shape: 64 slots a chunk; chunks without events do not exist. 10 bytes a slot.
/// Cost: a sum adds one number a whole chunk and at most 126 slots: 72 chunks for 30 days of 10
/// minutes.
class Ring {
 public:
  Ring(Milliseconds slot, int64_t slots);

  int64_t slot_ms() const { return slot_ms_; }
  int64_t slots() const { return slots_; }
  int64_t SlotOf(UnixMs ms) const;
  /// Newest slot that was ever written; INT64_MIN before the first.
  int64_t head() const { return head_; }

  /// Adds to the slot; false when it lies before the ring's span. A new newest slot drops the
  /// oldest.
  bool Add(int64_t slot, const Counts& counts);
  /// Raises each field to at least the given one: merging copies of one agent's slot, in any order,
  /// any number of times.
  bool Raise(int64_t slot, const Counts& counts);
  Counts At(int64_t slot) const;
  /// The slots first..last, both included.
  Counts Sum(int64_t first, int64_t last) const;
  /// Calls `fn` for each slot with something in it, from `first` on.
  void ForEach(int64_t first, const std::function<void(int64_t slot, const Counts&)>& fn) const;
  size_t memory_bytes() const;

 private:
  static constexpr int64_t kChunk = 64;
  struct Chunk {
    int64_t number = INT64_MIN;  // slots number * 64 ...
    Counts sum;
    std::array<uint32_t, kChunk> good{};
    std::array<uint32_t, kChunk> total{};
    std::array<uint16_t, kChunk> covered{};  // in units of cover_unit_
  };

  Chunk* Find(int64_t slot) const;
  Chunk* Reach(int64_t slot);
  Counts Read(const Chunk& chunk, int64_t slot) const;
  void Write(Chunk& chunk, int64_t slot, const Counts& counts);

  int64_t slot_ms_;
  int64_t slots_;
  uint64_t cover_unit_;  // milliseconds
  int64_t head_ = INT64_MIN;
  std::vector<std::unique_ptr<Chunk>> chunks_;
  // Slots beyond 2^32 events: what does not fit. Rare, so kept aside.
  std::map<int64_t, std::pair<uint32_t, uint32_t>> high_;  // good, total
};

}  // namespace picket::store::ledger
