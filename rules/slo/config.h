// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/units.h"
#include "core/config/diagnostics.h"
#include "core/config/object.h"

namespace picket::rules::slo {

/// Good events among all, from two counters.
struct RatioIndicator {
  std::string total;
  std::string errors;
  std::string good;
};

/// Requests faster than a bound, from a classic histogram.
struct LatencyIndicator {
  std::string histogram;
  double threshold = 0;  ///< seconds; must be a bucket's bound
};

struct IndicatorConfig {
  std::optional<RatioIndicator> ratio;
  std::optional<LatencyIndicator> latency;
};

struct AlertingConfig {
  std::string name = "SLOErrorBudgetBurn";
  bool page = true;
  bool ticket = true;
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> page_labels{{"severity", "page"}};
  std::map<std::string, std::string> ticket_labels{{"severity", "ticket"}};
  std::map<std::string, std::string> annotations;
};

/// One objective in Picket's native form.
struct SloConfig {
  std::string name;
  std::string service;
  std::string description;
  double objective = 0;  ///< percent, above 0 and below 100
  Milliseconds window{std::chrono::hours(30 * 24)};
  IndicatorConfig indicator;
  std::map<std::string, std::string> labels;
  AlertingConfig alerting;

  /// "service-name", as Sloth names an objective.
  std::string Id() const { return service.empty() ? name : service + "-" + name; }
  /// 1 - objective, without the noise of binary percentages.
  double Budget() const;
};

struct SloFileConfig {
  std::vector<SloConfig> slos;
};

void Declare(config::Object<RatioIndicator>& o);
void Declare(config::Object<LatencyIndicator>& o);
void Declare(config::Object<IndicatorConfig>& o);
void Declare(config::Object<AlertingConfig>& o);
void Declare(config::Object<SloConfig>& o);
void Declare(config::Object<SloFileConfig>& o);

/// Reads one file of objectives; findings go to `diagnostics`. Errors: what keeps the file from
/// being read at all.
Result<std::vector<SloConfig>> LoadSloFile(const std::string& path,
                                           config::Diagnostics& diagnostics);

}  // namespace picket::rules::slo
