// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <string>
#include <vector>

#include "rules/slo/config.h"

namespace picket::rules::slo {

/// One of the four multi-window, multi-burn-rate alerts. Source: The Site Reliability Workbook,
/// chapter 5.
struct BurnAlert {
  std::string name;
  std::string expr;
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> annotations;
};

/// The alerts of an objective over its slo:sli_error series: both windows must exceed factor x
/// budget. Factors follow the period: 14.4, 6, 3 and 1 for 30 days.
std::vector<BurnAlert> BurnAlerts(const SloConfig& slo);

}  // namespace picket::rules::slo
