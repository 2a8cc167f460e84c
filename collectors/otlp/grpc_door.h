// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "collectors/otlp/config.h"
#include "collectors/otlp/receiver.h"
#include "core/base/telemetry.h"

namespace picket::collectors::otlp {

/// OTLP over gRPC: TraceService/Export on bytes, and grpc.health.v1 Check and Watch for "" and the
/// trace service. Answers: OK with an ExportTraceServiceResponse; else the codes of the
/// specification, with a google.rpc.Status (and RetryInfo) in grpc-status-details-bin. A call that
/// cannot be taken is finished before its message is read. Services of the other signals answer
/// UNIMPLEMENTED and say so. Threads: `grpc_threads` of its own serve all calls; Stop not from one
/// of them. Source: OTLP specification, "OTLP/gRPC"; grpc health checking protocol.
class GrpcDoor {
 public:
  GrpcDoor(const OtlpConfig& config, std::shared_ptr<TraceReceiver> receiver, Telemetry& telemetry);
  ~GrpcDoor();  ///< Stop(0)

  /// Errors: kIo when the address is taken or TLS files cannot be read.
  Status Start();
  uint16_t port() const;
  /// Says NOT_SERVING to watchers, lets calls in flight finish within `drain`, then cancels them.
  void Stop(Duration drain);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace picket::collectors::otlp
