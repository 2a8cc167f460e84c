// SPDX-License-Identifier: Apache-2.0
#include "exporters/remote_write/series_book.h"

#include <algorithm>
#include <utility>

#include "core/proto/wire.h"

namespace picket::exporters::remote_write {
namespace {

constexpr size_t kMostLabels = UINT16_MAX / 2;
constexpr uint32_t kV1Labels = 1, kLabelName = 1, kLabelValue = 2;  // fields of v1

size_t TextsSize(std::string_view name, std::string_view value) {
  return proto::BytesFieldSize(kLabelName, name.size()) +
         proto::BytesFieldSize(kLabelValue, value.size());
}

size_t WireLabelSize(std::string_view name, std::string_view value) {
  return proto::BytesFieldSize(kV1Labels, TextsSize(name, value));
}

char* PutText(char* to, uint32_t number, std::string_view text) {
  to = proto::WriteTag(to, number, proto::WireType::kBytes);
  return proto::WriteRaw(proto::WriteVarint(to, text.size()), text);
}

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
    if (keep_wire_) WriteWireLabel(p);
  }
  ++pairs_[p].uses;
  return p;
}

void SeriesBook::ReleasePair(uint32_t p) {
  Pair& pair = pairs_[p];
  if (--pair.uses > 0) return;
  by_symbols_.Erase(PairHash(pair.name, pair.value), p);
  if (keep_wire_) wire_dead_ += wire_[p].size;
  symbols_.Release(pair.name);
  if (pair.value != 0) symbols_.Release(pair.value);
  free_pairs_.push_back(p);
}

void SeriesBook::WriteWireLabel(uint32_t p) {
  const std::string_view name = Text(pairs_[p].name), value = Text(pairs_[p].value);
  const size_t size = WireLabelSize(name, value);
  const size_t begin = wire_bytes_.size() - kReadAhead;
  if (p >= wire_.size()) wire_.resize(pairs_.size());
  wire_[p] = {static_cast<uint32_t>(begin), static_cast<uint32_t>(size)};
  const size_t end = begin + size + kReadAhead;
  if (end > wire_bytes_.capacity()) wire_bytes_.reserve(end + end / 8 + 1024);
  wire_bytes_.resize(end);
  char* to = wire_bytes_.data() + begin;
  to = proto::WriteTag(to, kV1Labels, proto::WireType::kBytes);
  to = proto::WriteVarint(to, TextsSize(name, value));
  PutText(PutText(to, kLabelName, name), kLabelValue, value);
}

void SeriesBook::KeepWireLabels() {
  keep_wire_ = true;
  wire_dead_ = 0;
  wire_ = {};
  wire_bytes_ = std::vector<char>(kReadAhead);
  for (uint32_t p = 0; p < pairs_.size(); ++p)
    if (pairs_[p].uses > 0) WriteWireLabel(p);
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
  constexpr size_t kFew = 64 << 10;
  if (wire_dead_ > kFew && wire_dead_ > wire_bytes_.size() / 2) KeepWireLabels();
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
  size_t wire_bytes = 0;
  for (const auto& pair : labels) {
    pairs.push_back(AcquirePair(pair.name, pair.value));
    wire_bytes += WireLabelSize(pair.name, pair.value);
  }
  most_wire_bytes_ = std::max(most_wire_bytes_, wire_bytes);
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

size_t SeriesBook::memory_bytes() const {
  return series_.capacity() * sizeof(Series) + lists_.memory_bytes() +
         pairs_.capacity() * sizeof(Pair) + free_pairs_.capacity() * 4 +
         by_symbols_.memory_bytes() + symbols_.memory_bytes() + wire_.capacity() * sizeof(Extent) +
         wire_bytes_.capacity() + removed_.capacity() * 4;
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
