// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "core/base/telemetry.h"

namespace picket::spool {

inline constexpr MetricRow kSenderRequests{
    MetricRow::Kind::kCounter, "picket_sender_requests_total",
    "Requests of a destination by outcome: delivered, retry, drop, too_large."};
inline constexpr MetricRow kSenderInFlight{MetricRow::Kind::kGauge, "picket_sender_in_flight",
                                           "Requests a destination has not answered yet."};
inline constexpr MetricRow kQueueBytes{MetricRow::Kind::kGauge, "picket_queue_bytes",
                                       "Bytes of bodies a destination has not settled."};
inline constexpr MetricRow kQueueItems{MetricRow::Kind::kGauge, "picket_queue_items",
                                       "Items of bodies a destination has not settled."};
inline constexpr MetricRow kQueueAge{
    MetricRow::Kind::kGauge, "picket_queue_oldest_age_seconds",
    "Age of the oldest body a destination has not settled; 0 when there is none."};

}  // namespace picket::spool
