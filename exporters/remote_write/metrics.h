// SPDX-License-Identifier: Apache-2.0
// Balance, queue and request counts come with core/model and core/spool; these are the exporter's
// own.
#pragma once
#include "core/base/telemetry.h"

namespace picket::exporters::remote_write {

inline constexpr MetricRow kRequestsBuilt{
    MetricRow::Kind::kCounter, "picket_remote_write_requests_built_total",
    "Requests encoded and handed to the queue, by cause: row, full, deadline."};
inline constexpr MetricRow kRequestBytes{MetricRow::Kind::kCounter,
                                         "picket_remote_write_request_bytes_total",
                                         "Bytes of requests before and after compression."};
inline constexpr MetricRow kPlansBuilt{
    MetricRow::Kind::kCounter, "picket_remote_write_plans_built_total",
    "Row templates of protocol v2 made because the series of a source changed."};

}  // namespace picket::exporters::remote_write
