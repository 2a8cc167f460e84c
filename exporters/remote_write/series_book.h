// SPDX-License-Identifier: Apache-2.0
// What a destination knows of each series: its final labels as numbers of interned texts.
#pragma once
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/model/metrics.h"

namespace picket::exporters::remote_write {

/// Number of an interned text. 0 is the empty text.
using Symbol = uint32_t;

/// Series by id, labels relabelled once when the series is first seen. About 8 bytes a label and 24
/// bytes a series; texts are shared. Threads: none of its own; readers and writers are kept apart
/// by the owner.
class SeriesBook {
 public:
  SeriesBook();
  struct Series {
    enum class State : uint8_t { kUnknown, kLive, kFiltered } state = State::kUnknown;
    MetricType type = MetricType::kUnknown;
    uint16_t refs = 0;    ///< name and value in turn, sorted by name
    uint32_t offset = 0;  ///< of its refs
    Symbol help = 0, unit = 0;
  };
  /// `labels` empty: the series is filtered. Replaces what the id meant before.
  void Add(SeriesId id, const Labels& labels,
           const std::shared_ptr<const MetricMetadata>& metadata);
  void Remove(SeriesId id);

  /// An unknown id is as good as filtered.
  const Series& Get(SeriesId id) const {
    static const Series kNone;
    return id < series_.size() ? series_[id] : kNone;
  }
  std::span<const Symbol> Refs(const Series& s) const { return {refs_.data() + s.offset, s.refs}; }
  std::string_view Text(Symbol s) const { return symbols_[s].text; }
  size_t SymbolCount() const { return symbols_.size(); }
  /// Frees the numbers of texts that no series has any more. Only while nobody remembers numbers: a
  /// request under construction would name one text twice, or two by one number.
  void Sweep();
  size_t unused() const { return unused_.size(); }

  /// Every family with a live series, for v1's metadata.
  std::vector<std::shared_ptr<const MetricMetadata>> Families() const;

 private:
  struct Entry {
    std::string text;
    uint32_t uses = 0;
  };
  struct Family {
    std::shared_ptr<const MetricMetadata> metadata;
    uint32_t uses = 0;
  };
  Symbol Intern(std::string_view text);
  void Drop(Symbol s);

  std::vector<Series> series_;
  std::vector<Symbol> refs_;
  std::unordered_map<uint16_t, std::vector<uint32_t>> free_refs_;  // by count
  std::deque<Entry> symbols_;                                      // stable: by_text_ looks into it
  std::unordered_map<std::string_view, Symbol> by_text_;
  std::vector<Symbol> free_symbols_;
  std::vector<Symbol> unused_;  // of texts that had no use at some time since the last sweep
  std::unordered_map<std::string, Family> families_;
  std::vector<Family*> family_of_;  // by series
};

}  // namespace picket::exporters::remote_write
