// SPDX-License-Identifier: Apache-2.0
// How targets become known.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "collectors/discovery/config.h"
#include "core/base/clock.h"
#include "core/model/labels.h"

namespace picket::collectors::discovery {

/// Targets from one place. Shape: each target has at least __address__; `labels` are shared and a
/// target's own win.
struct TargetGroup {
  std::string source;  ///< for people and to tell groups apart: "static/0", "/etc/targets.yml:1"
  std::vector<Labels> targets;
  Labels labels;
};

/// One way to find targets. Threads: one at a time; Poll may block on files.
class Discoverer {
 public:
  virtual ~Discoverer() = default;
  /// Looks for changes. True if groups() is not what it was; the first call always is.
  virtual bool Poll() = 0;
  virtual const std::vector<TargetGroup>& groups() const = 0;
  /// What is wrong at present, one sentence each with its place. What was known before stays in
  /// groups().
  virtual const std::vector<std::string>& errors() const = 0;
  /// How often Poll is worth while. 0: once.
  virtual Milliseconds poll_interval() const = 0;
};

/// One discoverer for each entry of the configuration. The clock must outlive them.
std::vector<std::unique_ptr<Discoverer>> MakeDiscoverers(const DiscoveryConfig& config,
                                                         const Clock& clock);

/// The group of one {targets, labels} entry.
TargetGroup MakeGroup(const StaticConfig& config, std::string source);

}  // namespace picket::collectors::discovery
