// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/base/clock.h"
#include "core/model/metrics.h"
#include "store/tsdb/column/block.h"
#include "store/tsdb/column/value_code.h"
#include "store/tsdb/row_entries.h"
#include "store/tsdb/row_log.h"

namespace picket::store::tsdb {

/// One bit a slot.
using SlotSet = std::array<uint64_t, 16>;

struct SlotSample {
  uint16_t slot;
  uint64_t bits;
  UnixMs timestamp_ms;
};

/// Up to 1,024 series of one source: the open block as a row log, and the last value of each.
/// Shape: a slot is a series' place in the open block; sealing drops slots that are no longer used
/// and renumbers. Threads: the owning source's lock.
class Stripe {
 public:
  static constexpr int kSlots = 1024;

  Stripe(LogHeap& heap, BlockKind kind, SourceId source, uint16_t index, uint64_t log);

  BlockKind kind() const { return kind_; }
  uint16_t index() const { return index_; }
  int slots() const { return static_cast<int>(ids_.size()); }
  const std::vector<SeriesId>& ids() const { return ids_; }
  int rows() const { return static_cast<int>(rows_.size()); }
  UnixMs FirstMs() const {
    return first_ms_;
  }  ///< oldest in the open block; INT64_MAX when it is empty
  UnixMs LastMs() const { return last_ms_; }  ///< newest ever; INT64_MIN before the first
  bool first_block() const { return first_block_; }
  uint64_t log() const { return log_.log(); }
  uint64_t log_bytes() const { return log_.bytes(); }
  size_t memory_bytes() const;

  int AddSlot(SeriesId id, uint32_t hash);
  /// Row stripes. The values that a row is compared with: take them for slots it leaves out.
  const uint64_t* Previous() const { return rows_.empty() ? Zeros() : values_.data(); }
  /// Row stripes: `next` has a value for every slot. False when the heap is full: nothing has
  /// changed.
  bool AppendRow(UnixMs timestamp_ms, const uint64_t* next, const SlotSet& present);
  /// Timed stripes: each slot at most once, ascending. False when the heap is full.
  bool AppendTimed(std::span<const SlotSample> samples);

  /// The last value of a slot, if it was in the newest row (row stripes) or ever written (timed
  /// stripes).
  bool Last(int slot, UnixMs& timestamp_ms, uint64_t& bits) const;
  /// Row stripes: whether the slot has a value at LastMs() and it is `bits`.
  bool HasAtLast(int slot) const { return (at_last_[slot / 64] >> (slot % 64)) & 1; }
  uint64_t LastBits(int slot) const { return values_[slot]; }
  UnixMs LastTimedMs(int slot) const { return times_[slot]; }

  /// The open rows in [min, max] as [first, last); their times by RowMs.
  std::pair<int, int> RowRange(UnixMs min_ms, UnixMs max_ms) const;
  UnixMs RowMs(int row) const { return rows_[row].ms; }
  /// Calls emit(k, row, timestamp, bits) for the samples of `slots` (ascending) in rows [first,
  /// last), newest first.
  template <class Emit>
  void ReadBack(std::span<const uint16_t> slots, int first, int last, Emit&& emit) const;

  struct Sealed {
    BlockHeader header{};
    std::vector<uint8_t> payload;
    std::vector<SeriesId> ids;  ///< sorted
  };
  /// The open block in its sealed form; the stripe is unchanged. Shape: at least one row.
  Sealed Seal() const;
  /// Begins a new open block. Slots outside the newest row leave: `dropped` gets their series. True
  /// when slots moved.
  bool Restart(uint64_t log, std::vector<SeriesId>& dropped);

  /// Gives the log up, for a stripe that is not used at all.
  void Discard() { log_.Clear(); }
  /// Restart will then keep no slot.
  void Forget() { present_ = {}; }

  /// At start-up: takes over a log. Returns bytes lost to damage.
  uint64_t Adopt(std::vector<uint8_t*> chunks, std::vector<uint32_t>& hashes);

