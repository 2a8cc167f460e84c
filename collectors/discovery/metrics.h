// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "core/base/telemetry.h"

namespace picket::collectors::discovery {

inline constexpr MetricRow kRefreshesRow{
    MetricRow::Kind::kCounter, "picket_discovery_refreshes_total",
    "Answers to questions for targets, by job, mechanism and outcome."};

}  // namespace picket::collectors::discovery
