// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "core/base/telemetry.h"

namespace picket::collectors::logs {

using Kind = MetricRow::Kind;
inline constexpr MetricRow kReadBytes{Kind::kCounter, "picket_logs_read_bytes_total",
                                      "Bytes read from log files."};
inline constexpr MetricRow kReadLines{
    Kind::kCounter, "picket_logs_read_lines_total",
    "Lines read from log files, once a destination that reads alone."};
inline constexpr MetricRow kUnparsedLines{
    Kind::kCounter, "picket_logs_unparsed_lines_total",
    "Lines of CRI files that are not CRI lines; they are passed on whole."};
inline constexpr MetricRow kTruncatedLines{Kind::kCounter, "picket_logs_truncated_lines_total",
                                           "Lines cut at max_line_bytes."};
inline constexpr MetricRow kSkippedNulBytes{Kind::kCounter, "picket_logs_skipped_nul_bytes_total",
                                            "Zero bytes at the beginning of lines, left by a "
                                            "truncation under a writer that kept its offset."};
inline constexpr MetricRow kLabelOverflow{
    Kind::kCounter, "picket_logs_label_overflow_lines_total",
    "Lines whose JSON labels were left off because their file has too many combinations."};
inline constexpr MetricRow kFiles{Kind::kGauge, "picket_logs_files",
                                  "Log files that are followed."};
inline constexpr MetricRow kLagBytes{Kind::kGauge, "picket_logs_lag_bytes",
                                     "Bytes in log files that are not acknowledged yet."};
inline constexpr MetricRow kHeldBytes{Kind::kGauge, "picket_logs_held_bytes",
                                      "Memory of lines read and not yet released."};
inline constexpr MetricRow kCheckpointErrors{Kind::kCounter, "picket_logs_checkpoint_errors_total",
                                             "Checkpoints that could not be written."};

}  // namespace picket::collectors::logs
