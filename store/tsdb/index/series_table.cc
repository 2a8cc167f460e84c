// SPDX-License-Identifier: Apache-2.0
#include "store/tsdb/index/series_table.h"

#include <algorithm>

#include "store/tsdb/bytes.h"

namespace picket::store::tsdb {
namespace {

/// Label sets kept ready for readers; rules ask for the same ones again and again.
constexpr size_t kCachedLabels = 16384;
constexpr size_t kMaxPlaces = 8;

}  // namespace

SeriesId SeriesTable::Find(const Labels& labels) const {
  thread_local std::vector<PairId> pairs;
  if (!index_.FindPairs(labels, pairs)) return kNoSeries;
  return by_hash_.Find(index_.HashOf(pairs),
                       [&](uint32_t id) { return lists_.Equal(entries_[id].pairs, pairs); });
}

std::span<const PairId> SeriesTable::PairsOf(SeriesId id) const {
  thread_local std::vector<PairId> pairs;
  lists_.Copy(entries_[id].pairs, pairs);
  return pairs;
}

SeriesId SeriesTable::NewId() {
  if (!free_.empty()) {
    const SeriesId id = free_.back();
    free_.pop_back();
    return id;
  }
  entries_.emplace_back();
  return static_cast<SeriesId>(entries_.size() - 1);
}

void SeriesTable::Fill(SeriesId id, const Labels& labels, uint32_t metadata) {
  const std::vector<PairId> pairs = index_.AcquirePairs(labels);
  SeriesEntry& e = entries_[id];
  e.label_count = static_cast<uint16_t>(pairs.size());
  e.pairs = lists_.Add(pairs);
  const uint64_t hash = index_.HashOf(pairs);
  e.hash = static_cast<uint32_t>(hash);
  e.metadata = metadata;
  index_.AddSeries(id, pairs);
  by_hash_.Insert(hash, id);
  ++count_;
}

SeriesId SeriesTable::Create(const Labels& labels, uint32_t metadata) {
  const SeriesId id = NewId();
  Fill(id, labels, metadata);
  if (log_ != nullptr) Persist(SeriesRecord::kSeriesNew, SeriesPayload(id, defined_));
  return id;
}

void SeriesTable::Persist(SeriesRecord type, std::span<const uint8_t> payload) {
  // A full disk must not stop the agent from seeing: the series lives in memory and is written by a
  // later Compact.
  if (log_ != nullptr && !log_->Append(type, payload)) persisted_ = false;
}

void SeriesTable::Unpin(SeriesId id) {
  SeriesEntry& e = entries_[id];
  if (e.pins > 0 && --e.pins == 0 && e.holds == 0) maybe_dead_.push_back(id);
}

size_t SeriesTable::Collect() {
  size_t n = 0;
  for (SeriesId id : maybe_dead_) {
    SeriesEntry& e = entries_[id];
    if (e.holds > 0 || e.pins > 0) continue;
    if (e.label_count == 0) {
      // Either freed by an earlier mention, or a lost id whose last block is gone.
      if (e.places == UINT32_MAX && e.owner == kNoSource) continue;
      Free(id);
      continue;
    }
    Free(id);
    ++n;
  }
  maybe_dead_.clear();
  return n;
}

void SeriesTable::Free(SeriesId id) {
  SeriesEntry& e = entries_[id];
  if (e.label_count > 0) {
    std::vector<PairId> freed;
    const std::span<const PairId> pairs = PairsOf(id);
    by_hash_.Erase(index_.HashOf(pairs), id);
    index_.RemoveSeries(id, pairs, freed);
    for (PairId p : freed)
      if (p < defined_.size()) defined_[p] = 0;
    lists_.Remove(e.pairs);
    ReleaseMetadata(e.metadata);
    --count_;
    uint8_t payload[kMaxVarint];
    Persist(SeriesRecord::kSeriesGone, {payload, PutVarint(payload, id)});
  }
  if (e.places != UINT32_MAX && (e.places & kManyPlaces) != 0) {
    place_lists_[e.places & ~kManyPlaces].clear();
    place_lists_free_.push_back(e.places & ~kManyPlaces);
  }
  e = {};
  free_.push_back(id);
  std::lock_guard lock(cache_mutex_);
  cache_.erase(id);
}

void SeriesTable::AddPlace(SeriesId id, SourceId source) {
  SeriesEntry& e = entries_[id];
  if (e.places == source) return;
  if (e.places == UINT32_MAX) {
    e.places = source;
    return;
  }
  if ((e.places & kManyPlaces) == 0) {
    uint32_t list;
    if (place_lists_free_.empty()) {
      list = static_cast<uint32_t>(place_lists_.size());
      place_lists_.emplace_back();
    } else {
      list = place_lists_free_.back();
      place_lists_free_.pop_back();
    }
    place_lists_[list] = {e.places, source};
    e.places = kManyPlaces | list;
    return;
  }
  auto& list = place_lists_[e.places & ~kManyPlaces];
  if (std::find(list.begin(), list.end(), source) == list.end()) list.push_back(source);
}

Labels SeriesTable::LabelsOf(SeriesId id) const {
  std::vector<Labels::Pair> pairs;
  for (PairId p : PairsOf(id)) pairs.push_back({index_.Name(p), index_.Value(p)});
  return Labels::FromViews(std::move(pairs));
}

std::shared_ptr<const Labels> SeriesTable::SharedLabels(SeriesId id) const {
  std::lock_guard lock(cache_mutex_);
  if (cache_.size() >= kCachedLabels && !cache_.contains(id)) cache_.clear();
  auto& entry = cache_[id];
  if (entry == nullptr) entry = std::make_shared<const Labels>(LabelsOf(id));
  return entry;
}

std::vector<SeriesId> SeriesTable::Select(std::span<const Matcher> matchers) const {
  return index_.Select(
      matchers, [this](SeriesId id) { return PairsOf(id); },
      [this](std::vector<SeriesId>& out) {
        for (SeriesId id = 0; id < entries_.size(); ++id)
          if (entries_[id].label_count > 0) out.push_back(id);
      });
}

uint32_t SeriesTable::AcquireMetadata(const std::shared_ptr<const MetricMetadata>& metadata) {
  if (metadata == nullptr || metadata->family.empty()) return UINT32_MAX;
  auto [it, added] = metadata_by_family_.try_emplace(metadata->family, 0);
  if (added) {
    if (metadata_free_.empty()) {
      it->second = static_cast<uint32_t>(metadata_.size());
      metadata_.emplace_back();
    } else {
      it->second = metadata_free_.back();
      metadata_free_.pop_back();
    }
  }
  Meta& m = metadata_[it->second];
  ++m.uses;
  const bool same = m.metadata != nullptr && m.metadata->type == metadata->type &&
                    m.metadata->help == metadata->help && m.metadata->unit == metadata->unit;
  if (!same) {
    m.metadata = metadata;
    Persist(SeriesRecord::kMetadata, MetadataPayload(it->second, *metadata));
  }
  return it->second;
}

void SeriesTable::ReleaseMetadata(uint32_t metadata) {
  if (metadata >= metadata_.size() || metadata_[metadata].uses == 0 ||
      --metadata_[metadata].uses > 0)
    return;
  if (metadata_[metadata].metadata != nullptr)
    metadata_by_family_.erase(metadata_[metadata].metadata->family);
  metadata_[metadata] = {};
  metadata_free_.push_back(metadata);
}

std::shared_ptr<const MetricMetadata> SeriesTable::MetadataOf(uint32_t metadata) const {
  return metadata < metadata_.size() ? metadata_[metadata].metadata : nullptr;
}

std::vector<std::shared_ptr<const MetricMetadata>> SeriesTable::AllMetadata() const {
  std::vector<std::shared_ptr<const MetricMetadata>> out;
  for (const Meta& m : metadata_)
    if (m.metadata != nullptr) out.push_back(m.metadata);
  return out;
}

size_t SeriesTable::memory_bytes() const {
  return entries_.capacity() * sizeof(SeriesEntry) + lists_.memory_bytes() +
         by_hash_.memory_bytes() + index_.memory_bytes() + free_.capacity() * 4 +
         maybe_dead_.capacity() * 4 + metadata_.capacity() * 200 +
         std::min(cache_.size(), kCachedLabels) * 400;
}

}  // namespace picket::store::tsdb
