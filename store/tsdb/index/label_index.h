// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/flat_index.h"
#include "core/model/labels.h"
#include "core/model/metrics.h"
#include "core/model/symbols.h"
#include "store/tsdb/index/postings.h"

namespace picket::store::tsdb {

using PairId = uint32_t;

/// Label pairs as numbers, and for each pair the series that have it.
/// Threads: const methods may run together; the others alone.
class LabelIndex {
 public:
  static constexpr PairId kNone = UINT32_MAX;

  /// Finds the pairs of `labels`; false if one is unknown (then no series has these labels).
  bool FindPairs(const Labels& labels, std::vector<PairId>& out) const;
  /// The pairs of `labels`, each with one use more.
  std::vector<PairId> AcquirePairs(const Labels& labels);
  void AddSeries(SeriesId id, std::span<const PairId> pairs);
  /// Takes the series out of its pairs' lists and gives the pairs' uses back; `freed` gets pairs
  /// nobody uses any more.
  void RemoveSeries(SeriesId id, std::span<const PairId> pairs, std::vector<PairId>& freed);

  std::string_view Name(PairId pair) const { return symbols_.Text(pairs_[pair].name); }
  std::string_view Value(PairId pair) const { return symbols_.Text(pairs_[pair].value); }
  SymbolId NameSymbol(PairId pair) const { return pairs_[pair].name; }
  /// The same for equal sets on every machine.
  uint64_t HashOf(std::span<const PairId> pairs) const;
  static uint64_t HashOf(const Labels& labels);

  /// Ascending ids of the series that satisfy all matchers. `pairs_of(id)` gives a series' pairs;
  /// `all(out)` appends every id, for when no matcher narrows the search.
  std::vector<SeriesId> Select(std::span<const Matcher> matchers,
                               const std::function<std::span<const PairId>(SeriesId)>& pairs_of,
                               const std::function<void(std::vector<SeriesId>&)>& all) const;
  std::vector<std::string> Names() const;
  std::vector<std::string> Values(std::string_view name) const;
  size_t memory_bytes() const;

 private:
  struct Pair {
    SymbolId name = SymbolTable::kNone;
    SymbolId value = SymbolTable::kNone;
    uint32_t uses = 0;
    Postings series;
  };
  struct NameEntry {
    std::vector<PairId> pairs;
    uint64_t version = 0;  // changes whenever `pairs` does
  };
  struct Matched {
    uint64_t version = 0;
    std::vector<PairId> pairs;  // ascending
  };

  PairId FindPair(std::string_view name, std::string_view value) const;
  PairId FindPair(SymbolId name, SymbolId value) const;
  static uint64_t PairHash(SymbolId name, SymbolId value);
  std::shared_ptr<const Matched> MatchedPairs(const Matcher& matcher, const NameEntry& entry) const;
  void Filter(const Matcher& matcher, std::vector<SeriesId>& ids,
              const std::function<std::span<const PairId>(SeriesId)>& pairs_of) const;

  SymbolTable symbols_;
  std::vector<Pair> pairs_;
  std::vector<PairId> free_;
  FlatIndex index_;
  std::unordered_map<SymbolId, NameEntry> names_;
  uint64_t version_ = 0;
  mutable std::mutex cache_mutex_;  // guards cache_
  mutable std::unordered_map<std::string, std::shared_ptr<const Matched>> cache_;
};

}  // namespace picket::store::tsdb
