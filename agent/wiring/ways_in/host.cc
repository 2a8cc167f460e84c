// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <atomic>

#include "agent/wiring/ways_in/way_in.h"
#include "collectors/host/manager.h"

namespace picket::wiring {
namespace {

class Host final : public WayIn {
 public:
  explicit Host(const WayInNeeds& n)
      : node_name_(n.node_name),
        manager_(collectors::host::HostManager::Dependencies{n.runtime, n.hub, n.clock, n.telemetry,
                                                             n.balances, n.node_name}) {}

  Status Apply(const agent::RootConfig& config) override {
    enabled_ = config.collectors.host.enabled;
    manager_.ApplyConfig(config.collectors.host);
    return {};
  }
  void Stop(Duration within) override {
    manager_.Stop(std::min<Duration>(within, std::chrono::seconds(2)));
  }

  std::vector<std::string> Findings() const override {
    std::vector<std::string> out;
    if (enabled_) out.push_back(fmt::format("watching this host ({})", node_name_));
    for (const auto& [part, error] : manager_.state().errors)
      out.push_back(fmt::format("! host {} cannot be read: {}", part, error));
    return out;
  }

 private:
  const std::string node_name_;
  std::atomic<bool> enabled_{false};
  collectors::host::HostManager manager_;
};

}  // namespace

std::unique_ptr<WayIn> MakeHost(const WayInNeeds& needs) { return std::make_unique<Host>(needs); }

}  // namespace picket::wiring
