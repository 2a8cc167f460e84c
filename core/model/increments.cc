// SPDX-License-Identifier: Apache-2.0
#include "core/model/increments.h"

#include <cmath>
#include <cstring>

#include "core/base/hash.h"

namespace picket {
namespace {

constexpr UnixMs kForgetMs = 3'600'000;

struct SavedEntry {
  uint64_t key;
  int64_t time_ms;
  double value;
};

void Append(std::string& out, const auto& map) {
  const uint64_t n = map.size();
  out.append(reinterpret_cast<const char*>(&n), sizeof n);
  for (const auto& [key, last] : map) {
    const SavedEntry e{key, last.time_ms, last.value};
    out.append(reinterpret_cast<const char*>(&e), sizeof e);
  }
}

bool Take(std::string_view& bytes, auto& map) {
  uint64_t n = 0;
  if (bytes.size() < sizeof n) return false;
  std::memcpy(&n, bytes.data(), sizeof n);
  bytes.remove_prefix(sizeof n);
  if (n > bytes.size() / sizeof(SavedEntry)) return false;
  for (; n > 0; --n) {
    SavedEntry e;
    std::memcpy(&e, bytes.data(), sizeof e);
    bytes.remove_prefix(sizeof e);
    map[e.key] = {e.time_ms, e.value};
  }
  return true;
}

}  // namespace

IncrementReader::IncrementReader(std::vector<std::vector<Matcher>> selectors)
    : selectors_(std::move(selectors)) {}

Status IncrementReader::Read(const Querier& querier, UnixMs from_ms, UnixMs until_ms,
                             const OnIncrement& on) {
  for (size_t n = 0; n < selectors_.size(); ++n) {
    PICKET_ASSIGN(auto set, querier.Select(selectors_[n], from_ms, until_ms));
    for (const SeriesColumns& s : set->series()) {
      const uint64_t target = Hash64(s.labels->Get("job"), Hash64(s.labels->Get("instance")));
      const uint64_t key = s.labels->Hash() + n;
      auto known = last_.find(key);
      for (size_t i = 0; i < s.times_ms.size(); ++i) {
        const UnixMs t = s.times_ms[i];
        const double v = s.values[i];
        if (std::isnan(v) || (known != last_.end() && t <= known->second.time_ms)) continue;
        auto [seen, fresh] = targets_.try_emplace(target, Last{t, static_cast<double>(t)});
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
        on(n, *s.labels, t, increment);
      }
    }
  }
  Forget();
  return {};
}

void IncrementReader::Forget() {
  if (newest_ms_ == INT64_MIN || newest_ms_ < forgotten_ms_ + kForgetMs / 4) return;
  forgotten_ms_ = newest_ms_;
  std::erase_if(last_, [&](const auto& e) { return e.second.time_ms < newest_ms_ - kForgetMs; });
  std::erase_if(targets_, [&](const auto& e) {
    return e.second.value < static_cast<double>(newest_ms_ - kForgetMs);
  });
}

std::string IncrementReader::Save() const {
  std::string out;
  Append(out, last_);
  Append(out, targets_);
  out.append(reinterpret_cast<const char*>(&newest_ms_), sizeof newest_ms_);
  return out;
}

void IncrementReader::Restore(std::string_view bytes) {
  last_.clear();
  targets_.clear();
  if (!Take(bytes, last_) || !Take(bytes, targets_) || bytes.size() != sizeof newest_ms_) {
    last_.clear();
    targets_.clear();
    return;
  }
  std::memcpy(&newest_ms_, bytes.data(), sizeof newest_ms_);
}

}  // namespace picket
