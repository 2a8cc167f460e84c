// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/api/json.h"
#include "agent/api/prometheus_api.h"
#include "agent/config/config.h"
#include "agent/wiring/destinations.h"
#include "agent/wiring/metric_hub.h"
#include "core/budget/budget.h"

namespace picket::wiring {

/// What a way in may use. Ownership: borrowed, longer-lived than every way in.
struct WayInNeeds {
  net::Runtime& runtime;
  MetricHub& hub;
  Destinations& destinations;
  Budget& budget;
  const Clock& clock;
  Telemetry& telemetry;
  BalanceBook& balances;
  std::string node_name;
  std::string data_dir;  ///< "": nothing can be kept
};

/// One collector in the agent's hands. Adding one is its folder under collectors/, a file here and
/// a line in registry.cc. Threads: Apply, Stop and Drain one at a time, never on the Runtime's; the
/// rest from any.
class WayIn {
 public:
  virtual ~WayIn() = default;

  /// Starts what `config` asks for and was not there, ends what it no longer asks for; what stayed
  /// the same goes on untouched. Errors: what cannot work as asked.
  virtual Status Apply(const agent::RootConfig& config) = 0;
  /// Nothing comes in after it.
  virtual void Stop(Duration within) = 0;
  /// After the last evaluation of the rules: waits until what was taken is settled.
  virtual void Drain(Duration within) { (void)within; }
  /// What it adds to the API.
  virtual void Offer(agent::ApiSources& sources) { (void)sources; }
  /// Its keys in the page's status.
  virtual void AppendStatus(agent::Json& json) const { (void)json; }
  /// One line each, for the start and the page; trouble begins with "! ".
  virtual std::vector<std::string> Findings() const { return {}; }
};

struct WayInEntry {
  std::string_view name;  ///< the configuration section
  std::unique_ptr<WayIn> (*make)(const WayInNeeds& needs);
};

/// Every way in there is, in the order of their start; they stop in the opposite one.
std::span<const WayInEntry> WaysIn();

std::unique_ptr<WayIn> MakeScrape(const WayInNeeds& needs);
std::unique_ptr<WayIn> MakeHost(const WayInNeeds& needs);
std::unique_ptr<WayIn> MakeLogs(const WayInNeeds& needs);
std::unique_ptr<WayIn> MakeOtlp(const WayInNeeds& needs);

}  // namespace picket::wiring
