// SPDX-License-Identifier: Apache-2.0
// Series and metadata to and from the series file.
#include <algorithm>

#include "store/tsdb/bytes.h"
#include "store/tsdb/index/series_table.h"

namespace picket::store::tsdb {
namespace {

void AppendVarint(std::vector<uint8_t>& out, uint64_t v) {
  uint8_t tmp[kMaxVarint];
  out.insert(out.end(), tmp, PutVarint(tmp, v));
}

void AppendText(std::vector<uint8_t>& out, std::string_view text) {
  AppendVarint(out, text.size());
  out.insert(out.end(), text.begin(), text.end());
}

const uint8_t* GetText(const uint8_t* p, const uint8_t* end, std::string& out) {
  uint64_t n;
  if (p == nullptr || (p = GetVarint(p, end, n)) == nullptr || n > static_cast<uint64_t>(end - p))
    return nullptr;
  out.assign(reinterpret_cast<const char*>(p), n);
  return p + n;
}

}  // namespace

// id | hash | metadata + 1 | count | per pair: number << 1 | whether its text follows; name, value
std::vector<uint8_t> SeriesTable::SeriesPayload(SeriesId id, std::vector<uint8_t>& defined) const {
  const SeriesEntry& e = entries_[id];
  std::vector<uint8_t> out;
  AppendVarint(out, id);
  uint8_t hash[8];
  const std::span<const PairId> pairs = PairsOf(id);
  Put(hash, index_.HashOf(pairs));
  out.insert(out.end(), hash, hash + 8);
  AppendVarint(out, (uint64_t{e.metadata} + 1) & UINT32_MAX);
  AppendVarint(out, e.label_count);
  for (PairId p : pairs) {
    if (p >= defined.size()) defined.resize(p + 1);
    const bool text = defined[p] < kTextCopies;
    AppendVarint(out, uint64_t{p} << 1 | uint64_t{text});
    if (!text) continue;
    AppendText(out, index_.Name(p));
    AppendText(out, index_.Value(p));
    ++defined[p];
  }
  return out;
}

std::vector<uint8_t> SeriesTable::MetadataPayload(uint32_t number, const MetricMetadata& m) {
  std::vector<uint8_t> out;
  AppendVarint(out, number);
  out.push_back(static_cast<uint8_t>(m.type));
  AppendText(out, m.family);
  AppendText(out, m.help);
  AppendText(out, m.unit);
  return out;
}

void SeriesTable::Reserve(SeriesId id) {
  if (id >= entries_.size()) entries_.resize(size_t{id} + 1);
}

bool SeriesTable::Replay(SeriesRecord type, std::span<const uint8_t> payload) {
  const uint8_t* p = payload.data();
  const uint8_t* end = p + payload.size();
  switch (type) {
    case SeriesRecord::kSeriesNew:
      return ReplaySeries(p, end);
    case SeriesRecord::kMetadata:
      return ReplayMetadata(p, end);
    case SeriesRecord::kSeriesGone: {
      uint64_t id;
      if (GetVarint(p, end, id) == nullptr || id >= kNoSeries) return false;
      if (Known(static_cast<SeriesId>(id))) {
        SeriesLog* const log = std::exchange(log_, nullptr);  // it is there already
        Free(static_cast<SeriesId>(id));
        log_ = log;
      }
      return true;
    }
    default:
      return false;
  }
}

bool SeriesTable::ReplaySeries(const uint8_t* p, const uint8_t* end) {
  uint64_t id, metadata, count;
  if ((p = GetVarint(p, end, id)) == nullptr || id >= (1U << 31) || end - p < 8) return false;
  const auto hash = Load<uint64_t>(p);
  if ((p = GetVarint(p + 8, end, metadata)) == nullptr) return false;
  if ((p = GetVarint(p, end, count)) == nullptr || count == 0 || count > 4096) return false;
  // Copies: a record may define one pair number twice.
  std::vector<std::pair<std::string, std::string>> pairs;
  for (uint64_t i = 0; i < count; ++i) {
    uint64_t ref;
    if ((p = GetVarint(p, end, ref)) == nullptr) return false;
    const auto number = static_cast<PairId>(ref >> 1);
    if ((ref & 1) != 0) {
      PairText text;
      if ((p = GetText(p, end, text.name)) == nullptr ||
          (p = GetText(p, end, text.value)) == nullptr)
        return false;
      replayed_pairs_[number] = std::move(text);
    }
    const auto it = replayed_pairs_.find(number);
    if (it == replayed_pairs_.end()) return false;
    pairs.emplace_back(it->second.name, it->second.value);
  }
  const Labels labels(std::move(pairs));
  // A lost definition would otherwise pass off one series as another.
  if (LabelIndex::HashOf(labels) != hash) return false;
  const auto series = static_cast<SeriesId>(id);
  if (Find(labels) != kNoSeries) return false;
  SeriesLog* const log = std::exchange(log_, nullptr);
  if (Known(series)) Free(series);
  Reserve(series);
  const auto meta = static_cast<uint32_t>(metadata - 1);
  if (meta < metadata_.size()) ++metadata_[meta].uses;
  Fill(series, labels, meta);
  log_ = log;
  return true;
}

bool SeriesTable::ReplayMetadata(const uint8_t* p, const uint8_t* end) {
  uint64_t number;
  if ((p = GetVarint(p, end, number)) == nullptr || number > (1U << 24) || p >= end) return false;
  auto m = std::make_shared<MetricMetadata>();
  m->type = *p <= static_cast<uint8_t>(MetricType::kStateset) ? static_cast<MetricType>(*p)
                                                              : MetricType::kUnknown;
  if ((p = GetText(p + 1, end, m->family)) == nullptr ||
      (p = GetText(p, end, m->help)) == nullptr || GetText(p, end, m->unit) == nullptr)
    return false;
  if (number >= metadata_.size()) metadata_.resize(number + 1);
  Meta& slot = metadata_[number];
  if (slot.metadata != nullptr) metadata_by_family_.erase(slot.metadata->family);
  metadata_by_family_[m->family] = static_cast<uint32_t>(number);
  slot.metadata = std::move(m);
  return true;
}

void SeriesTable::FinishReplay() {
  replayed_pairs_.clear();
  free_.clear();
  for (size_t id = entries_.size(); id-- > 0;) {
    const SeriesEntry& e = entries_[id];
    if (e.label_count == 0 && e.pins == 0) free_.push_back(static_cast<SeriesId>(id));
    if (e.label_count > 0 && e.pins == 0) maybe_dead_.push_back(static_cast<SeriesId>(id));
  }
  metadata_free_.clear();
  for (uint32_t i = 0; i < metadata_.size(); ++i) {
    if (metadata_[i].uses > 0) continue;
    if (metadata_[i].metadata != nullptr) metadata_by_family_.erase(metadata_[i].metadata->family);
    metadata_[i] = {};
    metadata_free_.push_back(i);
  }
  // Pair numbers in the file are those of the last run: texts are written again when a pair is next
  // used.
  defined_.clear();
}

Status SeriesTable::WriteAll(SeriesLog& log) const {
  for (uint32_t i = 0; i < metadata_.size(); ++i)
    if (metadata_[i].metadata != nullptr)
      PICKET_TRY(log.Append(SeriesRecord::kMetadata, MetadataPayload(i, *metadata_[i].metadata)));
  std::vector<uint8_t> defined;
  for (SeriesId id = 0; id < entries_.size(); ++id)
    if (entries_[id].label_count > 0)
      PICKET_TRY(log.Append(SeriesRecord::kSeriesNew, SeriesPayload(id, defined)));
  return {};
}

void SeriesTable::MarkPersisted() {
  persisted_ = true;
  // The new file defines each pair with the first series that have it.
  std::fill(defined_.begin(), defined_.end(), uint8_t{0});
  for (SeriesId id = 0; id < entries_.size(); ++id) {
    if (entries_[id].label_count == 0) continue;
    for (PairId p : PairsOf(id)) {
      if (p >= defined_.size()) defined_.resize(p + 1);
      defined_[p] = std::min<uint8_t>(kTextCopies, defined_[p] + 1);
    }
  }
}

}  // namespace picket::store::tsdb
