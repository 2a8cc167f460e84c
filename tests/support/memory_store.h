// SPDX-License-Identifier: Apache-2.0
// A store for tests of rooms above it: plain vectors, no limits. Both ends of the real one,
// MetricIntake and Querier.
#pragma once
#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/model/metrics.h"
#include "core/model/query.h"

namespace picket::testing {

class MemoryStore final : public MetricIntake, public Querier {
 public:
  struct Series {
    Labels labels;
    std::vector<UnixMs> times_ms;
    std::vector<double> values;
  };

  /// Appends one sample by labels.
  void Put(const Labels& labels, UnixMs t, double v) {
    Series& s = series_[IdOf(labels)];
    if (!s.times_ms.empty() && s.times_ms.back() >= t) return;
    s.times_ms.push_back(t);
    s.values.push_back(v);
  }
  const Series* Find(const Labels& labels) const {
    auto it = ids_.find(labels);
    return it == ids_.end() ? nullptr : &series_[it->second];
  }
  const std::vector<Series>& all() const { return series_; }

  // MetricIntake
  SourceId OpenSource(std::string name) override {
    sources_.push_back(std::move(name));
    return static_cast<SourceId>(sources_.size() - 1);
  }
  void CloseSource(SourceId) override {}
  Result<SeriesId> Intern(SourceId, const Labels& labels,
                          std::shared_ptr<const MetricMetadata> metadata) override {
    if (refuse_new && !ids_.contains(labels)) return Fail(ErrorKind::kOverloaded, "no room");
    if (metadata) metadata_.push_back(std::move(metadata));
    return IdOf(labels);
  }
  void Release(SourceId, SeriesId) override { ++released; }
  void Append(const SampleRow& row) override {
    for (size_t i = 0; i < row.series.size(); ++i)
      Put(series_[row.series[i]].labels, row.timestamp_ms, row.values[i]);
    ++rows;
  }
  void AppendTimed(SourceId, std::span<const TimedSample> samples) override {
    for (const TimedSample& s : samples) Put(series_[s.series].labels, s.timestamp_ms, s.value);
  }

  // Querier
  Result<std::unique_ptr<SeriesSet>> Select(std::span<const Matcher> matchers, UnixMs min_ms,
                                            UnixMs max_ms) const override {
    auto set = std::make_unique<Set>();
    for (SeriesId id = 0; id < series_.size(); ++id) {
      const Series& s = series_[id];
      if (!Matches(s.labels, matchers)) continue;
      const auto from = std::lower_bound(s.times_ms.begin(), s.times_ms.end(), min_ms);
      const auto to = std::upper_bound(from, s.times_ms.end(), max_ms);
      if (from == to) continue;
      set->held.push_back(std::make_unique<Series>());
      Series& copy = *set->held.back();
      copy.labels = s.labels;
      copy.times_ms.assign(from, to);
      copy.values.assign(s.values.begin() + (from - s.times_ms.begin()),
                         s.values.begin() + (to - s.times_ms.begin()));
      set->columns.push_back({id, &copy.labels, copy.times_ms, copy.values, {}});
    }
    return set;
  }
  std::vector<Labels> SelectLabels(std::span<const Matcher> matchers, UnixMs,
                                   UnixMs) const override {
    std::vector<Labels> out;
    for (const Series& s : series_)
      if (Matches(s.labels, matchers)) out.push_back(s.labels);
    return out;
  }
  std::vector<std::string> LabelNames(std::span<const Matcher> matchers) const override {
    std::set<std::string> names;
    for (const Series& s : series_)
      if (Matches(s.labels, matchers))
        for (const auto& [n, v] : s.labels) names.emplace(n);
    return {names.begin(), names.end()};
  }
  std::vector<std::string> LabelValues(std::string_view name,
                                       std::span<const Matcher> matchers) const override {
    std::set<std::string> values;
    for (const Series& s : series_)
      if (Matches(s.labels, matchers) && s.labels.Has(name)) values.emplace(s.labels.Get(name));
    return {values.begin(), values.end()};
  }
  std::vector<std::shared_ptr<const MetricMetadata>> Metadata() const override { return metadata_; }
  UnixMs OldestMs() const override {
    UnixMs oldest = INT64_MAX;
    for (const Series& s : series_)
      if (!s.times_ms.empty()) oldest = std::min(oldest, s.times_ms.front());
    return oldest;
  }

  bool refuse_new = false;
  int rows = 0;
  int released = 0;

 private:
  struct Set final : SeriesSet {
    std::span<const SeriesColumns> series() const override { return columns; }
    std::vector<std::unique_ptr<Series>> held;
    std::vector<SeriesColumns> columns;
  };
  static bool Matches(const Labels& labels, std::span<const Matcher> matchers) {
    return std::all_of(matchers.begin(), matchers.end(),
                       [&](const Matcher& m) { return m.Matches(labels.Get(m.name())); });
  }
  SeriesId IdOf(const Labels& labels) {
    auto [it, fresh] = ids_.try_emplace(labels, static_cast<SeriesId>(series_.size()));
    if (fresh) series_.push_back({labels, {}, {}});
    return it->second;
  }

  std::map<Labels, SeriesId> ids_;
  std::vector<Series> series_;
  std::vector<std::string> sources_;
  std::vector<std::shared_ptr<const MetricMetadata>> metadata_;
};

}  // namespace picket::testing
