// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "core/base/telemetry.h"

namespace picket::exporters::signals::metrics {

inline constexpr MetricRow kAttempts{MetricRow::Kind::kCounter, "picket_signal_attempts_total",
                                     "Attempts to deliver a rollout signal, by outcome."};
inline constexpr MetricRow kRepeated{
    MetricRow::Kind::kCounter, "picket_signal_repeated_total",
    "Signals not acted on because an action was already taken for their rollout."};
inline constexpr MetricRow kPending{MetricRow::Kind::kGauge, "picket_signal_pending",
                                    "Rollout signals that are neither delivered nor given up."};
inline constexpr MetricRow kDeliveredAt{MetricRow::Kind::kGauge,
                                        "picket_signal_last_delivery_timestamp_seconds",
                                        "When a rollout signal was last delivered."};

}  // namespace picket::exporters::signals::metrics
