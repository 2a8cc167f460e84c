// SPDX-License-Identifier: Apache-2.0
#include "collectors/otlp/config.h"

#include "core/config/object.h"

namespace picket::collectors::otlp {

void Declare(config::Object<SpanMetricsConfig>& o) {
  using C = SpanMetricsConfig;
  o.Doc("Counts calls, errors and durations of spans under Tempo's names.");
  o.Field("enabled", &C::enabled, "Whether spans are counted.");
  o.Field("interval", &C::interval, "How often the counts become samples.").Min(Milliseconds(100));
  o.Field("dimensions", &C::dimensions,
          "Attributes of the span or its resource that become labels beside service, span_name, "
          "span_kind and status_code.")
      .NonEmpty()
      .Example("[http.method, deployment.environment]");
  o.Field("buckets", &C::buckets, "Upper bounds of the duration histogram, in seconds, ascending.")
      .NonEmpty();
  o.Field("max_active_series", &C::max_active_series,
          "Most series at a time; spans beyond it are counted under metric_overflow=\"true\".")
      .Min(100);
  o.Field("stale_after", &C::stale_after, "How long a series without spans is kept.")
      .Min(Milliseconds(1'000));
  o.Check([](const C& c, config::Reporter& r) {
    for (size_t i = 1; i < c.buckets.size(); ++i) {
      if (c.buckets[i] > c.buckets[i - 1]) continue;
      r.Error("buckets", "is not in ascending order", "Sort the bounds and remove doubles.");
      return;
    }
  });
}

void Declare(config::Object<OtlpConfig>& o) {
  using C = OtlpConfig;
  o.Doc("Receives traces over OTLP.");
  o.Field("grpc", &C::grpc, "Address of the gRPC server; empty turns it off.");
  o.Field("http", &C::http, "Address of the HTTP server; empty turns it off.");
  o.Field("max_request_size", &C::max_request_size,
          "Largest request, after decompression; a larger one is answered 413 or "
          "RESOURCE_EXHAUSTED.")
      .Min(64_KiB)
      .Max(1_GiB);
  o.Field("retry_after", &C::retry_after,
          "How long a pusher is asked to wait when memory is short.")
      .Min(Milliseconds(100));
  o.Field("grpc_threads", &C::grpc_threads, "Threads that serve gRPC.").Min(1).Max(64);
  o.Field("max_connection_age", &C::max_connection_age,
          "Age at which a gRPC connection is asked to reconnect, so that load spreads; 0 never.");
  o.Inline(&C::web);
  o.Field("span_metrics", &C::span_metrics, "What is counted from spans.");
  o.Check([](const C& c, config::Reporter& r) {
    const bool users = !c.web.basic_auth_users.empty() || !c.web.basic_auth_user_files.empty();
    if (!c.grpc.empty() && users)
      r.Error("basic_auth_users", "is known to the HTTP server only",
              "Use bearer_token, or turn gRPC off with grpc: \"\".");
  });
}

}  // namespace picket::collectors::otlp
