// SPDX-License-Identifier: Apache-2.0
#include "collectors/host/row.h"

#include <cstring>

namespace picket::collectors::host {
namespace {

void AppendPart(std::string& key, std::string_view part) {
  const auto size = static_cast<uint32_t>(part.size());
  key.append(reinterpret_cast<const char*>(&size), sizeof size);
  key.append(part);
}

std::string FullKey(const Family* family, std::string_view key) {
  const auto address = reinterpret_cast<uintptr_t>(family);
  std::string full(reinterpret_cast<const char*>(&address), sizeof address);
  return full.append(key);
}

}  // namespace

bool Row::SameAs(const Slot& slot, const Family& family,
                 std::span<const std::string_view> values) const {
  if (slot.family != &family || slot.told) return false;
  const char* p = slot.key.data();
  const char* const end = p + slot.key.size();
  for (const std::string_view value : values) {
    uint32_t size = 0;
    memcpy(&size, p, sizeof size);
    p += sizeof size;
    if (std::string_view(p, size) != value) return false;
    p += size;
  }
  return p == end;
}

void Row::Tell(const Family& family, std::span<const std::string_view> values, double value) {
  if (next_ < slots_.size() && !reordered_ && slots_[next_].id != kNoSeries &&
      SameAs(slots_[next_], family, values)) {
    slots_[next_].told = true;
    values_[next_++] = value;
    return;
  }
  TellElsewhere(family, values, value);
}

void Row::TellElsewhere(const Family& family, std::span<const std::string_view> values,
                        double value) {
  if (!reordered_) Reindex();
  std::string key;
  for (const std::string_view v : values) AppendPart(key, v);
  const auto [it, fresh] = index_.try_emplace(FullKey(&family, key), slots_.size());
  const size_t i = it->second;
  if (fresh) {
    slots_.push_back({&family, std::move(key), Intern(family, values), false});
    values_.push_back(0);
  }
  if (slots_[i].told) return;
  if (slots_[i].id == kNoSeries) slots_[i].id = Intern(family, values);
  slots_[i].told = true;
  values_[i] = value;
  order_.push_back(i);
}

void Row::Reindex() {
  reordered_ = true;
  index_.clear();
  order_.clear();
  for (size_t i = 0; i < slots_.size(); ++i)
    index_.emplace(FullKey(slots_[i].family, slots_[i].key), i);
  for (size_t i = 0; i < next_; ++i) order_.push_back(i);
}

SeriesId Row::Intern(const Family& family, std::span<const std::string_view> values) {
  LabelsBuilder labels(common_);
  labels.Set(kMetricName, family.name);
  size_t i = 0;
  for (const std::string_view value : values) labels.Set(family.labels[i++], value);
  auto metadata =
      std::make_shared<MetricMetadata>(MetricMetadata{family.type, family.name, family.help, {}});
  const Result<SeriesId> id = intake_.Intern(source_, labels.Build(), std::move(metadata));
  if (id) return *id;
  ++refused_;
  return kNoSeries;
}

void Row::Commit(UnixMs now_ms) {
  if (!reordered_ && next_ < slots_.size()) Reindex();  // the last ones were not told
  std::vector<SeriesId> gone;
  if (reordered_) {
    std::vector<Slot> slots;
    std::vector<double> values;
    for (const size_t i : order_) {
      slots.push_back(std::move(slots_[i]));
      values.push_back(values_[i]);
      slots_[i].id = kNoSeries;
    }
    for (const Slot& slot : slots_) {
      if (!slot.told && slot.id != kNoSeries) gone.push_back(slot.id);
    }
    slots_ = std::move(slots);
    values_ = std::move(values);
    index_.clear();
    reordered_ = false;
  }
  row_ids_.clear();
  row_values_.clear();
  for (size_t i = 0; i < slots_.size(); ++i) {
    slots_[i].told = false;
    if (slots_[i].id == kNoSeries) continue;
    row_ids_.push_back(slots_[i].id);
    row_values_.push_back(values_[i]);
  }
  next_ = 0;
  row_ids_.insert(row_ids_.end(), gone.begin(), gone.end());
  row_values_.resize(row_ids_.size(), StaleNan());
  if (row_ids_ != last_ids_) {
    ++layout_;
    last_ids_ = row_ids_;
  }
  if (!row_ids_.empty()) intake_.Append({source_, layout_, now_ms, row_ids_, row_values_});
  for (const SeriesId id : gone) intake_.Release(source_, id);
}

void Row::EndAll(UnixMs now_ms) { Commit(now_ms); }

void Row::ReleaseAll() {
  for (const Slot& slot : slots_) {
    if (slot.id != kNoSeries) intake_.Release(source_, slot.id);
  }
  slots_.clear();
  values_.clear();
  next_ = 0;
}

}  // namespace picket::collectors::host
