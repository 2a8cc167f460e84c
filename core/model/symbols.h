// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "core/base/flat_index.h"

namespace picket {

using SymbolId = uint32_t;

/// Each label name and value once, counted by use.
class SymbolTable {
 public:
  static constexpr SymbolId kNone = UINT32_MAX;

  SymbolId Find(std::string_view text) const;
  /// One use more; `added` says whether the symbol is new.
  SymbolId Acquire(std::string_view text, bool& added);
  void Release(SymbolId id);
  std::string_view Text(SymbolId id) const { return {entries_[id].text.get(), entries_[id].size}; }
  uint64_t Hash(SymbolId id) const { return entries_[id].hash; }
  size_t size() const { return index_.size(); }
  /// Above every number in use.
  size_t end_id() const { return entries_.size(); }
  size_t memory_bytes() const;

 private:
  struct Entry {
    std::unique_ptr<char[]> text;
    uint64_t hash = 0;
    uint32_t size = 0;
    uint32_t uses = 0;
  };
  std::vector<Entry> entries_;
  std::vector<SymbolId> free_;
  FlatIndex index_;
  size_t text_bytes_ = 0;
};

}  // namespace picket
