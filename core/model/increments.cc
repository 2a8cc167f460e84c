// SPDX-License-Identifier: Apache-2.0
#include "core/model/increments.h"

#include <cmath>

#include "core/base/hash.h"

namespace picket {
namespace {

constexpr UnixMs kForgetMs = 3'600'000;

constexpr uint64_t kTargetTag =
    0x9E3779B97F4A7C15ULL;  // keeps targets and series apart in one memory

}  // namespace

IncrementReader::IncrementReader(std::vector<std::vector<Matcher>> selectors, CounterMemory* memory)
    : selectors_(std::move(selectors)), memory_(memory) {}

IncrementReader::Map::iterator IncrementReader::Find(Map& map, uint64_t key) {
  auto it = map.find(key);
  if (it != map.end() || memory_ == nullptr) return it;
  const auto kept = memory_->Recall(key);
  return kept ? map.emplace(key, *kept).first : it;
}

Status IncrementReader::Read(const Querier& querier, UnixMs from_ms, UnixMs until_ms,
                             const OnIncrement& on) {
  for (size_t n = 0; n < selectors_.size(); ++n) {
    PICKET_ASSIGN(auto set, querier.Select(selectors_[n], from_ms, until_ms));
    for (const SeriesColumns& s : set->series()) ReadSeries(n, s, on);
  }
  Forget();
  return {};
}

void IncrementReader::ReadSeries(size_t selector, const SeriesColumns& s, const OnIncrement& on) {
  const uint64_t target =
      kTargetTag ^ Hash64(s.labels->Get("job"), Hash64(s.labels->Get("instance")));
  const uint64_t key = s.labels->Hash() + selector;
  auto known = Find(last_, key);
  auto seen = Find(targets_, target);
  bool changed = false;
  for (size_t i = 0; i < s.times_ms.size(); ++i) {
    const UnixMs t = s.times_ms[i];
    const double v = s.values[i];
    if (std::isnan(v) || (known != last_.end() && t <= known->second.time_ms)) continue;
    if (seen == targets_.end())
      seen = targets_.emplace(target, Last{t, static_cast<double>(t)}).first;
    seen->second.value = std::max(seen->second.value, static_cast<double>(t));
    double increment = 0;
    if (known != last_.end())
      increment = v >= known->second.value ? v - known->second.value : v;
    else if (seen->second.time_ms < t)
      increment = v;
    if (known == last_.end())
      known = last_.emplace(key, Last{t, v}).first;
    else
      known->second = {t, v};
    newest_ms_ = std::max(newest_ms_, t);
    changed = true;
    on(selector, *s.labels, t, increment);
  }
  if (!changed || memory_ == nullptr) return;
  memory_->Remember(key, known->second);
  memory_->Remember(target, seen->second);
}

void IncrementReader::Forget() {
  if (newest_ms_ == INT64_MIN || newest_ms_ < forgotten_ms_ + kForgetMs / 4) return;
  forgotten_ms_ = newest_ms_;
  auto drop = [&](Map& map, auto old) {
    std::erase_if(map, [&](const auto& e) {
      if (!old(e.second)) return false;
      if (memory_ != nullptr) memory_->Forget(e.first);
      return true;
    });
  };
  drop(last_, [&](const Last& l) { return l.time_ms < newest_ms_ - kForgetMs; });
  drop(targets_,
       [&](const Last& l) { return l.value < static_cast<double>(newest_ms_ - kForgetMs); });
}

}  // namespace picket
