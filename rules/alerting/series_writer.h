// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/model/metrics.h"

namespace picket::rules::alerting {

/// The series a rule writes: a source whose set of series is whatever the last result had. Series
/// that vanish end with a staleness marker. Threads: one.
class SeriesWriter {
 public:
  SeriesWriter(MetricIntake& intake, std::string name);
  ~SeriesWriter();  ///< releases without markers: see End
  SeriesWriter(const SeriesWriter&) = delete;
  SeriesWriter& operator=(const SeriesWriter&) = delete;

  /// One result. Labels must be unique. Returns how many new series the store refused.
  size_t Write(UnixMs t, const std::vector<std::pair<Labels, double>>& samples);
  /// Ends every series with a marker at `t`, apart from those that others go on with.
  void End(UnixMs t, const std::set<Labels>& others);
  void AddLive(std::set<Labels>& out) const;
  size_t series() const { return live_.size(); }

 private:
  struct Live {
    SeriesId id;
    uint64_t seen;
  };
  MetricIntake& intake_;
  SourceId source_;
  std::map<Labels, Live> live_;
  std::vector<SeriesId> ids_, previous_ids_;
  std::vector<double> values_;
  uint64_t pass_ = 0;
  uint64_t layout_ = 0;
  UnixMs last_ms_ = 0;
  std::shared_ptr<const MetricMetadata> metadata_;
};

}  // namespace picket::rules::alerting
