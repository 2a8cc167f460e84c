// SPDX-License-Identifier: Apache-2.0
#include "collectors/scrape/cache.h"

#include <algorithm>
#include <cstring>
#include <utility>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "collectors/scrape/number.h"
#include "collectors/scrape/rewriter.h"

namespace picket::collectors::scrape {
namespace {

/// memcmp(a, b, n) == 0 without the call: pieces are a few dozen bytes long. Needs 16 readable
/// bytes behind both.
inline bool Same(const char* a, const char* b, size_t n) {
#ifdef __SSE2__
  size_t i = 0;
  for (; i + 16 <= n; i += 16) {
    const __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i*>(a + i));
    const __m128i y = _mm_loadu_si128(reinterpret_cast<const __m128i*>(b + i));
    if (_mm_movemask_epi8(_mm_cmpeq_epi8(x, y)) != 0xffff) return false;
  }
  const __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i*>(a + i));
  const __m128i y = _mm_loadu_si128(reinterpret_cast<const __m128i*>(b + i));
  const auto equal = static_cast<uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(x, y)));
  const uint32_t wanted = (uint32_t{1} << (n - i)) - 1;
  return (equal & wanted) == wanted;
#else
  return memcmp(a, b, n) == 0;
#endif
}

/// Whether the value at `p` and its line end are those of the previous scrape. Needs 16 readable
/// bytes at p.
inline bool SameValue(const LinePack::Line& entry, const char* p) {
#ifdef __SSE2__
  static_assert(offsetof(LinePack::Line, value) == 0);
  const __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  const __m128i y = _mm_load_si128(reinterpret_cast<const __m128i*>(&entry));
  const auto equal = static_cast<uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(x, y)));
  const uint32_t wanted = (uint32_t{1} << entry.value_length) - 1;
  return (equal & wanted) == wanted;
#else
  return entry.value_length <= sizeof entry.value &&
         memcmp(p, entry.value, entry.value_length) == 0;
#endif
}

}  // namespace

SeriesCache::SeriesCache(Options options) : options_(options), parser_({}, Format::kText) {
  SetTail({});
}
SeriesCache::~SeriesCache() = default;
SeriesCache::SeriesCache(SeriesCache&&) noexcept = default;

void SeriesCache::SetTail(std::span<const SeriesId> ids) {
  ids_.resize(row_count_);
  ids_.insert(ids_.end(), ids.begin(), ids.end());
  values_.resize(ids_.size());
  tail_ = ids.size();
  layout_ = NextLayout();
  tail_layout_ = NextLayout();
}

Status SeriesCache::Scan(std::string_view body, Format format, SeriesResolver& resolver,
                         Scratch& scratch, ScrapeCounts& counts) {
  timed_.clear();
  timed_entries_.clear();
  out_of_order_ = 0;
  parser_.Reset(body, format);
  size_t index = 0;
  size_t slot = 0;
  const char* p = body.data();
  const char* const end = p + body.size();
  const bool ask_again = counts_.refused != 0 && ++refusals_ % 8 == 0;
  if (format == format_ && !ask_again && !resolve_again_) p = FastScan(p, end, index, slot);
  if (index == lines_.size() && p == end && format == format_ && !resolve_again_ &&
      !(lines_.empty() && format == Format::kOpenMetrics)) {
    counts = counts_;
    counts.added = 0;
    counts.out_of_order = out_of_order_;
    stale_ = false;
    CommitTimed();
    return {};
  }
  return Rewriter(*this, resolver, scratch, counts, format).Run(p, index, slot);
}

