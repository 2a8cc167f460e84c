// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>
#include <string_view>

#include "collectors/scrape/cache.h"

namespace picket::collectors::scrape {

/// One scan from the first line on that did not come as predicted: finds each line's entry nearby
/// or by hash, resolves new series, and writes the order the next scan will expect. Lives for one
/// call of SeriesCache::Scan. Errors: as Scan; the cache is then as before, and series held for
/// this scan alone are released again. Cost: about 30 ns a line found nearby, 100 ns by hash, and
/// the resolver's for new ones.
class Rewriter {
 public:
  Rewriter(SeriesCache& cache, SeriesResolver& resolver, SeriesCache::Scratch& scratch,
           ScrapeCounts& counts, Format format);
  /// The first `index` entries, `slot` of them in the row, came as predicted; the rest of the body
  /// begins at `p`.
  Status Run(const char* p, size_t index, size_t slot);

 private:
  using Entry = SeriesCache::Entry;

  void Begin(size_t index, size_t slot);
  Status Lines(const char* p);
  bool TakeGroupNearby(const char*& p);
  size_t FindSeriesNearby(std::string_view prefix) const;
  bool Acceptable(const Entry& entry, MetricType type) const;

  Status Place(const char* group);
  Entry TextEntry(const char* group, size_t lead, std::string_view prefix);
  Status ResolveNew(Entry& entry);
  void Push(Entry entry, bool repeat);
  void CheckDuplicate(Entry& entry, bool unsure);
  void PushTrailer(const char* group);
  std::shared_ptr<const MetricMetadata> Metadata(std::string_view series_name);

  // The table of series text: values are indices into the old order, or into the new one with kNew
  // set.
  static constexpr uint32_t kNew = 0x80000000u;
  static constexpr uint32_t kEmpty = UINT32_MAX;
  void BuildTable();
  void AddToTable(uint32_t value);
  uint32_t Lookup(std::string_view prefix);
  const Entry& At(uint32_t value) const;
  std::string_view SeriesText(const Entry& entry) const;
  void NeedSeen();

  Status LimitExceeded();
  void Undo();
  void Finish();
  void CollectGone();
  bool RepeatsTimed();

  SeriesCache& c_;
  SeriesResolver& resolver_;
  SeriesCache::Scratch& s_;
  ScrapeCounts& counts_;
  Parser& parser_;
  const Format format_;
  const bool trust_order_;  // false where the format changed: every line is then parsed in full
  size_t expected_ = 0;     // index in the old order of the line that should come next
  bool table_built_ = false;
  size_t table_used_ = 0;
  bool seen_built_ = false;
  bool group_has_metadata_ = false;
  bool group_has_type_ = false;
  size_t last_metadata_ = SIZE_MAX;  // index in the new order of the latest entry with metadata
  size_t family_of_ = SIZE_MAX;      // the entry `family_` was read from
  std::shared_ptr<const MetricMetadata> family_;
};

}  // namespace picket::collectors::scrape