 private:
  struct Row {
    const uint8_t* payload;
    uint32_t size;
    uint16_t layout;
    UnixMs ms;
  };
  struct Layout {
    const uint8_t* words;  // presence bits in the log
    uint16_t slots;
  };

  static const uint64_t* Zeros();
  bool WriteLayout(const SlotSet& present);
  bool AdoptRecord(RecordType type, const uint8_t* payload, uint32_t size,
                   std::vector<uint32_t>& hashes);
  bool AdoptLayout(const uint8_t* p, const uint8_t* end, std::vector<uint32_t>& hashes);
  bool AdoptRow(const uint8_t* p, uint32_t size);
  uint64_t PresentWord(const Row& row, int word) const;
  void CommitRow(const uint8_t* payload, size_t size, UnixMs ms);
  void SealRows(Sealed& out, std::vector<ColumnRef>& columns, std::vector<uint8_t>& bytes) const;
  void SealTimed(Sealed& out, std::vector<ColumnRef>& columns, std::vector<uint8_t>& bytes) const;

  BlockKind kind_;
  SourceId source_;
  uint16_t index_;
  RowLog log_;
  std::vector<SeriesId> ids_;
  std::vector<uint32_t> hashes_;
  std::vector<uint64_t> values_;
  std::vector<UnixMs> times_;  // timed stripes: of values_
  std::vector<Row> rows_;
  std::vector<Layout> layouts_;
  SlotSet present_{};  // of the newest layout record; timed: slots with a sample in this log
  SlotSet at_last_{};  // slots that have a value at last_ms_
  size_t logged_slots_ = 0;
  bool first_block_ = true;
  UnixMs first_ms_ = INT64_MAX;
  UnixMs last_ms_ = INT64_MIN;
};

template <class Emit>
void Stripe::ReadBack(std::span<const uint16_t> slots, int first, int last, Emit&& emit) const {
  if (slots.empty() || first >= last) return;
  const bool timed = kind_ == BlockKind::kTimed;
  SlotSet wanted{};
  std::array<uint16_t, 16> base{};  // place in `slots` of the first one in each word
  for (size_t k = slots.size(); k-- > 0;) {
    wanted[slots[k] / 64] |= uint64_t{1} << (slots[k] % 64);
    base[slots[k] / 64] = static_cast<uint16_t>(k);
  }
  std::vector<uint64_t> bits(slots.size());
  std::vector<UnixMs> times(timed ? slots.size() : 0);
  for (size_t k = 0; k < slots.size(); ++k) {
    bits[k] = values_[slots[k]];
    if (timed) times[k] = times_[slots[k]];
  }
  for (int r = rows() - 1; r >= first; --r) {
    const Row& row = rows_[static_cast<size_t>(r)];
    if (!timed && r < last) {
      for (size_t k = 0; k < slots.size();) {
        const int word = slots[k] / 64;
        const uint64_t present = PresentWord(row, word);
        for (; k < slots.size() && slots[k] / 64 == word; ++k)
          if ((present >> (slots[k] % 64)) & 1) emit(k, r, row.ms, bits[k]);
      }
    }
    RowEntries entries(row.payload, row.size);
    WordEntry e;
    while (entries.Next(e)) {
      uint64_t want = e.bits & wanted[e.word];
      if (want == 0) continue;
      const uint8_t* p = e.p;
      for (uint64_t left = e.bits; want != 0 && p != nullptr; left &= left - 1) {
        const uint64_t bit = left & -left;
        if ((want & bit) == 0) {
          if (timed) {
            uint64_t u;
            p = GetVarint(p, e.end, u);
          }
          if (p != nullptr) p = SkipValue(p, e.end);
          continue;
        }
        want &= ~bit;
        const size_t k =
            base[e.word] + static_cast<size_t>(std::popcount(wanted[e.word] & (bit - 1)));
        if (timed) {
          uint64_t u;
          if ((p = GetVarint(p, e.end, u)) == nullptr) break;
          if (r < last) emit(k, r, times[k], bits[k]);
          times[k] = Sub(times[k], UnZigZag(u));
        }
        p = ApplyValue<false>(p, e.end, bits[k]);
      }
    }
  }
}

}  // namespace picket::store::tsdb
