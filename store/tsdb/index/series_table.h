// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/flat_index.h"
#include "core/base/number_lists.h"
#include "core/model/labels.h"
#include "core/model/metrics.h"
#include "store/tsdb/index/label_index.h"
#include "store/tsdb/index/series_log.h"

namespace picket::store::tsdb {

inline constexpr SourceId kNoSource = UINT32_MAX;

/// What the store knows of a series besides its samples.
struct SeriesEntry {
  uint32_t hash = 0;         ///< low half of the labels' hash
  uint32_t pairs = 0;        ///< its list of pair ids
  uint16_t label_count = 0;  ///< 0: the id is free, or its labels were lost to damage
  bool released = false;     ///< the owner has let go; another source may take the series over
  uint32_t metadata = UINT32_MAX;
  SourceId owner = kNoSource;    ///< the source whose rows it is in
  uint32_t slot = 0;             ///< stripe << 10 | slot, at the owner
  uint32_t holds = 0;            ///< sources that say they will send it
  uint32_t pins = 0;             ///< open slots and sealed blocks that contain it
  uint32_t places = UINT32_MAX;  ///< the source with its samples, or kManyPlaces | index of a list
};

/// The series of the store: labels to ids and back, and where samples are.
/// An id is free again only when no source holds it and no slot or block contains it.
/// Threads: const methods together; others alone (the owner's reader-writer lock).
class SeriesTable {
 public:
  /// Persists through `log` when it is given.
  explicit SeriesTable(SeriesLog* log) : log_(log) {}

  SeriesId Find(const Labels& labels) const;
  SeriesId Create(const Labels& labels, uint32_t metadata);
  SeriesEntry& At(SeriesId id) { return entries_[id]; }
  const SeriesEntry& At(SeriesId id) const { return entries_[id]; }
  bool Known(SeriesId id) const { return id < entries_.size() && entries_[id].label_count > 0; }
  size_t size() const { return count_; }
  size_t end_id() const { return entries_.size(); }

  void Pin(SeriesId id) { ++entries_[id].pins; }
  void Unpin(SeriesId id);
  /// Looks at the series again at the next Collect.
  void Consider(SeriesId id) { maybe_dead_.push_back(id); }
  /// Frees the series that nobody needs; returns how many.
  size_t Collect();

  void AddPlace(SeriesId id, SourceId source);
  template <class Fn>
  void ForEachPlace(SeriesId id, Fn&& fn) const {
    const uint32_t p = entries_[id].places;
    if (p == UINT32_MAX) return;
    if ((p & kManyPlaces) == 0) return fn(p);
    for (SourceId s : place_lists_[p & ~kManyPlaces]) fn(s);
  }

  template <class Fn>
  void ForEachPair(SeriesId id, Fn&& fn) const {
    lists_.ForEach(entries_[id].pairs, [&](PairId p) { fn(index_.Name(p), index_.Value(p)); });
  }
  Labels LabelsOf(SeriesId id) const;
  /// The same, kept for the next reader.
  std::shared_ptr<const Labels> SharedLabels(SeriesId id) const;
  std::vector<SeriesId> Select(std::span<const Matcher> matchers) const;
  const LabelIndex& labels() const { return index_; }

  /// The number of this family's metadata, one use more; UINT32_MAX for null.
  uint32_t AcquireMetadata(const std::shared_ptr<const MetricMetadata>& metadata);
  std::shared_ptr<const MetricMetadata> MetadataOf(uint32_t metadata) const;
  std::vector<std::shared_ptr<const MetricMetadata>> AllMetadata() const;

  /// At start-up. False when the record makes no sense or its series cannot be told for sure.
  bool Replay(SeriesRecord type, std::span<const uint8_t> payload);
  /// At start-up: makes room for an id found in a block, known or not.
  void Reserve(SeriesId id);
  /// At start-up, after all pins: ids without labels and pins are free.
  void FinishReplay();

  /// False while something could not be written; Compact mends that.
  bool persisted() const { return persisted_; }
  /// Writes all series and metadata to an empty log.
  Status WriteAll(SeriesLog& log) const;
  /// After WriteAll became the file.
  void MarkPersisted();
  size_t memory_bytes() const;

 private:
  static constexpr uint32_t kManyPlaces = 1U << 31;
  struct Meta {
    std::shared_ptr<const MetricMetadata> metadata;
    uint32_t uses = 0;
  };
  /// What the log said of a pair, while it is replayed.
  struct PairText {
    std::string name, value;
  };

  /// Of a known series. Valid until the next call on this thread.
  std::span<const PairId> PairsOf(SeriesId id) const;
  SeriesId NewId();
  void Fill(SeriesId id, const Labels& labels, uint32_t metadata);
  void Free(SeriesId id);
  void ReleaseMetadata(uint32_t metadata);
  std::vector<uint8_t> SeriesPayload(SeriesId id, std::vector<uint8_t>& defined) const;
  static std::vector<uint8_t> MetadataPayload(uint32_t number, const MetricMetadata& m);
  bool ReplaySeries(const uint8_t* p, const uint8_t* end);
  bool ReplayMetadata(const uint8_t* p, const uint8_t* end);
  void Persist(SeriesRecord type, std::span<const uint8_t> payload);

  SeriesLog* log_;
  LabelIndex index_;
  std::vector<SeriesEntry> entries_;
  std::vector<SeriesId> free_;
  FlatIndex by_hash_;
  size_t count_ = 0;
  NumberLists lists_;  // pair ids of each series, by label name
  std::vector<SeriesId> maybe_dead_;
  std::vector<std::vector<SourceId>> place_lists_;
  std::vector<uint32_t> place_lists_free_;
  std::vector<Meta> metadata_;
  std::vector<uint32_t> metadata_free_;
  std::unordered_map<std::string, uint32_t> metadata_by_family_;
  /// How often a pair's text is in the log. Twice, so that one damaged record loses one series
  /// only.
  static constexpr uint8_t kTextCopies = 2;
  std::vector<uint8_t> defined_;
  bool persisted_ = true;
  std::unordered_map<PairId, PairText> replayed_pairs_;
  mutable std::mutex cache_mutex_;  // guards cache_
  mutable std::unordered_map<SeriesId, std::shared_ptr<const Labels>> cache_;
};

}  // namespace picket::store::tsdb
