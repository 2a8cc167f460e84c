// SPDX-License-Identifier: Apache-2.0
// What a destination knows of each series: its final labels as numbers of interned texts, and for
// v1 each label once as it stands on the wire.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/flat_index.h"
#include "core/base/number_lists.h"
#include "core/model/metrics.h"
#include "core/model/symbols.h"

namespace picket::exporters::remote_write {

/// Number of an interned text. 0 is the empty text.
using Symbol = SymbolId;

/// Series by id, labels relabelled once when the series is first seen. A series costs 8 bytes and a
/// byte or two a label; pairs, texts and v1's labels are shared. Threads: none of its own; readers
/// and writers are kept apart by the owner.
class SeriesBook {
 public:
  SeriesBook();

  /// What v2 says of a series besides its labels.
  struct Meta {
    MetricType type = MetricType::kUnknown;
    Symbol help = 0, unit = 0;
  };
  class Series {
   public:
    bool live() const { return pairs_ < kFiltered; }

   private:
    friend class SeriesBook;
    static constexpr uint32_t kFiltered = UINT32_MAX - 1, kUnknown = UINT32_MAX;
    uint32_t pairs_ = kUnknown;     // where its list of pairs begins, or one of the above
    uint32_t family_ = UINT32_MAX;  // index of its metadata, if there is any
  };

  /// `labels` empty: the series is filtered. Replaces what the id meant before.
  void Add(SeriesId id, const Labels& labels,
           const std::shared_ptr<const MetricMetadata>& metadata);
  void Remove(SeriesId id);

  /// An unknown id is as good as filtered.
  Series Get(SeriesId id) const { return id < series_.size() ? series_[id] : Series(); }
  /// Calls fn(name, value) for each label of a live series, sorted by name.
  template <class Fn>
  void ForEachLabel(Series s, Fn&& fn) const {
    lists_.ForEach(s.pairs_, [&](uint32_t p) { fn(pairs_[p].name, pairs_[p].value); });
  }
  Meta MetaOf(Series s) const {
    return s.family_ < families_.size() ? families_[s.family_].meta : Meta();
  }
  std::string_view Text(Symbol s) const { return symbols_.Text(s); }

  /// From now on every label is there in v1's wire form too.
  void KeepWireLabels();
  /// Calls fn(bytes) for each label of a live series, sorted by name: the field of a v1 TimeSeries
  /// with its tag and length. May be read kReadAhead bytes too far. Only once they are kept.
  template <class Fn>
  void ForEachWireLabel(Series s, Fn&& fn) const {
    lists_.ForEach(s.pairs_, [&](uint32_t p) {
      fn(std::string_view(wire_bytes_.data() + wire_[p].begin, wire_[p].size));
    });
  }
  static constexpr size_t kReadAhead = 16;
  /// No series has more bytes of v1 labels.
  size_t most_wire_bytes() const { return most_wire_bytes_; }

  /// Above every number in use.
  size_t SymbolCount() const { return symbols_.end_id(); }
  /// Frees the numbers of texts that no series has any more. Only while nobody remembers numbers: a
  /// request under construction would name one text twice, or two by one number.
  void Sweep();
  /// Series that left since the last sweep.
  size_t unswept() const { return removed_.size(); }
  /// Without families.
  size_t memory_bytes() const;

  /// Every family with a live series, for v1's metadata.
  std::vector<std::shared_ptr<const MetricMetadata>> Families() const;

 private:
  struct Pair {
    Symbol name = 0, value = 0;
    uint32_t uses = 0;
  };
  /// One for each different metadata: targets may disagree on a family.
  struct Family {
    std::shared_ptr<const MetricMetadata> metadata;
    Meta meta;
    uint32_t uses = 0;
    uint64_t added = 0;  // the latest of a name speaks for it
  };
  struct Extent {
    uint32_t begin = 0, size = 0;
  };
  Symbol Intern(std::string_view text);
  void WriteWireLabel(uint32_t pair);
  uint32_t AcquirePair(std::string_view name, std::string_view value);
  void ReleasePair(uint32_t pair);
  uint32_t AcquireFamily(const std::shared_ptr<const MetricMetadata>& metadata);
  static std::string FamilyKey(const MetricMetadata& m);

  std::vector<Series> series_;
  NumberLists lists_;  // of pairs
  std::vector<Pair> pairs_;
  std::vector<uint32_t> free_pairs_;
  FlatIndex by_symbols_;  // pairs
  SymbolTable symbols_;
  // v1's labels, written in turn. Those of pairs that left stay until they are half of all.
  bool keep_wire_ = false;
  std::vector<Extent> wire_;      // by pair
  std::vector<char> wire_bytes_;  // and kReadAhead behind them
  size_t wire_dead_ = 0;          // of wire_bytes_
  size_t most_wire_bytes_ = 0;
  std::vector<Family> families_;
  std::vector<uint32_t> free_families_;
  std::unordered_map<std::string, uint32_t> by_metadata_;
  uint32_t last_family_ = UINT32_MAX;  // series of a family come one after the other
  uint64_t families_added_ = 0;
  // Since the last sweep; their numbers may still be remembered.
  std::vector<uint32_t> removed_;  // lists
  std::vector<uint32_t> removed_families_;
};

}  // namespace picket::exporters::remote_write
