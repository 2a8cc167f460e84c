// SPDX-License-Identifier: Apache-2.0
// An intake that remembers what it was given, and a resolver without rules.
#pragma once
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "collectors/scrape/cache.h"
#include "collectors/scrape/exposed_labels.h"
#include "core/model/metrics.h"

namespace picket::collectors::scrape {

/// Keeps every sample by series text. Checks what the contract asks of a source as it goes.
class FakeIntake : public MetricIntake {
 public:
  struct Sample {
    UnixMs timestamp_ms;
    double value;
  };

  SourceId OpenSource(std::string name) override {
    sources.push_back(std::move(name));
    return static_cast<SourceId>(sources.size());
  }
  void CloseSource(SourceId source) override { closed.insert(source); }
  Result<SeriesId> Intern(SourceId, const Labels& labels,
                          std::shared_ptr<const MetricMetadata> metadata) override {
    ++interns;
    const std::string text = labels.ToString();
    auto it = ids.find(text);
    if (it == ids.end()) {
      if (refuse) return Fail(ErrorKind::kOverloaded, "no room for new series");
      it = ids.emplace(text, static_cast<SeriesId>(names.size())).first;
      names.push_back(text);
      label_sets.push_back(labels);
      metadatas.push_back(std::move(metadata));
    }
    held.insert(it->second);
    return it->second;
  }
  void Release(SourceId, SeriesId series) override {
    if (held.erase(series) == 0) faults.push_back("released twice: " + names[series]);
  }
  void Append(const SampleRow& row) override {
    ++rows;
    last_row.clear();
    if (row.layout == 0) faults.push_back("layout 0");
    if (row.series.size() != row.values.size()) faults.push_back("lengths differ");
    std::vector<SeriesId> series(row.series.begin(), row.series.end());
    auto [it, fresh] = layouts.try_emplace({row.source, row.layout}, series);
    if (!fresh && it->second != series) faults.push_back("one layout, two lists of series");
    std::set<SeriesId> seen;
    for (size_t i = 0; i < row.series.size(); ++i) {
      const SeriesId id = row.series[i];
      if (!seen.insert(id).second) faults.push_back("twice in a row: " + names[id]);
      if (!held.contains(id)) faults.push_back("not held: " + names[id]);
      samples[names[id]].push_back({row.timestamp_ms, row.values[i]});
      last_row[names[id]] = row.values[i];
    }
  }
  void AppendTimed(SourceId, std::span<const TimedSample> timed) override {
    for (const TimedSample& s : timed) {
      samples[names[s.series]].push_back({s.timestamp_ms, s.value});
    }
  }

  bool refuse = false;
  size_t interns = 0;
  size_t rows = 0;
  std::vector<std::string> sources;
  std::set<SourceId> closed;
  std::map<std::string, SeriesId> ids;
  std::vector<std::string> names;
  std::vector<Labels> label_sets;
  std::vector<std::shared_ptr<const MetricMetadata>> metadatas;
  std::set<SeriesId> held;
  std::map<std::pair<SourceId, uint64_t>, std::vector<SeriesId>> layouts;
  std::map<std::string, std::vector<Sample>> samples;
  std::map<std::string, double> last_row;
  std::vector<std::string> faults;
};

/// Resolves series as they are exposed; drops those whose name starts with "drop_".
class PlainResolver : public SeriesResolver {
 public:
  explicit PlainResolver(FakeIntake& intake) : intake_(intake) {}
  Result<Answer> Resolve(const RawSeries& series, MetricType type,
                         std::shared_ptr<const MetricMetadata> metadata) override {
    ++asked;
    if (series.name.starts_with("drop_")) return Answer{Kind::kDropped, kNoSeries};
    auto labels = ExposedLabels(series, type, false);
    if (!labels) return Fail(std::move(labels).error());
    auto id = intake_.Intern(1, labels->Build(), std::move(metadata));
    if (!id) return Answer{Kind::kRefused, kNoSeries};
    return Answer{Kind::kKept, *id};
  }
  void Release(SeriesId id) override { intake_.Release(1, id); }
  size_t asked = 0;

 private:
  FakeIntake& intake_;
};

}  // namespace picket::collectors::scrape
