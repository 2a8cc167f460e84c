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
inline constexpr MetricRow kSpoolBytes{
    MetricRow::Kind::kGauge, "picket_spool_bytes",
    "Bytes a queue holds on disk or in memory, used or reserved."};
inline constexpr MetricRow kSpoolMemoryBytes{
    MetricRow::Kind::kGauge, "picket_spool_memory_bytes",
    "The part of a queue that a crash would lose: it has no disk, or the disk is full."};
inline constexpr MetricRow kSpoolTruncatedTails{
    MetricRow::Kind::kCounter, "picket_spool_truncated_tails_total",
    "Torn ends that were cut back to the last good record at a start."};
inline constexpr MetricRow kSpoolDamagedRecords{
    MetricRow::Kind::kCounter, "picket_spool_damaged_records_total",
    "Records that could not be read, found at a start or later."};
inline constexpr MetricRow kSpoolWriteErrors{MetricRow::Kind::kCounter,
                                             "picket_spool_write_errors_total",
                                             "Failed writes to a queue, recovered from or not."};

}  // namespace picket::spool
