// SPDX-License-Identifier: Apache-2.0
#include "store/ledger/ring.h"

#include <algorithm>

namespace picket::store::ledger {
namespace {

int64_t FloorDiv(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

}  // namespace

Ring::Ring(Milliseconds slot, int64_t slots)
    : slot_ms_(slot.count()),
      slots_(slots),
      cover_unit_(static_cast<uint64_t>(std::max<int64_t>(1, slot_ms_ / 60'000))),
      // One chunk more than the span: the oldest slots and the newest may share none.
      chunks_(static_cast<size_t>(slots / kChunk + 2)) {}

int64_t Ring::SlotOf(UnixMs ms) const { return FloorDiv(ms, slot_ms_); }

Ring::Chunk* Ring::Find(int64_t slot) const {
  const int64_t number = FloorDiv(slot, kChunk);
  const auto n = static_cast<int64_t>(chunks_.size());
  Chunk* chunk = chunks_[static_cast<size_t>(((number % n) + n) % n)].get();
  return chunk != nullptr && chunk->number == number ? chunk : nullptr;
}

Ring::Chunk* Ring::Reach(int64_t slot) {
  if (head_ != INT64_MIN && slot <= head_ - slots_) return nullptr;
  head_ = std::max(head_, slot);
  if (Chunk* chunk = Find(slot)) return chunk;
  const int64_t number = FloorDiv(slot, kChunk);
  const auto n = static_cast<int64_t>(chunks_.size());
  auto& place = chunks_[static_cast<size_t>(((number % n) + n) % n)];
  place = std::make_unique<Chunk>();
  place->number = number;
  high_.erase(high_.begin(), high_.lower_bound(head_ - slots_ - kChunk));
  return place.get();
}

Counts Ring::Read(const Chunk& chunk, int64_t slot) const {
  const auto i = static_cast<size_t>(slot - chunk.number * kChunk);
  Counts c{chunk.good[i], chunk.total[i], chunk.covered[i] * cover_unit_};
  if (high_.empty()) return c;
  if (const auto it = high_.find(slot); it != high_.end()) {
    c.good += uint64_t{it->second.first} << 32;
    c.total += uint64_t{it->second.second} << 32;
  }
  return c;
}

void Ring::Write(Chunk& chunk, int64_t slot, const Counts& counts) {
  const auto i = static_cast<size_t>(slot - chunk.number * kChunk);
  const Counts old = Read(chunk, slot);
  chunk.good[i] = static_cast<uint32_t>(counts.good);
  chunk.total[i] = static_cast<uint32_t>(counts.total);
  chunk.covered[i] =
      static_cast<uint16_t>(std::min<uint64_t>(counts.covered_ms / cover_unit_, UINT16_MAX));
  const auto high_good = static_cast<uint32_t>(counts.good >> 32);
  const auto high_total = static_cast<uint32_t>(counts.total >> 32);
  if (high_good != 0 || high_total != 0)
    high_[slot] = {high_good, high_total};
  else if (!high_.empty())
    high_.erase(slot);
  const Counts now = Read(chunk, slot);
  chunk.sum.good += now.good - old.good;
  chunk.sum.total += now.total - old.total;
  chunk.sum.covered_ms += now.covered_ms - old.covered_ms;
}

bool Ring::Add(int64_t slot, const Counts& counts) {
  Chunk* chunk = Reach(slot);
  if (chunk == nullptr) return false;
  Counts c = Read(*chunk, slot);
  c += counts;
  Write(*chunk, slot, c);
  return true;
}

bool Ring::Raise(int64_t slot, const Counts& counts) {
  Chunk* chunk = Reach(slot);
  if (chunk == nullptr) return false;
  const Counts c = Read(*chunk, slot);
  Write(*chunk, slot,
        {std::max(c.good, counts.good), std::max(c.total, counts.total),
         std::max(c.covered_ms, counts.covered_ms)});
  return true;
}

Counts Ring::At(int64_t slot) const {
  if (head_ == INT64_MIN || slot <= head_ - slots_ || slot > head_) return {};
  const Chunk* chunk = Find(slot);
  return chunk == nullptr ? Counts{} : Read(*chunk, slot);
}

Counts Ring::Sum(int64_t first, int64_t last) const {
  Counts sum;
  if (head_ == INT64_MIN) return sum;
  first = std::max(first, head_ - slots_ + 1);
  last = std::min(last, head_);
  for (int64_t slot = first; slot <= last;) {
    const int64_t number = FloorDiv(slot, kChunk);
    const int64_t end = std::min(last, number * kChunk + kChunk - 1);
    if (const Chunk* chunk = Find(slot)) {
      if (slot == number * kChunk && end == slot + kChunk - 1) {
        sum += chunk->sum;
      } else {
        for (int64_t s = slot; s <= end; ++s) sum += Read(*chunk, s);
      }
    }
    slot = end + 1;
  }
  return sum;
}

void Ring::ForEach(int64_t first, const std::function<void(int64_t, const Counts&)>& fn) const {
  if (head_ == INT64_MIN) return;
  for (int64_t slot = std::max(first, head_ - slots_ + 1); slot <= head_;) {
    const Chunk* chunk = Find(slot);
    const int64_t end = FloorDiv(slot, kChunk) * kChunk + kChunk;
    for (; chunk != nullptr && slot < end && slot <= head_; ++slot) {
      const Counts c = Read(*chunk, slot);
      if (!c.Empty()) fn(slot, c);
    }
    slot = end;
  }
}

size_t Ring::memory_bytes() const {
  size_t n = sizeof *this + chunks_.capacity() * sizeof(void*) + high_.size() * 64;
  for (const auto& c : chunks_) n += c != nullptr ? sizeof(Chunk) : 0;
  return n;
}

}  // namespace picket::store::ledger
