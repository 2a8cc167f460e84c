// SPDX-License-Identifier: Apache-2.0
#include "core/base/number_lists.h"

#include <algorithm>

namespace picket {
namespace {

size_t SizeOf(uint32_t number) {
  size_t n = 1;
  for (; number > 127; number >>= 7) ++n;
  return n;
}

uint8_t* Write(uint8_t* p, uint32_t number) {
  for (; number > 127; number >>= 7) *p++ = static_cast<uint8_t>(number | 128U);
  *p++ = static_cast<uint8_t>(number);
  return p;
}

}  // namespace

NumberLists::Place NumberLists::Add(std::span<const uint32_t> numbers) {
  size_t size = 0;
  for (const uint32_t n : numbers) size += SizeOf(n);
  const auto bytes = static_cast<uint32_t>(size);
  Place place = 0;
  const auto free = free_.find(bytes);
  if (free == free_.end()) {
    place = static_cast<Place>(bytes_.size());
    bytes_.resize(bytes_.size() + SizeOf(bytes) + bytes);
  } else {
    place = free->second.back();
    free->second.pop_back();
    if (free->second.empty()) free_.erase(free);
  }
  uint8_t* p = Write(bytes_.data() + place, bytes);
  for (const uint32_t n : numbers) p = Write(p, n);
  return place;
}

void NumberLists::Remove(Place place) {
  uint32_t size = 0;
  Read(bytes_.data() + place, size);
  free_[size].push_back(place);
}

bool NumberLists::Equal(Place place, std::span<const uint32_t> numbers) const {
  bool equal = true;
  size_t i = 0;
  ForEach(place, [&](uint32_t n) {
    equal = equal && i < numbers.size() && numbers[i] == n;
    ++i;
  });
  return equal && i == numbers.size();
}

}  // namespace picket
