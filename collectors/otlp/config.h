// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/units.h"
#include "core/net/http_config.h"

namespace picket::config {
template <class T>
class Object;
}

namespace picket::collectors::otlp {

/// What is counted from spans. Names and buckets are Tempo's, because Grafana asks for those.
struct SpanMetricsConfig {
  bool enabled = true;
  Milliseconds interval{15'000};
  std::vector<std::string> dimensions;  ///< attribute names, of the span or its resource
  std::vector<double> buckets = {0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128,
                                 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384};  ///< seconds
  uint64_t max_active_series = 20'000;
  Milliseconds stale_after{15 * 60'000};
};

/// The way in for OTLP traces.
struct OtlpConfig {
  std::string grpc = "127.0.0.1:4317";  ///< "" turns it off
  std::string http = "127.0.0.1:4318";  ///< "" turns it off
  Bytes max_request_size = 64_MiB;      ///< after decompression
  Milliseconds retry_after{1'000};      ///< what a refused pusher is told
  uint32_t grpc_threads = 1;
  Milliseconds max_connection_age{10 * 60'000};  ///< of a gRPC connection; 0: for ever
  net::WebConfig web;                            ///< TLS and credentials of both servers
  SpanMetricsConfig span_metrics;
};

void Declare(config::Object<SpanMetricsConfig>& o);
void Declare(config::Object<OtlpConfig>& o);

}  // namespace picket::collectors::otlp
