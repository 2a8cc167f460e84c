// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "core/base/telemetry.h"

namespace picket::exporters::loki {

using Kind = MetricRow::Kind;
inline constexpr MetricRow kRequests{Kind::kCounter, "picket_loki_requests_total",
                                     "Push requests that were answered, by status."};
inline constexpr MetricRow kFailures{Kind::kCounter, "picket_loki_failed_requests_total",
                                     "Push requests without an answer: no connection, timeout."};
inline constexpr MetricRow kRetries{Kind::kCounter, "picket_loki_retries_total",
                                    "Push requests sent again."};
inline constexpr MetricRow kSentBytes{Kind::kCounter, "picket_loki_sent_bytes_total",
                                      "Compressed bytes of delivered requests."};
inline constexpr MetricRow kHeldBytes{Kind::kGauge, "picket_loki_held_bytes",
                                      "Bytes of lines and requests that wait or are under way."};

}  // namespace picket::exporters::loki
