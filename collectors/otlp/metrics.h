// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "core/base/telemetry.h"

namespace picket::collectors::otlp {

inline constexpr MetricRow kRequests{MetricRow::Kind::kCounter, "picket_otlp_requests_total",
                                     "Trace requests received, by transport and answer."};
inline constexpr MetricRow kRequestBytes{
    MetricRow::Kind::kCounter, "picket_otlp_request_bytes_total",
    "Bytes of trace requests received, after decompression, by transport."};
inline constexpr MetricRow kSpanSeries{MetricRow::Kind::kGauge, "picket_span_metrics_series",
                                       "Series counted from spans now."};
inline constexpr MetricRow kSpanOverflow{
    MetricRow::Kind::kCounter, "picket_span_metrics_overflow_spans_total",
    "Spans counted under metric_overflow=\"true\" because max_active_series was reached."};
inline constexpr MetricRow kSpanInternRefused{
    MetricRow::Kind::kCounter, "picket_span_metrics_refused_series_total",
    "New series that the store refused for want of memory; they are offered again at the next "
    "interval."};

}  // namespace picket::collectors::otlp
