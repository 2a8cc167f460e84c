// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/telemetry.h"
#include "core/model/delivery.h"

namespace picket::agent {

/// The agent's own /metrics: its telemetry table, every balance, and what the kernel says of the
/// process. Threads: any. Source: Prometheus text format 0.0.4, written by prometheus-cpp.
std::string RenderMetrics(const Telemetry& telemetry, const BalanceBook& balances);

/// What the kernel says of this process.
struct ProcessUsage {
  uint64_t rss_bytes = 0;
  uint64_t virtual_bytes = 0;
  double cpu_seconds = 0;
  uint64_t open_fds = 0;
  uint64_t max_fds = 0;
  uint64_t threads = 0;
  double start_time_seconds = 0;
};
ProcessUsage ReadProcessUsage();

}  // namespace picket::agent
