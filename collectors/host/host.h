// SPDX-License-Identifier: Apache-2.0
// Watches the node it stands on.
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "collectors/host/collectors.h"
#include "collectors/host/config.h"
#include "collectors/host/row.h"
#include "core/base/clock.h"
#include "core/base/telemetry.h"
#include "core/model/delivery.h"
#include "core/model/metrics.h"

namespace picket::collectors::host {

/// All enabled parts, looked at together into one row of one source.
/// Threads: one at a time; Collect may block on the kernel.
class HostReader {
 public:
  /// Series get `job`, `instance` = the node's name, and the configured labels.
  HostReader(const HostConfig& config, const std::string& node, MetricIntake& intake,
             const Clock& clock);
  /// Closes the source; series end without markers unless End was called.
  ~HostReader();

  struct Outcome {
    size_t series = 0;
    std::map<std::string, std::string> errors;  ///< by part; not where the host has no such thing
  };
  /// Reads everything and appends one row at this time.
  Outcome Collect(UnixMs timestamp_ms);
  /// Ends every series with a marker, because the host is not watched any more.
  void End(UnixMs timestamp_ms);

 private:
  MetricIntake& intake_;
  const Clock& clock_;
  const SourceId source_;
  Row row_;
  std::vector<std::unique_ptr<Part>> parts_;
};

}  // namespace picket::collectors::host
