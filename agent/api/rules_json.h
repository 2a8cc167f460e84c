// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "agent/api/params.h"
#include "rules/alerting/manager.h"

namespace picket::agent {

/// The `data` of /api/v1/rules: type, rule_name[], rule_group[], file[], match[], exclude_alerts,
/// and pages of group_limit groups. Order: by file, then name. Errors: kInvalidArgument, in
/// Prometheus' words.
Result<std::string> RulesJson(std::vector<rules::alerting::GroupStatus> groups,
                              const Params& params);
/// The `data` of /api/v1/alerts.
std::string AlertsJson(const std::vector<rules::alerting::GroupStatus>& groups);
/// "ok", "err", "unknown"
std::string_view HealthText(rules::alerting::RuleHealth health);

}  // namespace picket::agent
