// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "collectors/host/config.h"
#include "core/base/clock.h"
#include "core/base/telemetry.h"
#include "core/model/delivery.h"
#include "core/model/metrics.h"
#include "core/net/runtime.h"

namespace picket::collectors::host {

/// Looks at the host at every interval, on the pool for blocking calls.
/// Threads: all methods from any thread but those of the Runtime; the references outlive it.
class HostManager {
 public:
  struct Dependencies {
    net::Runtime& runtime;
    MetricIntake& intake;
    const Clock& clock;
    Telemetry& telemetry;
    BalanceBook& balances;
    std::string node;  ///< the label `instance`
  };
  explicit HostManager(Dependencies dependencies);
  ~HostManager();  ///< Stop(0)

  /// Starts, goes on under new settings, or ends (enabled: false). An unchanged configuration
  /// changes nothing.
  void ApplyConfig(const HostConfig& config);
  void Stop(Duration deadline);

  struct State {
    bool running = false;
    UnixMs last_ms = 0;
    size_t series = 0;
    std::map<std::string, std::string> errors;  ///< by part
  };
  State state() const;

 private:
  struct Loop;
  const Dependencies deps_;
  net::Tasks tasks_;
  mutable std::mutex mutex_;  // guards what follows
  std::string settings_;
  std::shared_ptr<Loop> loop_;
  bool stopped_ = false;
};

}  // namespace picket::collectors::host
