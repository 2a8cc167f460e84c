// SPDX-License-Identifier: Apache-2.0
#include "store/tsdb/index/label_index.h"

#include <algorithm>

#include "core/base/hash.h"

namespace picket::store::tsdb {
namespace {

constexpr size_t kCachedMatchers = 1024;

uint64_t Combine(uint64_t h, uint64_t name, uint64_t value) {
  h ^= name * 0x9e3779b97f4a7c15ULL;
  h = (h << 31) | (h >> 33);
  h ^= value * 0xc2b2ae3d27d4eb4fULL;
  return h * 0x9fb21c651e98df25ULL;
}

uint64_t Finish(uint64_t h) { return h ^ (h >> 29); }

/// A matcher that a series without the label cannot satisfy: lists of pairs answer it.
bool Narrows(const Matcher& m) { return !m.MatchesEmpty(); }

}  // namespace

uint64_t LabelIndex::PairHash(SymbolId name, SymbolId value) {
  return (uint64_t{name} << 32 | value) * 0x9e3779b97f4a7c15ULL;
}

PairId LabelIndex::FindPair(SymbolId name, SymbolId value) const {
  return index_.Find(PairHash(name, value), [&](uint32_t p) {
    return pairs_[p].name == name && pairs_[p].value == value;
  });
}

PairId LabelIndex::FindPair(std::string_view name, std::string_view value) const {
  const SymbolId n = symbols_.Find(name);
  if (n == SymbolTable::kNone) return kNone;
  const SymbolId v = symbols_.Find(value);
  return v == SymbolTable::kNone ? kNone : FindPair(n, v);
}

bool LabelIndex::FindPairs(const Labels& labels, std::vector<PairId>& out) const {
  out.clear();
  for (const auto& [name, value] : labels) {
    const PairId p = FindPair(name, value);
    if (p == kNone) return false;
    out.push_back(p);
  }
  return true;
}

std::vector<PairId> LabelIndex::AcquirePairs(const Labels& labels) {
  std::vector<PairId> out;
  out.reserve(labels.size());
  for (const auto& [name, value] : labels) {
    PairId p = FindPair(name, value);
    if (p == kNone) {
      bool added;
      const SymbolId n = symbols_.Acquire(name, added);
      const SymbolId v = symbols_.Acquire(value, added);
      if (free_.empty()) {
        p = static_cast<PairId>(pairs_.size());
        pairs_.emplace_back();
      } else {
        p = free_.back();
        free_.pop_back();
      }
      pairs_[p].name = n;
      pairs_[p].value = v;
      index_.Insert(PairHash(n, v), p);
      NameEntry& entry = names_[n];
      entry.pairs.push_back(p);
      entry.version = ++version_;
    }
    ++pairs_[p].uses;
    out.push_back(p);
  }
  return out;
}

void LabelIndex::AddSeries(SeriesId id, std::span<const PairId> pairs) {
  for (PairId p : pairs) pairs_[p].series.Add(id);
}

void LabelIndex::RemoveSeries(SeriesId id, std::span<const PairId> pairs,
                              std::vector<PairId>& freed) {
  for (PairId p : pairs) {
    Pair& pair = pairs_[p];
    pair.series.Remove(id);
    if (--pair.uses > 0) continue;
    index_.Erase(PairHash(pair.name, pair.value), p);
    const auto entry = names_.find(pair.name);
    std::erase(entry->second.pairs, p);
    entry->second.version = ++version_;
    if (entry->second.pairs.empty()) names_.erase(entry);
    symbols_.Release(pair.name);
    symbols_.Release(pair.value);
    pair = {};
    free_.push_back(p);
    freed.push_back(p);
  }
}

uint64_t LabelIndex::HashOf(std::span<const PairId> pairs) const {
  uint64_t h = 0;
  for (PairId p : pairs)
    h = Combine(h, symbols_.Hash(pairs_[p].name), symbols_.Hash(pairs_[p].value));
  return Finish(h);
}

uint64_t LabelIndex::HashOf(const Labels& labels) {
  uint64_t h = 0;
  for (const auto& [name, value] : labels) h = Combine(h, Hash64(name), Hash64(value));
  return Finish(h);
}

std::shared_ptr<const LabelIndex::Matched> LabelIndex::MatchedPairs(const Matcher& matcher,
                                                                    const NameEntry& entry) const {
  const std::string key = matcher.ToString();
  {
    std::lock_guard lock(cache_mutex_);
    const auto it = cache_.find(key);
    if (it != cache_.end() && it->second->version == entry.version) return it->second;
  }
  auto matched = std::make_shared<Matched>();
  matched->version = entry.version;
  if (!matcher.Alternatives().empty() && matcher.type() == Matcher::Type::kRegex) {
    for (const std::string& word : matcher.Alternatives()) {
      const PairId p = FindPair(matcher.name(), word);
      if (p != kNone) matched->pairs.push_back(p);
    }
  } else {
    for (PairId p : entry.pairs)
      if (matcher.Matches(Value(p))) matched->pairs.push_back(p);
  }
  std::sort(matched->pairs.begin(), matched->pairs.end());
  matched->pairs.erase(std::unique(matched->pairs.begin(), matched->pairs.end()),
                       matched->pairs.end());
  std::lock_guard lock(cache_mutex_);
  if (cache_.size() >= kCachedMatchers) cache_.clear();
  cache_[key] = matched;
  return matched;
}

void LabelIndex::Filter(const Matcher& matcher, std::vector<SeriesId>& ids,
                        const std::function<std::span<const PairId>(SeriesId)>& pairs_of) const {
  const SymbolId name = symbols_.Find(matcher.name());
  const auto entry = name == SymbolTable::kNone ? names_.end() : names_.find(name);
  const bool if_absent = matcher.MatchesEmpty();
  if (entry == names_.end()) {
    if (!if_absent) ids.clear();
    return;
  }
  const auto matched = MatchedPairs(matcher, entry->second);
  std::erase_if(ids, [&](SeriesId id) {
    for (PairId p : pairs_of(id))
      if (pairs_[p].name == name)
        return !std::binary_search(matched->pairs.begin(), matched->pairs.end(), p);
    return !if_absent;
  });
}

std::vector<SeriesId> LabelIndex::Select(
    std::span<const Matcher> matchers,
    const std::function<std::span<const PairId>(SeriesId)>& pairs_of,
    const std::function<void(std::vector<SeriesId>&)>& all) const {
  std::vector<SeriesId> ids;
  // Equal matchers that narrow give one list each: begin with the shortest, intersect with the
  // others.
  std::vector<const Postings*> lists;
  std::vector<const Matcher*> rest;
  for (const Matcher& m : matchers) {
    if (m.type() != Matcher::Type::kEqual || !Narrows(m)) {
      rest.push_back(&m);
      continue;
    }
    const PairId p = FindPair(m.name(), m.value());
    if (p == kNone) return ids;
    lists.push_back(&pairs_[p].series);
  }
  std::sort(lists.begin(), lists.end(), [](auto* a, auto* b) { return a->size() < b->size(); });
  if (!lists.empty()) {
    lists[0]->AppendTo(ids);
    for (size_t i = 1; i < lists.size() && !ids.empty(); ++i) lists[i]->Intersect(ids);
  } else {
    const auto first = std::find_if(rest.begin(), rest.end(), [](auto* m) { return Narrows(*m); });
    if (first == rest.end()) {
      all(ids);
    } else {
      const SymbolId name = symbols_.Find((*first)->name());
      const auto entry = name == SymbolTable::kNone ? names_.end() : names_.find(name);
      if (entry == names_.end()) return ids;
      // A series has one value for a name, so the lists do not overlap.
      for (PairId p : MatchedPairs(**first, entry->second)->pairs) pairs_[p].series.AppendTo(ids);
      std::sort(ids.begin(), ids.end());
      rest.erase(first);
    }
  }
  for (const Matcher* m : rest) {
    if (ids.empty()) break;
    Filter(*m, ids, pairs_of);
  }
  return ids;
}

std::vector<std::string> LabelIndex::Names() const {
  std::vector<std::string> out;
  out.reserve(names_.size());
  for (const auto& [symbol, entry] : names_) out.emplace_back(symbols_.Text(symbol));
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<std::string> LabelIndex::Values(std::string_view name) const {
  std::vector<std::string> out;
  const SymbolId symbol = symbols_.Find(name);
  const auto entry = symbol == SymbolTable::kNone ? names_.end() : names_.find(symbol);
  if (entry == names_.end()) return out;
  for (PairId p : entry->second.pairs) out.emplace_back(Value(p));
  std::sort(out.begin(), out.end());
  return out;
}

size_t LabelIndex::memory_bytes() const {
  size_t n = symbols_.memory_bytes() + pairs_.capacity() * sizeof(Pair) + index_.memory_bytes();
  for (const Pair& p : pairs_) n += p.series.memory_bytes();
  for (const auto& [symbol, entry] : names_) n += 64 + entry.pairs.capacity() * 4;
  return n;
}

}  // namespace picket::store::tsdb
