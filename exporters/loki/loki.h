// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>

#include "core/base/clock.h"
#include "core/base/telemetry.h"
#include "core/model/delivery.h"
#include "core/model/logs.h"
#include "core/net/runtime.h"
#include "exporters/loki/config.h"

namespace picket::exporters::loki {

/// What the exporter stands on. Ownership: borrowed, outlives it; may be null except `clock`.
struct Environment {
  const Clock* clock = &SystemClock::Get();
  BalanceBook* balances = nullptr;
  Telemetry* telemetry = nullptr;
};

/// One destination as the page shows it.
struct LokiStatus {
  std::string name;
  uint64_t queued_lines = 0;
  uint64_t held_bytes = 0;
  int in_flight = 0;
  int failures = 0;  ///< in a row
  double retry_in_seconds = 0;
  std::string last_error;
};

/// Sends log lines to one Loki. Lines wait in memory, by stream; the file they came from is the
/// buffer behind that, so nothing is written to disk and nothing is dropped while Loki is away: a
/// batch's receipt settles when Loki has its lines or has refused them for good. Order: per stream
/// as it came, whatever the number of requests in flight; after an outage the oldest lines go
/// first. Threads: OnLogs and HeldBytes from any.
class LokiExporter final : public LogSink {
 public:
  LokiExporter(net::Runtime& runtime, LokiConfig config, Environment environment);
  /// Stop(0)
  ~LokiExporter() override;

  void OnLogs(const LogBatch& batch) override;
  /// Once stopped, more than any read-ahead allows.
  uint64_t HeldBytes() const override;
  /// Sends what it holds without waiting for more, up to the deadline; gives the rest back.
  void Stop(Duration drain);

  LokiStatus Status() const;
  const std::string& name() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace picket::exporters::loki
