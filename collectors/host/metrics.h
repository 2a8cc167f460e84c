// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "core/base/telemetry.h"

namespace picket::collectors::host {

inline constexpr MetricRow kCollections{MetricRow::Kind::kCounter, "picket_host_collections_total",
                                        "Times the host was looked at."};
inline constexpr MetricRow kFailures{MetricRow::Kind::kCounter, "picket_host_failures_total",
                                     "Times a part could not be read, by part."};

}  // namespace picket::collectors::host
