// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "core/base/telemetry.h"

namespace picket::net::metrics {

inline constexpr MetricRow kConnections{MetricRow::Kind::kGauge, "picket_http_server_connections",
                                        "Connections that are open."};
inline constexpr MetricRow kRefusedConnections{
    MetricRow::Kind::kCounter, "picket_http_server_connections_refused_total",
    "Connections closed at once because max_connections were open."};
inline constexpr MetricRow kRequests{MetricRow::Kind::kCounter, "picket_http_server_requests_total",
                                     "Requests answered, by class of status."};
inline constexpr MetricRow kReceivedBytes{MetricRow::Kind::kCounter,
                                          "picket_http_server_received_body_bytes_total",
                                          "Body bytes received, as sent."};
inline constexpr MetricRow kSentBytes{MetricRow::Kind::kCounter,
                                      "picket_http_server_sent_body_bytes_total",
                                      "Body bytes sent, after compression."};

}  // namespace picket::net::metrics
