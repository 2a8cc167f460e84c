// SPDX-License-Identifier: Apache-2.0
// All scrape jobs: what the program sees of this folder.
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "collectors/scrape/config.h"
#include "collectors/scrape/status.h"
#include "core/base/clock.h"
#include "core/base/telemetry.h"
#include "core/model/delivery.h"
#include "core/model/metrics.h"
#include "core/net/buffer.h"
#include "core/net/runtime.h"

namespace picket::collectors::scrape {

class Pool;

/// Runs the jobs of a configuration. ApplyConfig may come again at any time: jobs and targets are
/// compared with what runs, and a target that is still there keeps its cache, phase and connection
/// and loses no scrape. Threads: all methods from any thread but those of the Runtime; the
/// references outlive the manager.
class ScrapeManager {
 public:
  struct Dependencies {
    net::Runtime& runtime;
    MetricIntake& intake;
    const Clock& clock;
    Telemetry& telemetry;
    BalanceBook& balances;
    std::string user_agent = "picket";
  };
  explicit ScrapeManager(Dependencies dependencies);
  ~ScrapeManager();  ///< Stop(0)

  /// Starts, changes and ends jobs. What is written down or in files is discovered when it returns;
  /// what is asked for over the network comes as it is answered.
  /// Errors: what cannot work of a job (an unreadable certificate); then nothing has changed.
  Status ApplyConfig(std::shared_ptr<const Config> config);
  /// Ends everything within `deadline`, without staleness markers: series go on when the agent
  /// comes back.
  void Stop(Duration deadline);

  /// By job, then URL.
  std::vector<TargetStatus> Targets() const;
  std::vector<DroppedTarget> Dropped() const;
  /// What is wrong with discovery at present, by job.
  std::map<std::string, std::vector<std::string>> DiscoveryErrors() const;
  /// Which targets are asked for.
  struct Selection {
    bool active = true, dropped = true;
    std::string job = {};  ///< empty: of all
  };
  /// The `data` of Prometheus' /api/v1/targets.
  std::string TargetsJson(const Selection& selection) const;
  std::string TargetsJson() const { return TargetsJson(Selection()); }

 private:
  const Dependencies deps_;
  net::BufferPool buffers_;
  net::Tasks tasks_;
  std::vector<std::shared_ptr<void>> callbacks_;
  mutable std::mutex mutex_;  // guards pools_ and stopped_
  std::map<std::string, std::shared_ptr<Pool>> pools_;
  bool stopped_ = false;
};

}  // namespace picket::collectors::scrape
