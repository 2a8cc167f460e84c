// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string_view>

namespace picket::collectors::otlp {

/// Values of the labels span_kind and status_code, by number. Source: opentelemetry-proto,
/// trace/v1.
inline constexpr std::string_view kSpanKinds[] = {"SPAN_KIND_UNSPECIFIED", "SPAN_KIND_INTERNAL",
                                                  "SPAN_KIND_SERVER",      "SPAN_KIND_CLIENT",
                                                  "SPAN_KIND_PRODUCER",    "SPAN_KIND_CONSUMER"};
inline constexpr std::string_view kStatusCodes[] = {"STATUS_CODE_UNSET", "STATUS_CODE_OK",
                                                    "STATUS_CODE_ERROR"};

}  // namespace picket::collectors::otlp
