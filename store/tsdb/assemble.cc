// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <map>

#include "store/tsdb/select.h"

namespace picket::store::tsdb {

uint8_t* Arena::Bytes(size_t n) {
  n = (n + 7) / 8 * 8;
  if (n > left_) {
    const size_t size = std::max(next_, n);
    next_ = std::min<size_t>(next_ * 2, size_t{1} << 20);
    blocks_.push_back(std::make_unique_for_overwrite<uint64_t[]>(size / 8));
    at_ = reinterpret_cast<uint8_t*>(blocks_.back().get());
    left_ = size;
  }
  uint8_t* p = at_;
  at_ += n;
  left_ -= n;
  return p;
}

/// What is read of one row stripe: its sealed blocks in time order and the values of its open rows.
struct Assembler::Lane {
  std::vector<BlockRef> blocks;
  // The open rows in the range, by column: values[k * rows + r], and which of them are there.
  std::vector<uint32_t> who;  // place in `wanted`
  std::vector<UnixMs> times;
  std::vector<uint64_t> values;
  std::vector<uint8_t> present;
};

namespace {

/// One series while its lane is read: values in step with the lane's times as long as it has them
/// all.
struct Column {
  double* values = nullptr;
  UnixMs* own_times = nullptr;  // from the first gap on
  uint32_t start = 0;
  uint32_t size = 0;
};

/// A lane's result in the making.
class LaneBuilder {
 public:
  LaneBuilder(Arena& arena, size_t series, size_t capacity)
      : arena_(arena),
        capacity_(capacity),
        times_(arena.Make<UnixMs>(capacity)),
        columns_(series) {}

  /// Begins a piece whose rows have these times.
  void Piece(std::span<const UnixMs> times) {
    at_ = count_;
    std::copy(times.begin(), times.end(), times_ + count_);
    count_ += static_cast<uint32_t>(times.size());
  }
  /// All rows of the piece.
  void Full(size_t k, const uint64_t* bits) {
    Column& c = Begin(k);
    const uint32_t n = count_ - at_;
    if (c.own_times == nullptr && c.start + c.size != at_) Split(c);
    if (c.own_times != nullptr) std::copy(times_ + at_, times_ + count_, c.own_times + c.size);
    std::memcpy(c.values + c.size, bits, n * sizeof(double));
    c.size += n;
  }
  /// One row of the piece.
  void One(size_t k, uint32_t row, uint64_t bits) {
    Column& c = Begin(k);
    if (c.size == 0 && c.own_times == nullptr) c.start = at_ + row;
    if (c.own_times == nullptr && c.start + c.size != at_ + row) Split(c);
    if (c.own_times != nullptr) c.own_times[c.size] = times_[at_ + row];
    std::memcpy(c.values + c.size, &bits, sizeof bits);
    ++c.size;
  }
  SampleRun Run(size_t k) const {
    const Column& c = columns_[k];
    return {c.own_times != nullptr ? c.own_times : times_ + c.start, c.values, c.size};
  }
  bool Ascends(UnixMs next) const { return count_ == 0 || times_[count_ - 1] < next; }

 private:
  Column& Begin(size_t k) {
    Column& c = columns_[k];
    if (c.values == nullptr) {
      c.values = arena_.Make<double>(capacity_ - at_);
      c.start = at_;
    }
    return c;
  }
  void Split(Column& c) {
    c.own_times = arena_.Make<UnixMs>(capacity_ - c.start);
    std::copy(times_ + c.start, times_ + c.start + c.size, c.own_times);
  }

