// SPDX-License-Identifier: Apache-2.0
#include "store/tsdb/stripe.h"

#include <algorithm>
#include <bit>

#include "store/tsdb/column/value_code.h"

namespace picket::store::tsdb {
namespace {

constexpr size_t kWordHead = kMaxVarint + 10;
/// A row's worst case, and 8 bytes that EncodeValue may scribble on.
constexpr size_t kScratch =
    kMaxVarint + 16 * kWordHead + Stripe::kSlots * (kMaxValueCode + kMaxVarint) + 8;

uint8_t* Scratch() {
  thread_local std::vector<uint8_t> scratch(kScratch);
  return scratch.data();
}

/// Begins a word: step, bits, and room for the length that EndWord fills.
uint8_t* BeginWord(uint8_t* p, int word, int& last_word, uint64_t bits) {
  p = PutVarint(p, static_cast<uint64_t>(word - last_word));
  last_word = word;
  p = Put(p, bits);
  return p + 2;
}
void EndWord(uint8_t* begin, uint8_t* end) { Put(begin - 2, static_cast<uint16_t>(end - begin)); }

}  // namespace

Stripe::Stripe(LogHeap& heap, BlockKind kind, SourceId source, uint16_t index, uint64_t log)
    : kind_(kind), source_(source), index_(index), log_(heap, log, source, index, kind) {}

const uint64_t* Stripe::Zeros() {
  static const std::array<uint64_t, kSlots> zeros{};
  return zeros.data();
}

size_t Stripe::memory_bytes() const {
  return sizeof *this + ids_.capacity() * 8 + values_.capacity() * 8 + times_.capacity() * 8 +
         rows_.capacity() * sizeof(Row) + layouts_.capacity() * sizeof(Layout);
}

int Stripe::AddSlot(SeriesId id, uint32_t hash) {
  ids_.push_back(id);
  hashes_.push_back(hash);
  values_.push_back(0);
  if (kind_ == BlockKind::kTimed) times_.push_back(INT64_MIN);
  return slots() - 1;
}

bool Stripe::WriteLayout(const SlotSet& present) {
  std::vector<uint8_t> buffer(kMaxVarint * 2 + (ids_.size() - logged_slots_) * (kMaxVarint + 4) +
                              sizeof present);
  uint8_t* p = PutVarint(buffer.data(), ids_.size() - logged_slots_);
  SeriesId last = 0;
  for (size_t i = logged_slots_; i < ids_.size(); ++i) {
    p = PutVarint(p, ZigZag(int64_t{ids_[i]} - int64_t{last}));
    p = Put(p, hashes_[i]);
    last = ids_[i];
  }
  const size_t words = (ids_.size() + 63) / 64;
  std::memcpy(p, present.data(), words * 8);
  const auto words_at = static_cast<size_t>(p - buffer.data());
  p += words * 8;
  const uint8_t* payload =
      log_.Append(RecordType::kLayout, {buffer.data(), static_cast<size_t>(p - buffer.data())});
  if (payload == nullptr) return false;
  logged_slots_ = ids_.size();
  layouts_.push_back({payload + words_at, static_cast<uint16_t>(ids_.size())});
  return true;
}

void Stripe::CommitRow(const uint8_t* payload, size_t size, UnixMs ms) {
  rows_.push_back({payload, static_cast<uint32_t>(size),
                   static_cast<uint16_t>(layouts_.empty() ? 0 : layouts_.size() - 1), ms});
  first_ms_ = std::min(first_ms_, ms);
  if (ms > last_ms_) at_last_ = {};
  last_ms_ = std::max(last_ms_, ms);
}

bool Stripe::AppendRow(UnixMs timestamp_ms, const uint64_t* next, const SlotSet& present) {
  if (logged_slots_ < ids_.size() || layouts_.empty() || present != present_) {
    if (!WriteLayout(present)) return false;
    present_ = present;
  }
  const uint64_t* prev = Previous();
  uint8_t* const begin = Scratch();
  uint8_t* p = PutVarint(begin, ZigZag(Sub(timestamp_ms, rows_.empty() ? 0 : rows_.back().ms)));
  int last_word = 0;
  for (int at = 0; at < slots(); at += 64) {
    const int n = std::min(64, slots() - at);
    uint64_t changed = 0;
    for (int i = 0; i < n; ++i) changed |= uint64_t{prev[at + i] != next[at + i]} << i;
    if (changed == 0) continue;
    uint8_t* const codes = p = BeginWord(p, at / 64, last_word, changed);
    for (uint64_t left = changed; left != 0; left &= left - 1) {
      const int i = at + std::countr_zero(left);
      p = EncodeValue(prev[i], next[i], p);
    }
    EndWord(codes, p);
  }
  const auto size = static_cast<size_t>(p - begin);
  const uint8_t* payload = log_.Append(RecordType::kRow, {begin, size});
  if (payload == nullptr) return false;
  CommitRow(payload, size, timestamp_ms);
  if (next != values_.data()) std::memcpy(values_.data(), next, ids_.size() * 8);
  for (size_t w = 0; w < present.size(); ++w) at_last_[w] |= present[w];
  return true;
}

bool Stripe::AppendTimed(std::span<const SlotSample> samples) {
  if (logged_slots_ < ids_.size() && !WriteLayout(SlotSet{})) return false;
  UnixMs low = INT64_MAX, high = INT64_MIN;
  for (const SlotSample& s : samples) {
    low = std::min(low, s.timestamp_ms);
    high = std::max(high, s.timestamp_ms);
  }
  uint8_t* const begin = Scratch();
  uint8_t* p = PutVarint(begin, ZigZag(Sub(high, rows_.empty() ? 0 : rows_.back().ms)));
  int last_word = 0;
  for (size_t i = 0; i < samples.size();) {
    const int word = samples[i].slot / 64;
    uint64_t bits = 0;
    for (size_t j = i; j < samples.size() && samples[j].slot / 64 == word; ++j)
      bits |= uint64_t{1} << (samples[j].slot % 64);
    uint8_t* const codes = p = BeginWord(p, word, last_word, bits);
    for (; i < samples.size() && samples[i].slot / 64 == word; ++i) {
      const SlotSample& s = samples[i];
      const bool started = (present_[s.slot / 64] >> (s.slot % 64)) & 1;
      p = PutVarint(p, ZigZag(Sub(s.timestamp_ms, started ? times_[s.slot] : 0)));
      p = EncodeValue(started ? values_[s.slot] : 0, s.bits, p);
    }
    EndWord(codes, p);
  }
  const auto size = static_cast<size_t>(p - begin);
  const uint8_t* payload = log_.Append(RecordType::kRow, {begin, size});
  if (payload == nullptr) return false;
  CommitRow(payload, size, high);
  first_ms_ = std::min(first_ms_, low);
  for (const SlotSample& s : samples) {
    values_[s.slot] = s.bits;
    times_[s.slot] = s.timestamp_ms;
    present_[s.slot / 64] |= uint64_t{1} << (s.slot % 64);
  }
  return true;
}

bool Stripe::Last(int slot, UnixMs& timestamp_ms, uint64_t& bits) const {
  if (kind_ == BlockKind::kTimed) {
    if (times_[slot] == INT64_MIN) return false;
    timestamp_ms = times_[slot];
  } else {
    if (!HasAtLast(slot)) return false;
    timestamp_ms = last_ms_;
  }
  bits = values_[slot];
  return true;
}

std::pair<int, int> Stripe::RowRange(UnixMs min_ms, UnixMs max_ms) const {
  // The times of a timed row are only bounded by its newest, so all of them are looked at.
  if (kind_ == BlockKind::kTimed) return {0, rows()};
  const auto low = std::lower_bound(rows_.begin(), rows_.end(), min_ms,
                                    [](const Row& r, UnixMs t) { return r.ms < t; });
  const auto high =
      std::upper_bound(low, rows_.end(), max_ms, [](UnixMs t, const Row& r) { return t < r.ms; });
  return {static_cast<int>(low - rows_.begin()), static_cast<int>(high - rows_.begin())};
}

uint64_t Stripe::PresentWord(const Row& row, int word) const {
  const Layout& layout = layouts_[row.layout];
  return word < (layout.slots + 63) / 64 ? Load<uint64_t>(layout.words + word * 8) : 0;
}

bool Stripe::Restart(uint64_t log, std::vector<SeriesId>& dropped) {
  log_.Restart(log);
  rows_.clear();
  layouts_.clear();
  first_ms_ = INT64_MAX;
  logged_slots_ = 0;
  first_block_ = false;
  size_t kept = 0;
  for (size_t i = 0; i < ids_.size(); ++i) {
    if (((present_[i / 64] >> (i % 64)) & 1) == 0) {
      dropped.push_back(ids_[i]);
      continue;
    }
    const bool last = HasAtLast(static_cast<int>(i));
    at_last_[i / 64] &= ~(uint64_t{1} << (i % 64));
    at_last_[kept / 64] |= uint64_t{last} << (kept % 64);
    ids_[kept] = ids_[i];
    hashes_[kept] = hashes_[i];
    values_[kept] = values_[i];
    if (kind_ == BlockKind::kTimed) times_[kept] = times_[i];
    ++kept;
  }
  const bool moved = kept != ids_.size();
  ids_.resize(kept);
  hashes_.resize(kept);
  values_.resize(kept);
  if (kind_ == BlockKind::kTimed) times_.resize(kept);
  for (size_t i = kept; i < kSlots; ++i) at_last_[i / 64] &= ~(uint64_t{1} << (i % 64));
  present_ = {};
  return moved;
}

uint64_t Stripe::Adopt(std::vector<uint8_t*> chunks, std::vector<uint32_t>& hashes) {
  return log_.Adopt(std::move(chunks), [&](RecordType type, const uint8_t* payload, uint32_t size) {
    return AdoptRecord(type, payload, size, hashes);
  });
}

bool Stripe::AdoptRecord(RecordType type, const uint8_t* payload, uint32_t size,
                         std::vector<uint32_t>& hashes) {
  if (type == RecordType::kLayout) return AdoptLayout(payload, payload + size, hashes);
  return type == RecordType::kRow && AdoptRow(payload, size);
}

bool Stripe::AdoptLayout(const uint8_t* p, const uint8_t* end, std::vector<uint32_t>& hashes) {
  uint64_t added;
  if ((p = GetVarint(p, end, added)) == nullptr || added > kSlots - ids_.size()) return false;
  int64_t id = 0;
  for (uint64_t i = 0; i < added; ++i) {
    uint64_t u;
    if ((p = GetVarint(p, end, u)) == nullptr || end - p < 4) return false;
    id = Add(id, UnZigZag(u));
    if (id < 0 || id >= (int64_t{1} << 31)) return false;
    AddSlot(static_cast<SeriesId>(id), Load<uint32_t>(p));
    p += 4;
  }
  const size_t words = (ids_.size() + 63) / 64;
  if (static_cast<size_t>(end - p) < words * 8) return false;
  layouts_.push_back({p, static_cast<uint16_t>(ids_.size())});
  logged_slots_ = ids_.size();
  if (kind_ == BlockKind::kRows) {
    present_ = {};
    std::memcpy(present_.data(), p, words * 8);
  }
  hashes = hashes_;
  return true;
}

bool Stripe::AdoptRow(const uint8_t* payload, uint32_t size) {
  if (layouts_.empty() || rows_.size() >= kMaxRows) return false;
  const bool timed = kind_ == BlockKind::kTimed;
  // Decode aside first: a row that makes no sense must leave no trace.
  std::vector<uint64_t> values = values_;
  std::vector<UnixMs> times = times_;
  SlotSet touched{};
  RowEntries entries(payload, size);
  const UnixMs ms = Add(rows_.empty() ? 0 : rows_.back().ms, entries.time_step());
  UnixMs low = ms;
  WordEntry e;
  while (entries.Next(e)) {
    const uint8_t* p = e.p;
    touched[e.word] |= e.bits;
    for (uint64_t left = e.bits; left != 0; left &= left - 1) {
      const int slot = e.word * 64 + std::countr_zero(left);
      if (slot >= slots()) return false;
      if (timed) {
        uint64_t u;
        if ((p = GetVarint(p, e.end, u)) == nullptr) return false;
        const bool started = (present_[e.word] >> (slot % 64)) & 1;
        times[slot] = Add(started ? times[slot] : 0, UnZigZag(u));
        low = std::min(low, times[slot]);
      }
      if ((p = ApplyValue<true>(p, e.end, values[slot])) == nullptr) return false;
    }
    if (p != e.end) return false;
  }
  if (!entries.ok()) return false;
  if (!timed && ms < last_ms_) return false;
  CommitRow(payload, size, ms);
  first_ms_ = std::min(first_ms_, low);
  values_ = std::move(values);
  times_ = std::move(times);
  for (size_t w = 0; w < touched.size(); ++w) {
    if (timed)
      present_[w] |= touched[w];
    else
      at_last_[w] |= present_[w];
  }
  return true;
}

}  // namespace picket::store::tsdb
