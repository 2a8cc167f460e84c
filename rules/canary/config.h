// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/units.h"
#include "core/config/object.h"

namespace picket::rules::canary {

/// Two counters that are compared between canary and baseline.
struct IndicatorConfig {
  std::string name = "errors";
  std::string requests = "http_requests_total";
  std::string errors = R"(http_requests_total{code=~"5.."})";
};

/// A plain limit on a PromQL expression.
struct ThresholdConfig {
  std::string name;
  std::string expr;
  std::optional<double> max;
  std::optional<double> min;
  int64_t failures = 1;
};

/// One rollout that is watched.
struct CanaryConfig {
  std::string name;
  std::string canary;
  std::string baseline;
  std::vector<IndicatorConfig> indicators;
  std::vector<ThresholdConfig> thresholds;
  Milliseconds interval{std::chrono::seconds(5)};
  double false_alarm = 0.001;
  double tolerated_ratio = 1.0;
  double absolute_limit = 0.01;
  double minimum_difference = 0.002;
  bool strict = false;
  int64_t minimum_requests = 10;
  Milliseconds idle_reset{std::chrono::minutes(10)};
  std::string rollout_label = "version";
  std::vector<std::string> signals;
  bool promote = false;
};

void Declare(config::Object<IndicatorConfig>& o);
void Declare(config::Object<ThresholdConfig>& o);
void Declare(config::Object<CanaryConfig>& o);

}  // namespace picket::rules::canary