// The steady state. Stops at the first line that is not what the previous scrape had there.
const char* SeriesCache::FastScan(const char* p, const char* end, size_t& index, size_t& slot) {
  LinePack::Cursor cursor(lines_);
  const size_t count = lines_.size();
  const char* before = p;  // the series of the line before, as this body has it
  size_t i = 0;
  size_t row = 0;
  size_t other = 0;
  for (; i < count; ++i) {
    const LinePack::Piece piece = cursor.Next();
    const size_t length = size_t{piece.shared} + piece.rest;
    const auto left = static_cast<size_t>(end - p);
    if (left >= length + LinePack::kPadding) {
      if (!Same(p, before, piece.shared) || !Same(p + piece.shared, piece.text, piece.rest)) break;
    } else if (left < length || memcmp(p, before, piece.shared) != 0 ||
               memcmp(p + piece.shared, piece.text, piece.rest) != 0) {
      break;
    }
    LinePack::Line& line = lines_[i];
    const char* const value = p + length;
    const char* next = nullptr;
    if (end - value >= 16 && SameValue(line, value)) {
      next = value + line.value_length;
    } else {
      double number = 0;
      next = line.kind == Entry::Kind::kRow ? ParsePlainNumber(value, end, number) : nullptr;
      if (next && *next == '\n') {
        values_[row] = number;
        RememberValue(line, value, ++next);
      } else {
        next = OtherValue(i, p, value, row, other);
        if (!next) break;
      }
    }
    row += line.kind == Entry::Kind::kRow;
    other += LinePack::HasOtherId(line.kind);
    before = p + piece.lead;
    p = next;
  }
  index = i;
  slot = row;
  return p;
}

// Only a value directly followed by the line end can be recognised next time by its text alone.
inline void SeriesCache::RememberValue(LinePack::Line& entry, const char* first, const char* next) {
  const size_t size = next - first;
  if (size <= sizeof entry.value) {
    memcpy(entry.value, first, size);
    entry.value_length = static_cast<uint8_t>(size);
  } else {
    entry.value_length = Entry::kNoValue;
  }
}

// The value of a recognised line where it is not plainly a number and a line end. Returns where the
// next line starts, or null: the line is left to the full parser.
const char* SeriesCache::OtherValue(size_t index, const char* start, const char* value, size_t slot,
                                    size_t other) {
  LinePack::Line& entry = lines_[index];
  if (entry.kind == Entry::Kind::kTrailer) return value == parser_.end() ? value : nullptr;
  if (parser_.NextAfterPrefix(start, value) != Parser::Entry::kSeries) return nullptr;
  const bool timed = parser_.has_timestamp() && options_.honor_timestamps;
  const bool was_timed = entry.kind == Entry::Kind::kTimed;
  if (timed != was_timed && entry.kind <= Entry::Kind::kTimed) return nullptr;
  if (entry.kind == Entry::Kind::kDuplicate && timed) return nullptr;
  const char* const next = parser_.position();
  if (was_timed) {
    timed_.push_back({lines_.other_ids()[other], parser_.timestamp_ms(), parser_.value()});
    timed_entries_.push_back({static_cast<uint32_t>(index), parser_.timestamp_ms()});
    return next;
  }
  if (entry.kind == Entry::Kind::kRow) values_[slot] = parser_.value();
  const char* const stop = value + parser_.value_text().size();
  if (next - stop == 1 && *stop == '\n') {
    RememberValue(entry, value, next);
  } else {
    entry.value_length = Entry::kNoValue;
  }
  return next;
}

// Keeps the timed samples that are newer than their series' latest. The same instant again is no
// news; older is out of order. Series that occur several times in a body are brought into order.
void SeriesCache::CommitTimed() {
  size_t kept = 0;
  for (size_t i = 0; i < timed_.size(); ++i) {
    LinePack::Line& entry = lines_[timed_entries_[i].index];
    UnixMs latest = 0;
    memcpy(&latest, entry.value, sizeof latest);
    const UnixMs now = timed_[i].timestamp_ms;
    if (now > latest) {
      memcpy(entry.value, &now, sizeof now);
      timed_[kept++] = timed_[i];
    } else if (now < latest) {
      ++out_of_order_;
    }
  }
  timed_.resize(kept);
  if (!repeats_) return;
  std::ranges::stable_sort(
      timed_, {}, [](const TimedSample& s) { return std::pair(s.series, s.timestamp_ms); });
  const auto same = [](const TimedSample& a, const TimedSample& b) {
    return a.series == b.series && a.timestamp_ms == b.timestamp_ms;
  };
  timed_.erase(std::unique(timed_.begin(), timed_.end(), same), timed_.end());
}

