// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "core/base/telemetry.h"

namespace picket::store::tsdb {

inline constexpr MetricRow kRowsTotal{MetricRow::Kind::kCounter, "picket_tsdb_rows_total",
                                      "Rows appended to the store."};
inline constexpr MetricRow kBlocksSealedTotal{MetricRow::Kind::kCounter,
                                              "picket_tsdb_blocks_sealed_total",
                                              "Open blocks turned into columns."};
inline constexpr MetricRow kSegmentsEvictedTotal{
    MetricRow::Kind::kCounter, "picket_tsdb_segments_evicted_total",
    "Segments freed because of age or the byte limit."};
inline constexpr MetricRow kDamagedPartsTotal{
    MetricRow::Kind::kCounter, "picket_tsdb_damaged_parts_total",
    "Parts of the store's files that were found damaged."};
inline constexpr MetricRow kSeriesRefusedTotal{
    MetricRow::Kind::kCounter, "picket_tsdb_series_refused_total",
    "New series refused because of the limit or memory pressure."};
inline constexpr MetricRow kSeries{
    MetricRow::Kind::kGauge, "picket_tsdb_series",
    "Series with samples in the window or a source that sends them."};
inline constexpr MetricRow kBytes{MetricRow::Kind::kGauge, "picket_tsdb_bytes",
                                  "Bytes of the store by part: segments, open, index."};
inline constexpr MetricRow kSamples{MetricRow::Kind::kGauge, "picket_tsdb_sealed_samples",
                                    "Samples in sealed blocks."};

}  // namespace picket::store::tsdb
