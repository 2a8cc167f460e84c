// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <vector>

#include "collectors/otlp/config.h"
#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/base/telemetry.h"
#include "core/model/delivery.h"
#include "core/model/metrics.h"
#include "core/model/traces.h"

namespace picket {
class Budget;
}
namespace picket::net {
class Runtime;
}

namespace picket::collectors::otlp {

/// What the collector is given. Ownership: all outlive it.
struct OtlpDeps {
  net::Runtime& runtime;
  MetricIntake& intake;
  Telemetry& telemetry;
  BalanceBook& balances;
  Budget* budget = nullptr;
  const Clock& clock = SystemClock::Get();
};

/// Receives traces over gRPC and HTTP, hands them to the sinks and counts them.
/// Balance: "collectors.otlp" in spans; in = read from valid requests, out = accepted by every
/// sink. Threads: methods from one thread; Stop not from a Runtime thread.
class OtlpCollector {
 public:
  OtlpCollector(OtlpConfig config, OtlpDeps deps);
  ~OtlpCollector();  ///< Stop(0)

  /// Who takes the spans: every one of them must accept before the pusher is answered OK. Any time,
  /// also while running.
  void SetSinks(std::vector<std::shared_ptr<SpanSink>> sinks);
  Status Start();
  /// Refuses new requests retryably, lets those in flight finish, sends the last span metrics.
  void Stop(Duration drain);

  uint16_t grpc_port() const;  ///< 0 when turned off
  uint16_t http_port() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace picket::collectors::otlp