  Arena& arena_;
  size_t capacity_;
  UnixMs* times_;
  uint32_t count_ = 0;
  uint32_t at_ = 0;
  std::vector<Column> columns_;
};

}  // namespace

void Assembler::ReadOpenRows(const Stripe& stripe, std::span<const uint16_t> slots,
                             std::span<const uint32_t> who, Lane& lane) {
  const auto [first, last] = stripe.RowRange(min_ms_, max_ms_);
  const auto rows = static_cast<size_t>(last - first);
  if (rows == 0) return;
  for (int r = first; r < last; ++r) lane.times.push_back(stripe.RowMs(r));
  lane.who.assign(who.begin(), who.end());
  lane.values.resize(rows * slots.size());
  lane.present.resize(rows * slots.size());
  stripe.ReadBack(slots, first, last, [&, base = first](size_t k, int row, UnixMs, uint64_t bits) {
    const size_t at = k * rows + static_cast<size_t>(row - base);
    lane.values[at] = bits;
    lane.present[at] = 1;
  });
}

void Assembler::ReadOpenTimed(const Stripe& stripe, std::span<const Wanted> wanted,
                              std::span<const uint16_t> slots, std::span<const uint32_t> who,
                              std::vector<std::pair<uint32_t, SampleRun>>& out) {
  std::vector<std::vector<std::pair<UnixMs, uint64_t>>> found(slots.size());
  // They are found under the source's lock and added after its rows.
  stripe.ReadBack(slots, 0, stripe.rows(), [&](size_t k, int, UnixMs ms, uint64_t bits) {
    if (ms >= min_ms_ && ms <= max_ms_) found[k].emplace_back(ms, bits);
  });
  for (size_t k = 0; k < slots.size(); ++k) {
    const size_t n = found[k].size();
    if (n == 0) continue;
    auto* times = arena_->Make<UnixMs>(n);
    auto* values = arena_->Make<double>(n);
    for (size_t i = 0; i < n; ++i) {  // they came newest first
      times[n - 1 - i] = found[k][i].first;
      values[n - 1 - i] = std::bit_cast<double>(found[k][i].second);
    }
    out.emplace_back(wanted[who[k]].result, SampleRun{times, values, n});
  }
}

void Assembler::ReadLane(Lane& lane, std::span<const Wanted> wanted,
                         std::span<const SeriesId> ids) {
  std::sort(lane.blocks.begin(), lane.blocks.end(),
            [](const auto& a, const auto& b) { return a.min_ms < b.min_ms; });
  size_t capacity = lane.times.size();
  for (const BlockRef& b : lane.blocks) capacity += b.header().rows;
  std::unique_ptr<LaneBuilder> builder;
  auto flush = [&] {
    if (builder == nullptr) return;
    for (size_t k = 0; k < wanted.size(); ++k) AddRun(wanted[k].result, builder->Run(k));
  };
  // Pieces normally follow one another; after a clock went back they do not, and a new run begins.
  auto begin_piece = [&](std::span<const UnixMs> times) {
    if (builder == nullptr || !builder->Ascends(times.front())) {
      flush();
      builder = std::make_unique<LaneBuilder>(*arena_, wanted.size(), capacity);
    }
    builder->Piece(times);
  };
  DecodedColumn column;
  for (const BlockRef& b : lane.blocks) {
    const BlockView view = b.View();
    const int rows = view.header().rows;
    int64_t times[kMaxRows];
    if (!view.ok() || !view.Times(times)) {
      ++damaged_;
      continue;
    }
    const auto first = static_cast<int>(std::lower_bound(times, times + rows, min_ms_) - times);
    const auto last =
        static_cast<int>(std::upper_bound(times + first, times + rows, max_ms_) - times);
    if (first >= last) continue;
    begin_piece({times + first, static_cast<size_t>(last - first)});
    const bool whole = view.Find(ids, [&](size_t k, const BlockView::Entry& entry) {
      if (entry.tag != wanted[k].tag) return;
      if (!DecodeColumn(entry.column, rows, column)) {
        ++damaged_;
      } else if (column.full) {
        builder->Full(k, column.bits + first);
      } else {
        for (int i = 0; i < column.size; ++i)
          if (column.row[i] >= first && column.row[i] < last)
            builder->One(k, static_cast<uint32_t>(column.row[i] - first), column.bits[i]);
      }
    });
    damaged_ += !whole;
  }
  if (const size_t rows = lane.times.size(); rows > 0) {
    begin_piece(lane.times);
    for (size_t w = 0; w < lane.who.size(); ++w) {
      const uint8_t* present = lane.present.data() + w * rows;
      const uint64_t* values = lane.values.data() + w * rows;
      if (std::memchr(present, 0, rows) == nullptr) {
        builder->Full(lane.who[w], values);
        continue;
      }
      for (uint32_t r = 0; r < rows; ++r)
        if (present[r] != 0) builder->One(lane.who[w], r, values[r]);
    }
  }
  flush();
}

void Assembler::ReadTimedBlocks(std::span<const BlockRef> blocks, std::span<const Wanted> wanted,
                                std::span<const SeriesId> ids) {
  DecodedColumn column;
  for (const BlockRef& b : blocks) {
    const BlockView view = b.View();
    const bool whole = view.ok() && view.Find(ids, [&](size_t k, const BlockView::Entry& entry) {
      if (entry.tag != wanted[k].tag) return;
      if (!DecodeTimedColumn(entry.column, column)) {
        ++damaged_;
        return;
      }
      const int64_t* end = column.times_ms + column.size;
      const int64_t* first =
          std::lower_bound(static_cast<const int64_t*>(column.times_ms), end, min_ms_);
      const auto n = static_cast<size_t>(std::upper_bound(first, end, max_ms_) - first);
      if (n == 0) return;
      auto* times = arena_->Make<UnixMs>(n);
      auto* values = arena_->Make<double>(n);
      std::copy_n(first, n, times);
      std::memcpy(values, column.bits + (first - column.times_ms), n * sizeof(double));
      AddRun(wanted[k].result, {times, values, n});
    });
    damaged_ += !whole;
  }
}

void Assembler::Read(Source& source, std::span<const Wanted> wanted) {
  std::vector<SeriesId> ids;
  ids.reserve(wanted.size());
  for (const Wanted& w : wanted) ids.push_back(w.id);
  std::map<uint16_t, Lane> lanes;
  std::vector<BlockRef> timed;
  std::vector<std::pair<uint32_t, SampleRun>> open_timed;
  {
    std::lock_guard lock(source.mutex);
    for (const BlockRef& b : source.blocks) {
      if (b.max_ms < min_ms_ || b.min_ms > max_ms_ || b.last < ids.front() || b.first > ids.back())
        continue;
      if (b.segment->dead.load(std::memory_order_relaxed)) continue;
      if (b.kind == BlockKind::kTimed)
        timed.push_back(b);
      else
        lanes[b.stripe].blocks.push_back(b);
    }
    const auto overlaps = [&](const Stripe* s) {
      return s != nullptr && s->rows() > 0 && s->LastMs() >= min_ms_ && s->FirstMs() <= max_ms_;
    };
    std::vector<std::vector<std::pair<uint16_t, uint32_t>>> slots(source.stripes.size());
    bool unsure = false;
    for (uint32_t k = 0; k < wanted.size(); ++k) {
      const size_t s = StripeOf(wanted[k].slot);
      const int slot = SlotOf(wanted[k].slot);
      const bool there = s < slots.size() && source.stripes[s] != nullptr &&
                         slot < source.stripes[s]->slots() &&
                         source.stripes[s]->ids()[slot] == wanted[k].id;
      if (there) slots[s].emplace_back(slot, k);
      unsure |= !there;
    }
    if (unsure) {
      // Somebody else owns a series by now, or it moved: look at every slot.
      for (size_t s = 0; s < slots.size(); ++s) {
        slots[s].clear();
        if (!overlaps(source.stripes[s].get())) continue;
        const auto& have = source.stripes[s]->ids();
        for (size_t slot = 0; slot < have.size(); ++slot) {
          const auto at = std::lower_bound(ids.begin(), ids.end(), have[slot]);
          if (at != ids.end() && *at == have[slot])
            slots[s].emplace_back(slot, static_cast<uint32_t>(at - ids.begin()));
        }
      }
    }
    std::vector<uint16_t> slot_numbers;
    std::vector<uint32_t> who;
    const auto split = [&](auto& pairs) {
      std::sort(pairs.begin(), pairs.end());
      slot_numbers.clear();
      who.clear();
      for (const auto& [slot, k] : pairs) {
        slot_numbers.push_back(static_cast<uint16_t>(slot));
        who.push_back(k);
      }
    };
    for (size_t s = 0; s < slots.size(); ++s) {
      if (slots[s].empty() || !overlaps(source.stripes[s].get())) continue;
      split(slots[s]);
      ReadOpenRows(*source.stripes[s], slot_numbers, who, lanes[static_cast<uint16_t>(s)]);
    }
    std::vector<std::vector<std::pair<uint16_t, uint32_t>>> timed_slots(source.timed.size());
    if (!source.timed.empty())
      for (uint32_t k = 0; k < wanted.size(); ++k)
        if (const uint32_t* ref = source.timed_slots.Find(wanted[k].id))
          timed_slots[StripeOf(*ref)].emplace_back(SlotOf(*ref), k);
    for (size_t s = 0; s < timed_slots.size(); ++s) {
      if (timed_slots[s].empty() || !overlaps(source.timed[s].get())) continue;
      split(timed_slots[s]);
      ReadOpenTimed(*source.timed[s], wanted, slot_numbers, who, open_timed);
    }
  }
  // Rows before timed samples, so that they win where both have a time.
  for (auto& [stripe, lane] : lanes) ReadLane(lane, wanted, ids);
  for (const auto& [result, run] : open_timed) AddRun(result, run);
  ReadTimedBlocks(timed, wanted, ids);
}

SampleRun Assembler::Finish(size_t result) {
  Runs& runs = runs_[result];
  if (runs.more.empty()) return runs.first;
  runs.more.insert(runs.more.begin(), runs.first);
  struct At {
    UnixMs ms;
    uint32_t run;
    double value;
  };
  std::vector<At> all;
  for (uint32_t r = 0; r < runs.more.size(); ++r)
    for (size_t i = 0; i < runs.more[r].size; ++i)
      all.push_back({runs.more[r].times[i], r, runs.more[r].values[i]});
  std::sort(all.begin(), all.end(),
            [](const At& a, const At& b) { return a.ms != b.ms ? a.ms < b.ms : a.run < b.run; });
  auto* times = arena_->Make<UnixMs>(all.size());
  auto* values = arena_->Make<double>(all.size());
  size_t n = 0;
  for (const At& a : all) {
    if (n > 0 && times[n - 1] == a.ms) continue;
    times[n] = a.ms;
    values[n++] = a.value;
  }
  runs = {};
  return {times, values, n};
}

}  // namespace picket::store::tsdb
