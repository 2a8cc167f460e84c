// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "core/base/telemetry.h"

namespace picket::rules::alerting {

inline constexpr MetricRow kEvaluations{MetricRow::Kind::kCounter, "picket_rule_evaluations_total",
                                        "Rules evaluated."};
inline constexpr MetricRow kFailures{MetricRow::Kind::kCounter,
                                     "picket_rule_evaluation_failures_total",
                                     "Rule evaluations that failed."};
inline constexpr MetricRow kMissed{
    MetricRow::Kind::kCounter, "picket_rule_group_iterations_missed_total",
    "Slots of groups that passed while rules were still being evaluated."};
inline constexpr MetricRow kSeconds{MetricRow::Kind::kGauge, "picket_rule_last_pass_seconds",
                                    "Time the last pass over due groups took."};

}  // namespace picket::rules::alerting
