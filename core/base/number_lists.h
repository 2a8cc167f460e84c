// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

namespace picket {

/// Many short lists of small numbers in one pool, as varints: the label pairs of a series cost a
/// byte or two each instead of four. Shape: a list is known by its place; places of removed lists
/// are used again by lists of as many bytes. Threads: const methods together, others alone.
class NumberLists {
 public:
  using Place = uint32_t;

  Place Add(std::span<const uint32_t> numbers);
  void Remove(Place place);

  template <class Fn>
  void ForEach(Place place, Fn&& fn) const {
    const uint8_t* p = bytes_.data() + place;
    uint32_t size = 0;
    p = Read(p, size);
    for (const uint8_t* const end = p + size; p != end;) {
      uint32_t number = 0;
      p = Read(p, number);
      fn(number);
    }
  }
  /// Replaces what `out` holds.
  void Copy(Place place, std::vector<uint32_t>& out) const {
    out.clear();
    ForEach(place, [&](uint32_t n) { out.push_back(n); });
  }
  bool Equal(Place place, std::span<const uint32_t> numbers) const;
  size_t memory_bytes() const { return bytes_.capacity(); }

 private:
  static const uint8_t* Read(const uint8_t* p, uint32_t& number) {
    number = *p & 127U;
    for (int shift = 7; (*p++ & 128U) != 0; shift += 7) number |= (*p & 127U) << shift;
    return p;
  }

  std::vector<uint8_t> bytes_;                   // per list: its size in bytes, then its numbers
  std::map<uint32_t, std::vector<Place>> free_;  // by size
};

}  // namespace picket
