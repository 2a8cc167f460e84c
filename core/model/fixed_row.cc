// SPDX-License-Identifier: Apache-2.0
#include "core/model/fixed_row.h"

namespace picket {

FixedRow::FixedRow(MetricIntake& intake, std::string source_name)
    : intake_(intake), source_(intake.OpenSource(std::move(source_name))) {}

FixedRow::~FixedRow() {
  for (size_t i = 0; i < slots_.size(); ++i)
    if (slots_[i].used) Remove(i);
  if (!ending_.empty() && last_ms_ > 0) Commit(last_ms_ + 1);
  intake_.CloseSource(source_);
}

size_t FixedRow::Add(const Labels& labels, MetricType type, std::string help) {
  size_t slot = 0;
  while (slot < slots_.size() && slots_[slot].used) ++slot;
  if (slot == slots_.size()) {
    slots_.emplace_back();
    values_.push_back(0);
    set_.push_back(false);
  }
  auto metadata = std::make_shared<MetricMetadata>();
  metadata->type = type;
  metadata->family = labels.Get(kMetricName);
  metadata->help = std::move(help);
  slots_[slot] = {labels, std::move(metadata), kNoSeries, true};
  set_[slot] = false;
  return slot;
}

void FixedRow::Remove(size_t slot) {
  Slot& s = slots_[slot];
  if (s.id != kNoSeries) ending_.push_back(s.id);
  s = {};
  set_[slot] = false;
}

void FixedRow::Commit(UnixMs now_ms) {
  row_ids_.clear();
  row_values_.clear();
  for (size_t i = 0; i < slots_.size(); ++i) {
    Slot& s = slots_[i];
    if (!s.used || !set_[i]) continue;
    if (s.id == kNoSeries) {
      auto id = intake_.Intern(source_, s.labels, s.metadata);
      if (!id) continue;  // refused for want of memory: counted there, tried again next time
      s.id = *id;
    }
    row_ids_.push_back(s.id);
    row_values_.push_back(values_[i]);
  }
  for (const SeriesId id : ending_) {
    row_ids_.push_back(id);
    row_values_.push_back(StaleNan());
  }
  if (row_ids_ != previous_ids_) {
    ++layout_;
    previous_ids_ = row_ids_;
  }
  last_ms_ = now_ms;
  if (!row_ids_.empty()) intake_.Append({source_, layout_, now_ms, row_ids_, row_values_});
  for (const SeriesId id : ending_) intake_.Release(source_, id);
  ending_.clear();
}

}  // namespace picket
