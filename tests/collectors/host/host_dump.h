// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include "collectors/host/host.h"
#include "core/base/strings.h"

namespace picket::collectors::host {

/// An intake that keeps the latest row by series, as a scrape would show it.
class RowIntake : public MetricIntake {
 public:
  SourceId OpenSource(std::string) override { return 1; }
  void CloseSource(SourceId) override { closed = true; }
  Result<SeriesId> Intern(SourceId, const Labels& labels,
                          std::shared_ptr<const MetricMetadata> metadata) override {
    ++interns;
    if (refuse) return Fail(ErrorKind::kOverloaded, "no room");
    label_sets.push_back(labels);
    types.push_back(metadata->type);
    held.insert(static_cast<SeriesId>(label_sets.size() - 1));
    return static_cast<SeriesId>(label_sets.size() - 1);
  }
  void Release(SourceId, SeriesId id) override { held.erase(id); }
  void Append(const SampleRow& row) override {
    layout = row.layout;
    last.clear();
    for (size_t i = 0; i < row.series.size(); ++i) last[Name(row.series[i])] = row.values[i];
    duplicates += last.size() != row.series.size();
  }
  void AppendTimed(SourceId, std::span<const TimedSample>) override {}

  /// The series as node_exporter shows it: without the labels of the scrape.
  std::string Name(SeriesId id) const {
    LabelsBuilder labels(label_sets[id]);
    labels.Delete("job");
    labels.Delete("instance");
    return labels.Build().ToString();
  }

  bool closed = false, refuse = false;
  size_t interns = 0, duplicates = 0;
  uint64_t layout = 0;
  std::vector<Labels> label_sets;
  std::vector<MetricType> types;
  std::set<SeriesId> held;
  std::map<std::string, double> last;
};

}  // namespace picket::collectors::host
