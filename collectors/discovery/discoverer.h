// SPDX-License-Identifier: Apache-2.0
// How targets become known.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "collectors/discovery/config.h"
#include "core/base/clock.h"
#include "core/base/telemetry.h"
#include "core/model/labels.h"
#include "core/net/runtime.h"

namespace picket::collectors::discovery {

/// Targets from one place. Shape: each target has at least __address__; `labels` are shared and a
/// target's own win.
struct TargetGroup {
  std::string source;  ///< for people and to tell groups apart: "static/0", "/etc/targets.yml:1"
  std::vector<Labels> targets;
  Labels labels;
};

/// What discoverers need. Ownership: the references outlive every discoverer.
struct Environment {
  net::Runtime& runtime;
  const Clock& clock;
  Telemetry& telemetry;
  std::string job;  ///< whom the targets are for; a label of the metrics
  std::string user_agent = "picket";
};

/// One way to find targets. Threads: one at a time, but for End; Poll may block on files.
class Discoverer {
 public:
  virtual ~Discoverer() = default;
  /// Looks for changes. True if groups() is not what it was; the first call always is.
  virtual bool Poll() = 0;
  virtual const std::vector<TargetGroup>& groups() const = 0;
  /// What is wrong at present, one sentence each with its place. What was known before stays in
  /// groups().
  virtual const std::vector<std::string>& errors() const = 0;
  /// How often Poll is worth while by itself. 0: once.
  virtual Milliseconds poll_interval() const = 0;
  /// For those that ask over the network: begins to, in coroutines of `tasks` that keep this
  /// discoverer alive; `changed` is called, from any thread, whenever Poll is worth while. False:
  /// Poll does everything.
  virtual bool Start(net::Tasks& tasks, std::function<void()> changed) {
    (void)tasks, (void)changed;
    return false;
  }
  /// Ends what Start began, without waiting for it. Threads: any.
  virtual void End() {}
};

/// One discoverer for each entry of the configuration.
std::vector<std::shared_ptr<Discoverer>> MakeDiscoverers(const DiscoveryConfig& config,
                                                         const Environment& environment);

/// The group of one {targets, labels} entry.
TargetGroup MakeGroup(const StaticConfig& config, std::string source);

}  // namespace picket::collectors::discovery
