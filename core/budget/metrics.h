// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "core/base/telemetry.h"

namespace picket::budget {

inline constexpr MetricRow kLimit{MetricRow::Kind::kGauge, "picket_budget_limit_bytes",
                                  "The memory budget the operator set; 0 is none."};
inline constexpr MetricRow kUsed{MetricRow::Kind::kGauge, "picket_budget_used_bytes",
                                 "Bytes drawn on the memory budget, by class."};
inline constexpr MetricRow kRefused{MetricRow::Kind::kCounter, "picket_budget_refused_total",
                                    "Reservations the memory budget refused, by class."};
inline constexpr MetricRow kPressure{MetricRow::Kind::kGauge, "picket_budget_pressure",
                                     "What is being shed: 0 nothing, 1 pushers, 2 and new series, "
                                     "3 and a share of traces, 4 and reading of files."};

}  // namespace picket::budget
