// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace picket {

/// An open-addressing set of numbers that stand for things kept elsewhere, found by the things'
/// hash. Shape: 8 bytes a place, at most 7/8 full; the number UINT32_MAX is not allowed. Cost: one
/// cache line, mostly.
class FlatIndex {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  /// The number for which `equal(number)` holds among those with this hash, or kNone.
  template <class Equal>
  uint32_t Find(uint64_t hash, Equal&& equal) const {
    if (size_ == 0) return kNone;
    const uint32_t h = Fold(hash);
    for (size_t i = h & mask_;; i = (i + 1) & mask_) {
      if (places_[i].number == kNone) return kNone;
      if (places_[i].hash == h && equal(places_[i].number)) return places_[i].number;
    }
  }

  void Insert(uint64_t hash, uint32_t number) {
    if ((size_ + 1) * 8 > places_.size() * 7) Rehash(places_.empty() ? 16 : places_.size() * 2);
    Place({Fold(hash), number});
    ++size_;
  }

  void Erase(uint64_t hash, uint32_t number) {
    if (size_ == 0) return;
    size_t i = Fold(hash) & mask_;
    while (places_[i].number != number) {
      if (places_[i].number == kNone) return;
      i = (i + 1) & mask_;
    }
    // Close the gap: whoever may stand in it moves up.
    for (size_t j = i;;) {
      j = (j + 1) & mask_;
      if (places_[j].number == kNone) break;
      const size_t home = places_[j].hash & mask_;
      if (((j - home) & mask_) < ((j - i) & mask_)) continue;
      places_[i] = places_[j];
      i = j;
    }
    places_[i].number = kNone;
    --size_;
    if (places_.size() > 64 && size_ * 8 < places_.size()) Rehash(places_.size() / 2);
  }

  size_t size() const { return size_; }
  size_t memory_bytes() const { return places_.size() * sizeof(Slot); }

 private:
  struct Slot {
    uint32_t hash = 0;
    uint32_t number = kNone;
  };
  static uint32_t Fold(uint64_t h) { return static_cast<uint32_t>(h ^ (h >> 32)); }
  void Place(Slot s) {
    size_t i = s.hash & mask_;
    while (places_[i].number != kNone) i = (i + 1) & mask_;
    places_[i] = s;
  }
  void Rehash(size_t n) {
    std::vector<Slot> old(n);
    old.swap(places_);
    mask_ = n - 1;
    for (const Slot& s : old)
      if (s.number != kNone) Place(s);
  }

  std::vector<Slot> places_;
  size_t mask_ = 0;
  size_t size_ = 0;
};

/// A set of numbers, those close to each other in one word: a target's series, numbered in turn,
/// cost two bits each and scattered ones 24 bytes. Cost: one look-up of the word.
class NumberSet {
 public:
  /// True if it was not there.
  bool Insert(uint32_t number) {
    uint32_t at = Place(number);
    if (at == FlatIndex::kNone) {
      at = static_cast<uint32_t>(keys_.size());
      index_.Insert(Mix(number / 64), at);
      keys_.push_back(number / 64);
      words_.push_back(0);
    }
    const uint64_t bit = uint64_t{1} << (number % 64);
    const bool fresh = (words_[at] & bit) == 0;
    words_[at] |= bit;
    return fresh;
  }
  /// True if it was there.
  bool Erase(uint32_t number) {
    const uint32_t at = Place(number);
    const uint64_t bit = uint64_t{1} << (number % 64);
    if (at == FlatIndex::kNone || (words_[at] & bit) == 0) return false;
    words_[at] &= ~bit;
    if (words_[at] != 0) return true;
    index_.Erase(Mix(keys_[at]), at);
    if (const auto last = static_cast<uint32_t>(keys_.size() - 1); at != last) {
      index_.Erase(Mix(keys_[last]), last);
      keys_[at] = keys_[last];
      words_[at] = words_[last];
      index_.Insert(Mix(keys_[at]), at);
    }
    keys_.pop_back();
    words_.pop_back();
    return true;
  }
  bool Has(uint32_t number) const {
    const uint32_t at = Place(number);
    return at != FlatIndex::kNone && ((words_[at] >> (number % 64)) & 1) != 0;
  }
  void Clear() { *this = NumberSet(); }
  std::vector<uint32_t> ToVector() const {
    std::vector<uint32_t> out;
    for (size_t i = 0; i < keys_.size(); ++i)
      for (uint64_t left = words_[i]; left != 0; left &= left - 1)
        out.push_back(keys_[i] * 64 + static_cast<uint32_t>(std::countr_zero(left)));
    return out;
  }
  size_t memory_bytes() const {
    return index_.memory_bytes() + keys_.capacity() * 4 + words_.capacity() * 8;
  }

 private:
  static uint64_t Mix(uint32_t k) { return uint64_t{k} * 0x9e3779b97f4a7c15ULL; }
  uint32_t Place(uint32_t number) const {
    return index_.Find(Mix(number / 64), [&](uint32_t i) { return keys_[i] == number / 64; });
  }
  FlatIndex index_;
  std::vector<uint32_t> keys_;   // number / 64
  std::vector<uint64_t> words_;  // of keys_
};

/// A small map from number to count or place, for cold paths and the fallback of timed samples.
class FlatMap {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  /// The value of `key`, or null.
  uint32_t* Find(uint32_t key) {
    const uint32_t at = index_.Find(Mix(key), [&](uint32_t i) { return keys_[i] == key; });
    return at == FlatIndex::kNone ? nullptr : &values_[at];
  }
  void Insert(uint32_t key, uint32_t value) {
    index_.Insert(Mix(key), static_cast<uint32_t>(keys_.size()));
    keys_.push_back(key);
    values_.push_back(value);
  }
  void Erase(uint32_t key) {
    const uint32_t at = index_.Find(Mix(key), [&](uint32_t i) { return keys_[i] == key; });
    if (at == FlatIndex::kNone) return;
    index_.Erase(Mix(key), at);
    const auto last = static_cast<uint32_t>(keys_.size() - 1);
    if (at != last) {
      index_.Erase(Mix(keys_[last]), last);
      keys_[at] = keys_[last];
      values_[at] = values_[last];
      index_.Insert(Mix(keys_[at]), at);
    }
    keys_.pop_back();
    values_.pop_back();
  }
  void Clear() { *this = FlatMap(); }
  const std::vector<uint32_t>& keys() const { return keys_; }
  size_t memory_bytes() const { return index_.memory_bytes() + keys_.capacity() * 8; }

 private:
  static uint64_t Mix(uint32_t k) { return uint64_t{k} * 0x9e3779b97f4a7c15ULL; }
  FlatIndex index_;
  std::vector<uint32_t> keys_;
  std::vector<uint32_t> values_;
};

}  // namespace picket
