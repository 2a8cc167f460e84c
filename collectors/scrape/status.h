// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "core/base/clock.h"
#include "core/model/labels.h"

namespace picket::collectors::scrape {

/// How a target fares, for people and for /api/v1/targets.
struct TargetStatus {
  enum class Health : uint8_t { kUnknown, kUp, kDown };
  std::string job;  ///< the scrape pool
  Labels discovered_labels;
  Labels labels;
  std::string url;
  Health health = Health::kUnknown;
  std::string last_error;
  UnixMs last_scrape_ms = 0;  ///< 0: never
  Duration last_duration{0};
  Milliseconds interval{0};
  Milliseconds timeout{0};
  uint64_t samples = 0;  ///< lines of the latest good scrape
  uint64_t series = 0;   ///< held
  uint64_t body_bytes = 0;
};

/// A target that a rule dropped, or that could not be made; `error` says why in the latter case.
struct DroppedTarget {
  std::string job;
  Labels discovered_labels;
  std::string error;
};

std::string_view HealthName(TargetStatus::Health health);  ///< "unknown", "up", "down"
/// One element of `activeTargets` in Prometheus' API, with `samples`, `series` and `bodyBytes`
/// besides. Source: Prometheus documentation, HTTP API, targets.
void AppendTargetJson(std::string& out, const TargetStatus& status);
/// One element of `droppedTargets`.
void AppendDroppedJson(std::string& out, const DroppedTarget& target);

}  // namespace picket::collectors::scrape
