// SPDX-License-Identifier: Apache-2.0
#include "core/model/symbols.h"

#include <cstring>

#include "core/base/hash.h"

namespace picket {

SymbolId SymbolTable::Find(std::string_view text) const {
  return index_.Find(Hash64(text), [&](uint32_t id) { return Text(id) == text; });
}

SymbolId SymbolTable::Acquire(std::string_view text, bool& added) {
  const uint64_t hash = Hash64(text);
  SymbolId id = index_.Find(hash, [&](uint32_t i) { return Text(i) == text; });
  added = id == FlatIndex::kNone;
  if (added) {
    if (free_.empty()) {
      id = static_cast<SymbolId>(entries_.size());
      entries_.emplace_back();
    } else {
      id = free_.back();
      free_.pop_back();
    }
    Entry& e = entries_[id];
    e.text = std::make_unique_for_overwrite<char[]>(text.size());
    std::memcpy(e.text.get(), text.data(), text.size());
    e.size = static_cast<uint32_t>(text.size());
    e.hash = hash;
    e.uses = 0;
    text_bytes_ += text.size() + 16;
    index_.Insert(hash, id);
  }
  ++entries_[id].uses;
  return id;
}

void SymbolTable::Release(SymbolId id) {
  Entry& e = entries_[id];
  if (--e.uses > 0) return;
  index_.Erase(e.hash, id);
  text_bytes_ -= e.size + 16;
  e = {};
  free_.push_back(id);
}

size_t SymbolTable::memory_bytes() const {
  return entries_.capacity() * sizeof(Entry) + text_bytes_ + index_.memory_bytes() +
         free_.capacity() * 4;
}

}  // namespace picket
