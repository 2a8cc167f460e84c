// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "core/base/telemetry.h"

namespace picket::collectors::scrape {

inline constexpr MetricRow kScrapesRow{MetricRow::Kind::kCounter, "picket_scrape_scrapes_total",
                                       "Scrapes done, by job and outcome."};
inline constexpr MetricRow kSkippedRow{
    MetricRow::Kind::kCounter, "picket_scrape_skipped_total",
    "Scrapes left out because the one before took too long, by job."};
inline constexpr MetricRow kTargetsRow{MetricRow::Kind::kGauge, "picket_scrape_targets",
                                       "Targets that are scraped, by job."};
inline constexpr MetricRow kCacheBytesRow{MetricRow::Kind::kGauge, "picket_scrape_cache_bytes",
                                          "Memory that predicts the next bodies, of all jobs."};
inline constexpr MetricRow kSeriesRow{MetricRow::Kind::kGauge, "picket_scrape_series",
                                      "Series held for targets, of all jobs."};
inline constexpr MetricRow kBodyBytesRow{MetricRow::Kind::kCounter,
                                         "picket_scrape_body_bytes_total",
                                         "Bytes of bodies read, inflated, by job."};

}  // namespace picket::collectors::scrape
