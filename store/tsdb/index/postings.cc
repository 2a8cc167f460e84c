// SPDX-License-Identifier: Apache-2.0
#include "store/tsdb/index/postings.h"

#include <algorithm>

namespace picket::store::tsdb {

Postings::Run Postings::Read(size_t& i) const {
  const uint32_t word = words_[i++];
  if ((word & kRange) == 0) return {word, word};
  return {word & ~kRange, words_[i++]};
}

std::vector<Postings::Run> Postings::Runs() const {
  std::vector<Run> runs;
  for (size_t i = 0; i < words_.size();) runs.push_back(Read(i));
  return runs;
}

void Postings::Assign(std::span<const Run> runs) {
  words_.clear();
  size_ = 0;
  for (const Run& r : runs) {
    if (r.first == r.last) {
      words_.push_back(r.first);
    } else {
      words_.push_back(r.first | kRange);
      words_.push_back(r.last);
    }
    size_ += r.last - r.first + 1;
  }
}

void Postings::Add(SeriesId id) {
  // Ids mostly come in order: extend the end without touching the rest.
  const bool range_end = words_.size() >= 2 && (words_[words_.size() - 2] & kRange) != 0;
  if (words_.empty() || words_.back() < id) {
    if (!words_.empty() && words_.back() + 1 == id) {
      if (range_end) {
        ++words_.back();
      } else {
        words_.back() |= kRange;
        words_.push_back(id);
      }
    } else {
      words_.push_back(id);
    }
    ++size_;
    return;
  }
  std::vector<Run> runs = Runs();
  auto at = std::upper_bound(runs.begin(), runs.end(), id,
                             [](SeriesId v, const Run& r) { return v < r.first; });
  if (at != runs.begin() && id <= std::prev(at)->last) return;
  at = runs.insert(at, {id, id});
  if (std::next(at) != runs.end() && std::next(at)->first == id + 1) {
    at->last = std::next(at)->last;
    runs.erase(std::next(at));
  }
  if (at != runs.begin() && std::prev(at)->last + 1 == id) {
    std::prev(at)->last = at->last;
    runs.erase(at);
  }
  Assign(runs);
}

void Postings::Remove(SeriesId id) {
  std::vector<Run> runs = Runs();
  auto at = std::upper_bound(runs.begin(), runs.end(), id,
                             [](SeriesId v, const Run& r) { return v < r.first; });
  if (at == runs.begin()) return;
  --at;
  if (id > at->last) return;
  const Run whole = *at;
  at = runs.erase(at);
  if (id < whole.last) at = runs.insert(at, {id + 1, whole.last});
  if (whole.first < id) runs.insert(at, {whole.first, id - 1});
  Assign(runs);
  words_.shrink_to_fit();
}

void Postings::AppendTo(std::vector<SeriesId>& out) const {
  out.reserve(out.size() + size_);
  for (size_t i = 0; i < words_.size();) {
    const Run r = Read(i);
    for (SeriesId id = r.first; id <= r.last; ++id) out.push_back(id);
  }
}

void Postings::Intersect(std::vector<SeriesId>& ids) const {
  size_t kept = 0, i = 0;
  Run run{1, 0};
  bool have = false;
  for (SeriesId id : ids) {
    while (!have || run.last < id) {
      if (i >= words_.size()) {
        ids.resize(kept);
        return;
      }
      run = Read(i);
      have = true;
    }
    if (run.first <= id) ids[kept++] = id;
  }
  ids.resize(kept);
}

}  // namespace picket::store::tsdb
