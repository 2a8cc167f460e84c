// SPDX-License-Identifier: Apache-2.0
#include "exporters/remote_write/series_book.h"

namespace picket::exporters::remote_write {

SeriesBook::SeriesBook() {
  symbols_.push_back({"", 1});
  by_text_.emplace(symbols_.front().text, 0);
}

Symbol SeriesBook::Intern(std::string_view text) {
  if (auto it = by_text_.find(text); it != by_text_.end()) {
    ++symbols_[it->second].uses;
    return it->second;
  }
  Symbol s;
  if (free_symbols_.empty()) {
    s = static_cast<Symbol>(symbols_.size());
    symbols_.emplace_back();
  } else {
    s = free_symbols_.back();
    free_symbols_.pop_back();
  }
  symbols_[s].text = text;
  symbols_[s].uses = 1;
  by_text_.emplace(symbols_[s].text, s);
  return s;
}

void SeriesBook::Drop(Symbol s) {
  if (s != 0 && --symbols_[s].uses == 0) unused_.push_back(s);
}

void SeriesBook::Sweep() {
  for (const Symbol s : std::exchange(unused_, {})) {
    Entry& e = symbols_[s];
    if (e.uses > 0 || e.text.empty()) continue;  // taken up again, or listed twice
    by_text_.erase(e.text);
    e.text = std::string();
    free_symbols_.push_back(s);
  }
}

void SeriesBook::Add(SeriesId id, const Labels& labels,
                     const std::shared_ptr<const MetricMetadata>& metadata) {
  Remove(id);
  if (id >= series_.size()) {
    series_.resize(std::max<size_t>(id + 1, series_.size() + series_.size() / 4));
    family_of_.resize(series_.size());
  }
  Series& s = series_[id];
  s = {};
  s.state = labels.empty() || labels.size() > UINT16_MAX / 2 ? Series::State::kFiltered
                                                             : Series::State::kLive;
  if (s.state == Series::State::kFiltered) return;
  s.refs = static_cast<uint16_t>(labels.size() * 2);
  auto& free = free_refs_[s.refs];
  if (free.empty()) {
    s.offset = static_cast<uint32_t>(refs_.size());
    refs_.resize(refs_.size() + s.refs);
  } else {
    s.offset = free.back();
    free.pop_back();
  }
  uint32_t at = s.offset;
  for (const auto& pair : labels) {
    refs_[at++] = Intern(pair.name);
    refs_[at++] = Intern(pair.value);
  }
  if (!metadata) return;
  s.type = metadata->type;
  s.help = Intern(metadata->help);
  s.unit = Intern(metadata->unit);
  Family& family = families_[metadata->family];
  family.metadata = metadata;
  ++family.uses;
  family_of_[id] = &family;
}

void SeriesBook::Remove(SeriesId id) {
  if (id >= series_.size()) return;
  Series& s = series_[id];
  if (s.state == Series::State::kLive) {
    for (const Symbol ref : Refs(s)) Drop(ref);
    Drop(s.help);
    Drop(s.unit);
    free_refs_[s.refs].push_back(s.offset);
  }
  if (Family* family = std::exchange(family_of_[id], nullptr))
    if (--family->uses == 0) families_.erase(std::string(family->metadata->family));
  s = {};
}

std::vector<std::shared_ptr<const MetricMetadata>> SeriesBook::Families() const {
  std::vector<std::shared_ptr<const MetricMetadata>> out;
  out.reserve(families_.size());
  for (const auto& [name, family] : families_) out.push_back(family.metadata);
  return out;
}

}  // namespace picket::exporters::remote_write
