// SPDX-License-Identifier: Apache-2.0
#include "collectors/scrape/rewriter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "collectors/scrape/family.h"
#include "core/base/hash.h"

namespace picket::collectors::scrape {
namespace {

// How many lines ahead of the expected one are looked at before the hash table: a vanished series
// or two.
constexpr size_t kLookAhead = 6;

// Working memory of targets up to about this much text is kept for the next one.
constexpr size_t kKeptText = size_t{2} << 20;

bool HasBoundLabel(const RawSeries& series) {
  return std::ranges::any_of(series.labels, [](const RawLabel& label) {
    return label.name == "le" || label.name == "quantile";
  });
}

}  // namespace

Rewriter::Rewriter(SeriesCache& cache, SeriesResolver& resolver, SeriesCache::Scratch& scratch,
                   ScrapeCounts& counts, Format format)
    : c_(cache),
      resolver_(resolver),
      s_(scratch),
      counts_(counts),
      parser_(cache.parser_),
      format_(format),
      trust_order_(format == cache.format_ && !cache.resolve_again_) {}

Status Rewriter::Run(const char* p, size_t index, size_t slot) {
  Begin(index, slot);
  Status status = Lines(p);
  if (status && c_.options_.sample_limit != 0 && counts_.kept > c_.options_.sample_limit) {
    status = LimitExceeded();
  }
  if (status)
    Finish();
  else
    Undo();
  // A large target's scan allocates anew: its memory is more than it is worth between scans.
  if (s_.text.capacity() > kKeptText) s_ = SeriesCache::Scratch();
  return status;
}

void Rewriter::Begin(size_t index, size_t slot) {
  counts_ = {};
  expected_ = index;
  c_.lines_.Unpack(std::span(c_.ids_).first(c_.row_count_), s_.order, s_.text);
  s_.next.assign(s_.order.begin(), s_.order.begin() + index);
  s_.ids.assign(c_.ids_.begin(), c_.ids_.begin() + slot);
  s_.values.assign(c_.values_.begin(), c_.values_.begin() + slot);
  s_.visited.assign(s_.order.size(), 0);
  std::fill_n(s_.visited.begin(), index, uint8_t{1});
  s_.added.clear();
  for (size_t i = 0; i < index; ++i) {
    const Entry& entry = s_.next[i];
    counts_.scraped += entry.kind != Entry::Kind::kTrailer;
    counts_.kept += entry.kind != Entry::Kind::kTrailer && entry.kind != Entry::Kind::kDropped;
    counts_.duplicates += entry.kind == Entry::Kind::kDuplicate;
    counts_.refused += entry.kind == Entry::Kind::kRefused;
    if (entry.has_metadata) last_metadata_ = i;
  }
  parser_.set_type(index == 0 ? MetricType::kUnknown : s_.next[index - 1].type);
}

Status Rewriter::Lines(const char* p) {
  while (true) {
    if (trust_order_ && TakeGroupNearby(p)) continue;
    const char* const group = p;
    group_has_metadata_ = group_has_type_ = false;
    parser_.Seek(p);
    Parser::Entry entry = parser_.Next();
    while (entry != Parser::Entry::kSeries && entry != Parser::Entry::kEnd &&
           entry != Parser::Entry::kError) {
      group_has_metadata_ |= entry != Parser::Entry::kComment;
      group_has_type_ |= entry == Parser::Entry::kType;
      entry = parser_.Next();
    }
    if (entry == Parser::Entry::kError) return Fail(parser_.error());
    if (entry == Parser::Entry::kEnd) {
      PushTrailer(group);
      return {};
    }
    PICKET_TRY(Place(group));
    p = parser_.position();
  }
}

// The comments and series at `p` are, byte by byte, those of an entry at or just behind the
// expected one.
bool Rewriter::TakeGroupNearby(const char*& p) {
  const size_t left = parser_.end() - p;
  const size_t stop = std::min(expected_ + kLookAhead, s_.order.size());
  for (size_t i = expected_; i < stop; ++i) {
    const Entry& entry = s_.order[i];
    if (entry.kind == Entry::Kind::kTrailer || entry.kind == Entry::Kind::kRefused || s_.visited[i])
      continue;
    if (left < entry.length || memcmp(p, s_.text.data() + entry.offset, entry.length) != 0)
      continue;
    if (!entry.has_type && !Acceptable(entry, parser_.type())) continue;
    const MetricType type = parser_.type();
    if (parser_.NextAfterPrefix(p, p + entry.length) != Parser::Entry::kSeries) {
      parser_.set_type(type);
      return false;
    }
    if (entry.has_type) parser_.set_type(entry.type);
    s_.visited[i] = 1;
    expected_ = i + 1;
    Entry taken = entry;
    taken.type = parser_.type();
    Push(taken, false);
    p = parser_.position();
    return true;
  }
  return false;
}

bool Rewriter::Acceptable(const Entry& entry, MetricType type) const {
  return !entry.type_matters || entry.type == type;
}

size_t Rewriter::FindSeriesNearby(std::string_view prefix) const {
  if (c_.resolve_again_) return SIZE_MAX;
  const size_t stop = std::min(expected_ + kLookAhead, s_.order.size());
  for (size_t i = expected_; i < stop; ++i) {
    const Entry& entry = s_.order[i];
    if (!s_.visited[i] && entry.kind < Entry::Kind::kRefused && SeriesText(entry) == prefix &&
        Acceptable(entry, parser_.type())) {
      return i;
    }
  }
  return SIZE_MAX;
}

// A sample line just parsed, with the comments from `group` up to it: known by its series text, or
// new.
Status Rewriter::Place(const char* group) {
  const std::string_view prefix = parser_.prefix();
  const size_t lead = prefix.data() - group;
  size_t known = FindSeriesNearby(prefix);
  uint32_t found = kEmpty;
  if (known == SIZE_MAX) {
    found = Lookup(prefix);
    if (found != kEmpty && (found & kNew) == 0 && !s_.visited[found]) known = found;
  }
  Entry entry = TextEntry(group, lead, prefix);
  if (known != SIZE_MAX) {
    const Entry& old = s_.order[known];
    s_.visited[known] = 1;
    expected_ = known + 1;
    entry.id = old.id;
    entry.kind = old.kind;
    memcpy(entry.value, old.value, sizeof entry.value);
    entry.type_matters = old.type_matters;
    Push(entry, false);
    return {};
  }
  if (found != kEmpty) {  // a second line of a series of this scan
    entry.id = At(found).id;
    entry.kind = At(found).kind;
    entry.type_matters = At(found).type_matters;
    const UnixMs none = INT64_MIN;
    memcpy(entry.value, &none, sizeof none);
    Push(entry, true);
    return {};
  }
  PICKET_TRY(ResolveNew(entry));
  Push(entry, false);
  AddToTable(kNew | static_cast<uint32_t>(s_.next.size() - 1));
  return {};
}

SeriesCache::Entry Rewriter::TextEntry(const char* group, size_t lead, std::string_view prefix) {
  Entry entry;
  entry.offset = static_cast<uint32_t>(s_.text.size());
  entry.length = static_cast<uint32_t>(lead + prefix.size());
  entry.lead = static_cast<uint32_t>(lead);
  entry.has_metadata = group_has_metadata_;
  entry.has_type = group_has_type_;
  entry.type = parser_.type();
  s_.text.append(group, entry.length);
  return entry;
}

Status Rewriter::ResolveNew(Entry& entry) {
  if (group_has_metadata_) last_metadata_ = s_.next.size();
  const RawSeries series = parser_.series();
  entry.type_matters = HasBoundLabel(series);
  const UnixMs none = INT64_MIN;
  memcpy(entry.value, &none, sizeof none);
  // Past the limit the rest is only counted, so that the reported number tells by how much.
  if (c_.options_.sample_limit != 0 && counts_.kept > c_.options_.sample_limit) {
    entry.kind = Entry::Kind::kRefused;
    return {};
  }
  std::string name;
  AppendUnescaped(name, series.name);
  s_.next.push_back(entry);  // Metadata looks for the latest comments, which may be its own
  auto metadata = Metadata(name);
  s_.next.pop_back();
  Result<SeriesResolver::Answer> answer =
      resolver_.Resolve(series, parser_.type(), std::move(metadata));
  if (!answer) return Fail(std::move(answer).error());
  entry.id = answer->id;
  switch (answer->kind) {
    case SeriesResolver::Kind::kKept:
      break;
    case SeriesResolver::Kind::kDropped:
      entry.kind = Entry::Kind::kDropped;
      return {};
    case SeriesResolver::Kind::kRefused:
      entry.kind = Entry::Kind::kRefused;
      return {};
  }
  s_.added.push_back(entry.id);
  ++counts_.added;
  NeedSeen();
  return {};
}

// Takes the sample the parser stands behind into the new order, by what it is now.
void Rewriter::Push(Entry entry, bool repeat) {
  const bool timed = parser_.has_timestamp() && c_.options_.honor_timestamps;
  const Entry::Kind was = entry.kind;
  if (entry.kind != Entry::Kind::kDropped && entry.kind != Entry::Kind::kRefused) {
    entry.kind = timed                                   ? Entry::Kind::kTimed
                 : entry.kind == Entry::Kind::kDuplicate ? Entry::Kind::kDuplicate
                                                         : Entry::Kind::kRow;
    if (timed && was != Entry::Kind::kTimed) {
      const UnixMs none = INT64_MIN;
      memcpy(entry.value, &none, sizeof none);
    }
    CheckDuplicate(entry, was != Entry::Kind::kRow || repeat);
  }
  entry.value_length = Entry::kNoValue;
  if (entry.has_metadata) last_metadata_ = s_.next.size();
  ++counts_.scraped;
  counts_.kept += entry.kind != Entry::Kind::kDropped;
  switch (entry.kind) {
    case Entry::Kind::kRow:
      s_.ids.push_back(entry.id);
      s_.values.push_back(parser_.value());
      break;
    case Entry::Kind::kTimed:
      c_.timed_.push_back({entry.id, parser_.timestamp_ms(), parser_.value()});
      c_.timed_entries_.push_back({static_cast<uint32_t>(s_.next.size()), parser_.timestamp_ms()});
      break;
    case Entry::Kind::kDuplicate:
      ++counts_.duplicates;
      break;
    case Entry::Kind::kRefused:
      ++counts_.refused;
      break;
    default:
      break;
  }
  if (entry.kind != Entry::Kind::kTimed) {
    const std::string_view text = parser_.value_text();
    const char* const stop = text.data() + text.size();
    if (text.size() < sizeof entry.value && stop < parser_.end() && *stop == '\n') {
      memcpy(entry.value, text.data(), text.size() + 1);
      entry.value_length = static_cast<uint8_t>(text.size() + 1);
    }
  }
  s_.next.push_back(entry);
}

// Ids are unique in a row. Two lines may mean one series: written twice, labels in another order,
// or made equal by relabelling; then the first of them counts, whichever it was last time.
void Rewriter::CheckDuplicate(Entry& entry, bool unsure) {
  if (entry.kind == Entry::Kind::kTimed) return;
  if (unsure) NeedSeen();
  if (!seen_built_) return;
  entry.kind = s_.seen.Insert(entry.id) ? Entry::Kind::kRow : Entry::Kind::kDuplicate;
}

void Rewriter::PushTrailer(const char* group) {
  const size_t size = parser_.end() - group;
  if (size == 0) return;
  Entry entry = TextEntry(group, size, std::string_view(group, size).substr(size));
  entry.kind = Entry::Kind::kTrailer;
  s_.next.push_back(entry);
}

std::shared_ptr<const MetricMetadata> Rewriter::Metadata(std::string_view series_name) {
  if (last_metadata_ == SIZE_MAX) return nullptr;
  if (family_of_ != last_metadata_) {
    const Entry& entry = s_.next[last_metadata_];
    family_ = ReadFamily(std::string_view(s_.text).substr(entry.offset, entry.lead), format_);
    family_of_ = last_metadata_;
  }
  return family_ && BelongsToFamily(series_name, *family_) ? family_ : nullptr;
}

std::string_view Rewriter::SeriesText(const Entry& entry) const {
  return std::string_view(s_.text).substr(entry.offset + entry.lead, entry.length - entry.lead);
}

const SeriesCache::Entry& Rewriter::At(uint32_t value) const {
  return (value & kNew) != 0 ? s_.next[value & ~kNew] : s_.order[value];
}

void Rewriter::BuildTable() {
  size_t size = 64;
  while (size < s_.order.size() * 2 + 64) size *= 2;
  s_.table.assign(size, kEmpty);
  table_built_ = true;
  table_used_ = 0;
  if (c_.resolve_again_) return;
  for (size_t i = 0; i < s_.order.size(); ++i) {
    if (s_.order[i].kind < Entry::Kind::kRefused) AddToTable(static_cast<uint32_t>(i));
  }
}

void Rewriter::AddToTable(uint32_t value) {
  if (++table_used_ * 2 > s_.table.size()) {
    std::vector<uint32_t> old = std::move(s_.table);
    s_.table.assign(old.size() * 2, kEmpty);
    table_used_ = 1;
    for (const uint32_t v : old) {
      if (v != kEmpty) AddToTable(v);
    }
  }
  const std::string_view text = SeriesText(At(value));
  const size_t mask = s_.table.size() - 1;
  size_t i = Hash64(text) & mask;
  for (; s_.table[i] != kEmpty; i = (i + 1) & mask) {
    // Of equal texts the first stays, unless it has another type's labels.
    const Entry& other = At(s_.table[i]);
    if (SeriesText(other) == text && Acceptable(other, At(value).type)) return;
  }
  s_.table[i] = value;
}

uint32_t Rewriter::Lookup(std::string_view prefix) {
  if (!table_built_) BuildTable();
  const size_t mask = s_.table.size() - 1;
  for (size_t i = Hash64(prefix) & mask; s_.table[i] != kEmpty; i = (i + 1) & mask) {
    const Entry& entry = At(s_.table[i]);
    if (SeriesText(entry) == prefix && Acceptable(entry, parser_.type())) return s_.table[i];
  }
  return kEmpty;
}

void Rewriter::NeedSeen() {
  if (seen_built_) return;
  seen_built_ = true;
  s_.seen.Clear(std::max(s_.order.size(), s_.next.size()) + c_.tail_);
  for (size_t i = c_.row_count_; i < c_.ids_.size(); ++i) s_.seen.Insert(c_.ids_[i]);
  for (const SeriesId id : s_.ids) s_.seen.Insert(id);
}

Status Rewriter::LimitExceeded() {
  return Fail(ErrorKind::kLimit,
              fmt::format("{} samples after relabelling exceed the sample_limit of {}",
                          counts_.kept, c_.options_.sample_limit));
}

void Rewriter::Undo() {
  c_.timed_.clear();
  c_.timed_entries_.clear();
  if (s_.added.empty()) return;
  s_.seen.Clear(s_.order.size() + s_.added.size());
  for (const Entry& entry : s_.order) {
    if (entry.id != kNoSeries) s_.seen.Insert(entry.id);
  }
  for (size_t i = c_.row_count_; i < c_.ids_.size(); ++i) s_.seen.Insert(c_.ids_[i]);
  for (const SeriesId id : s_.added) {
    if (s_.seen.Insert(id)) resolver_.Release(id);
  }
}

void Rewriter::Finish() {
  CollectGone();
  const bool same_row = std::ranges::equal(s_.ids, std::span(c_.ids_).first(c_.row_count_));
  s_.ids.insert(s_.ids.end(), c_.ids_.end() - c_.tail_, c_.ids_.end());
  s_.values.resize(s_.ids.size());
  c_.ids_.assign(s_.ids.begin(), s_.ids.end());
  c_.values_.assign(s_.values.begin(), s_.values.end());
  c_.row_count_ = c_.ids_.size() - c_.tail_;
  c_.lines_.Pack(s_.next, s_.text, s_.pack);
  if (!same_row) c_.layout_ = c_.NextLayout();
  if (c_.gone_stale_ != 0) c_.stale_layout_ = c_.NextLayout();
  c_.format_ = format_;
  c_.stale_ = false;
  c_.resolve_again_ = false;
  if (counts_.refused == 0) c_.refusals_ = 0;
  c_.repeats_ = RepeatsTimed();
  c_.CommitTimed();
  counts_.out_of_order = c_.out_of_order_;
  c_.counts_ = counts_;
}

bool Rewriter::RepeatsTimed() {
  s_.seen.Clear(c_.timed_.size());
  return !std::ranges::all_of(c_.timed_,
                              [&](const TimedSample& t) { return s_.seen.Insert(t.series); });
}

// Entries not visited have vanished, unless another line stands for their series now.
void Rewriter::CollectGone() {
  c_.gone_.clear();
  c_.gone_stale_ = 0;
  const auto vanished = [&](size_t i) { return !s_.visited[i] && s_.order[i].id != kNoSeries; };
  size_t first = 0;
  while (first < s_.order.size() && !vanished(first)) ++first;
  if (first == s_.order.size()) return;
  s_.seen.Clear(s_.next.size() + s_.order.size());
  for (size_t i = c_.row_count_; i < c_.ids_.size(); ++i) s_.seen.Insert(c_.ids_[i]);
  for (const Entry& entry : s_.next) {
    if (entry.id != kNoSeries) s_.seen.Insert(entry.id);
  }
  // A series with both kinds of lines gets its marker for the one without a timestamp.
  const auto collect = [&](bool timed) {
    for (size_t i = first; i < s_.order.size(); ++i) {
      const Entry& entry = s_.order[i];
      if ((entry.kind == Entry::Kind::kTimed) != timed || !vanished(i)) continue;
      if (s_.seen.Insert(entry.id)) c_.gone_.push_back(entry.id);
    }
  };
  collect(false);
  c_.gone_stale_ = c_.gone_.size();
  collect(true);
  if (c_.options_.track_timestamps_staleness) c_.gone_stale_ = c_.gone_.size();
  if (c_.stale_) c_.gone_stale_ = 0;  // written when the scrape failed
}

}  // namespace picket::collectors::scrape
