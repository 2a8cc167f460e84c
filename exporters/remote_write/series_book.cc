// SPDX-License-Identifier: Apache-2.0
#include "exporters/remote_write/series_book.h"

#include <algorithm>
#include <utility>

namespace picket::exporters::remote_write {
namespace {

constexpr size_t kMostLabels = UINT16_MAX / 2;

uint64_t PairHash(Symbol name, Symbol value) {
  return (uint64_t{name} << 32 | value) * 0x9e3779b97f4a7c15ULL;
}

}  // namespace

SeriesBook::SeriesBook() {
  bool added = false;
  symbols_.Acquire("", added);  // number 0, kept for good
}

Symbol SeriesBook::Intern(std::string_view text) {
  if (text.empty()) return 0;
  bool added = false;
  return symbols_.Acquire(text, added);
}

uint32_t SeriesBook::AcquirePair(std::string_view name, std::string_view value) {
  const Symbol n = Intern(name), v = Intern(value);
  uint32_t p = by_symbols_.Find(
      PairHash(n, v), [&](uint32_t i) { return pairs_[i].name == n && pairs_[i].value == v; });
  if (p != FlatIndex::kNone) {  // the pair holds one use of its texts
    symbols_.Release(n);
    if (v != 0) symbols_.Release(v);
  } else {
    if (free_pairs_.empty()) {
      p = static_cast<uint32_t>(pairs_.size());
      pairs_.emplace_back();
    } else {
      p = free_pairs_.back();
      free_pairs_.pop_back();
    }
    pairs_[p] = {n, v, 0};
    by_symbols_.Insert(PairHash(n, v), p);
  }
  ++pairs_[p].uses;
  return p;
}

void SeriesBook::ReleasePair(uint32_t p) {
  Pair& pair = pairs_[p];
  if (--pair.uses > 0) return;
  by_symbols_.Erase(PairHash(pair.name, pair.value), p);
  symbols_.Release(pair.name);
  if (pair.value != 0) symbols_.Release(pair.value);
  free_pairs_.push_back(p);
}

std::string SeriesBook::FamilyKey(const MetricMetadata& m) {
  std::string key(1, static_cast<char>(m.type));
  for (const std::string_view text :
       {std::string_view(m.family), std::string_view(m.unit), std::string_view(m.help)}) {
    key += text;
    key += '\xff';  // in no UTF-8 text
  }
  return key;
}

uint32_t SeriesBook::AcquireFamily(const std::shared_ptr<const MetricMetadata>& metadata) {
  if (!metadata) return UINT32_MAX;
  if (last_family_ < families_.size() && families_[last_family_].metadata == metadata) {
    ++families_[last_family_].uses;
    return last_family_;
  }
  const auto [it, added] = by_metadata_.try_emplace(FamilyKey(*metadata), 0);
  if (added) {
    if (free_families_.empty()) {
      it->second = static_cast<uint32_t>(families_.size());
      families_.emplace_back();
    } else {
      it->second = free_families_.back();
      free_families_.pop_back();
    }
    families_[it->second] = {metadata,
                             {metadata->type, Intern(metadata->help), Intern(metadata->unit)},
                             0,
                             ++families_added_};
  }
  Family& family = families_[it->second];
  family.metadata = metadata;  // equal, and the one that is asked for next
  ++family.uses;
  return last_family_ = it->second;
}

void SeriesBook::Sweep() {
  for (const uint32_t list : std::exchange(removed_, {})) {
    lists_.ForEach(list, [this](uint32_t p) { ReleasePair(p); });
    lists_.Remove(list);
  }
  for (const uint32_t f : std::exchange(removed_families_, {})) {
    Family& family = families_[f];
    if (family.uses > 0 || !family.metadata) continue;  // taken up again, or listed twice
    by_metadata_.erase(FamilyKey(*family.metadata));
    if (family.meta.help != 0) symbols_.Release(family.meta.help);
    if (family.meta.unit != 0) symbols_.Release(family.meta.unit);
    family = {};
    free_families_.push_back(f);
  }
}

void SeriesBook::Add(SeriesId id, const Labels& labels,
                     const std::shared_ptr<const MetricMetadata>& metadata) {
  Remove(id);
  if (id >= series_.size()) {
    // Small steps: what is made is touched.
    if (id >= series_.capacity()) series_.reserve(id + id / 8 + 64);
    series_.resize(size_t{id} + 1);
  }
  Series& s = series_[id];
  s.pairs_ = Series::kFiltered;
  if (labels.empty() || labels.size() > kMostLabels) return;
  thread_local std::vector<uint32_t> pairs;
  pairs.clear();
  for (const auto& pair : labels) pairs.push_back(AcquirePair(pair.name, pair.value));
  s.pairs_ = lists_.Add(pairs);
  s.family_ = AcquireFamily(metadata);
}

void SeriesBook::Remove(SeriesId id) {
  if (id >= series_.size()) return;
  const Series s = std::exchange(series_[id], {});
  if (!s.live()) return;
  removed_.push_back(s.pairs_);
  if (s.family_ < families_.size() && --families_[s.family_].uses == 0)
    removed_families_.push_back(s.family_);
}

std::vector<std::shared_ptr<const MetricMetadata>> SeriesBook::Families() const {
  std::unordered_map<std::string_view, const Family*> latest;
  for (const Family& family : families_) {
    if (family.uses == 0) continue;
    const Family*& of_name = latest[family.metadata->family];
    if (of_name == nullptr || of_name->added < family.added) of_name = &family;
  }
  std::vector<std::shared_ptr<const MetricMetadata>> out;
  out.reserve(latest.size());
  for (const auto& [name, family] : latest) out.push_back(family->metadata);
  return out;
}

}  // namespace picket::exporters::remote_write