SeriesCache::Row SeriesCache::row() {
  if (gone_stale_ == 0) {
    return {layout_, ids_, values_, std::span(values_).last(tail_)};
  }
  stale_ids_.assign(ids_.begin(), ids_.end() - tail_);
  stale_ids_.insert(stale_ids_.end(), gone_.begin(), gone_.begin() + gone_stale_);
  stale_ids_.insert(stale_ids_.end(), ids_.end() - tail_, ids_.end());
  stale_values_.assign(values_.begin(), values_.end() - tail_);
  stale_values_.resize(row_count_ + gone_stale_, StaleNan());
  stale_values_.resize(stale_ids_.size());
  return {stale_layout_, stale_ids_, stale_values_, std::span(stale_values_).last(tail_)};
}

void SeriesCache::Commit(SeriesResolver& resolver) {
  for (const SeriesId id : gone_) resolver.Release(id);
  gone_ = {};
  gone_stale_ = 0;
  stale_ids_ = {};
  stale_values_ = {};
}

SeriesCache::Row SeriesCache::StaleRow() {
  if (std::exchange(stale_, true) || lines_.empty()) {
    return {tail_layout_, std::span(ids_).last(tail_), std::span(values_).last(tail_),
            std::span(values_).last(tail_)};
  }
  std::vector<SeriesId> timed;
  if (options_.track_timestamps_staleness) {
    SeriesSetScratch seen;
    seen.Clear(ids_.size());
    for (const SeriesId id : ids_) seen.Insert(id);
    lines_.ForEachId(ids_, [&](Entry::Kind kind, SeriesId id) {
      if (kind == Entry::Kind::kTimed && seen.Insert(id)) timed.push_back(id);
    });
  }
  // The values stay as they are: the next good scan compares against their text.
  stale_values_.assign(row_count_ + timed.size(), StaleNan());
  stale_values_.resize(ids_.size() + timed.size());
  const auto tail = std::span(stale_values_).last(tail_);
  if (timed.empty()) return {layout_, ids_, stale_values_, tail};
  stale_ids_.assign(ids_.begin(), ids_.end() - tail_);
  stale_ids_.insert(stale_ids_.end(), timed.begin(), timed.end());
  stale_ids_.insert(stale_ids_.end(), ids_.end() - tail_, ids_.end());
  return {NextLayout(), stale_ids_, stale_values_, tail};
}

void SeriesCache::Clear(SeriesResolver& resolver) {
  SeriesSetScratch released;
  released.Clear(lines_.size());
  lines_.ForEachId(ids_, [&](Entry::Kind, SeriesId id) {
    if (id != kNoSeries && released.Insert(id)) resolver.Release(id);
  });
  for (const SeriesId id : gone_) {
    if (released.Insert(id)) resolver.Release(id);
  }
  std::vector<SeriesId> tail(ids_.end() - tail_, ids_.end());
  lines_ = {};
  gone_ = {};
  gone_stale_ = 0;
  row_count_ = 0;
  ids_ = {};
  values_ = {};
  counts_ = {};
  SetTail(tail);
}

size_t SeriesCache::memory() const {
  return lines_.memory() + ids_.capacity() * sizeof(SeriesId) + values_.capacity() * sizeof(double);
}

void SeriesSetScratch::Clear(size_t expected) {
  size_t size = 64;
  while (size < expected * 2) size *= 2;
  slots_.assign(size, kNoSeries);
  used_ = 0;
}

bool SeriesSetScratch::Insert(SeriesId id) {
  if (used_ * 2 >= slots_.size()) Grow();
  const size_t mask = slots_.size() - 1;
  size_t i = (id * 0x9e3779b1u) & mask;
  while (slots_[i] != kNoSeries) {
    if (slots_[i] == id) return false;
    i = (i + 1) & mask;
  }
  slots_[i] = id;
  ++used_;
  return true;
}

void SeriesSetScratch::Grow() {
  std::vector<SeriesId> old = std::move(slots_);
  slots_.assign(old.size() * 2, kNoSeries);
  used_ = 0;
  for (const SeriesId id : old) {
    if (id != kNoSeries) Insert(id);
  }
}

}  // namespace picket::collectors::scrape
