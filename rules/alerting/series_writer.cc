// SPDX-License-Identifier: Apache-2.0
#include "rules/alerting/series_writer.h"

namespace picket::rules::alerting {

SeriesWriter::SeriesWriter(MetricIntake& intake, std::string name)
    : intake_(intake),
      source_(intake.OpenSource(std::move(name))),
      metadata_(std::make_shared<MetricMetadata>()) {}

SeriesWriter::~SeriesWriter() { intake_.CloseSource(source_); }

size_t SeriesWriter::Write(UnixMs t, const std::vector<std::pair<Labels, double>>& samples) {
  ++pass_;
  last_ms_ = t;
  ids_.clear();
  values_.clear();
  size_t refused = 0;
  for (const auto& [labels, value] : samples) {
    auto it = live_.find(labels);
    if (it == live_.end()) {
      auto id = intake_.Intern(source_, labels, metadata_);
      if (!id) {
        ++refused;
        continue;
      }
      it = live_.emplace(labels, Live{*id, 0}).first;
    }
    it->second.seen = pass_;
    ids_.push_back(it->second.id);
    values_.push_back(value);
  }
  const size_t alive = ids_.size();
  for (auto it = live_.begin(); it != live_.end();) {
    if (it->second.seen == pass_) {
      ++it;
      continue;
    }
    ids_.push_back(it->second.id);
    values_.push_back(StaleNan());
    it = live_.erase(it);
  }
  if (ids_.empty()) return refused;
  if (ids_ != previous_ids_) {
    ++layout_;
    previous_ids_ = ids_;
  }
  intake_.Append({source_, layout_, t, ids_, values_});
  for (size_t i = alive; i < ids_.size(); ++i) intake_.Release(source_, ids_[i]);
  return refused;
}

void SeriesWriter::End(UnixMs t, const std::set<Labels>& others) {
  for (auto it = live_.begin(); it != live_.end();) {
    if (!others.contains(it->first)) {
      ++it;
      continue;
    }
    intake_.Release(source_, it->second.id);
    it = live_.erase(it);
  }
  Write(std::max(t, last_ms_ + 1), {});
}

void SeriesWriter::AddLive(std::set<Labels>& out) const {
  for (const auto& [labels, live] : live_) out.insert(labels);
}

}  // namespace picket::rules::alerting
