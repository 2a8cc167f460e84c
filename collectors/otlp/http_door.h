// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>

#include "collectors/otlp/config.h"
#include "collectors/otlp/receiver.h"
#include "core/base/telemetry.h"
#include "core/net/http_server.h"

namespace picket::collectors::otlp {

/// OTLP over HTTP: POST /v1/traces in protobuf and JSON, plain or compressed.
/// Answers: 200 with an ExportTraceServiceResponse in the request's encoding; else
/// google.rpc.Status in it with 400, 413, 503 + Retry-After; 404 for the signals that are not
/// taken; 405 and 415 as text. What can be refused by the head alone is refused before the body is
/// read. Source: OTLP specification, "OTLP/HTTP".
class HttpDoor {
 public:
  HttpDoor(net::Runtime& runtime, const OtlpConfig& config, std::shared_ptr<TraceReceiver> receiver,
           Telemetry& telemetry);
  Status Start();
  uint16_t port() const { return server_.port(); }
  void Stop(Duration drain) { server_.Stop(drain); }

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
  net::HttpServer server_;
};

}  // namespace picket::collectors::otlp
