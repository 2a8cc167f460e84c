// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/base/telemetry.h"
#include "core/model/delivery.h"
#include "core/model/traces.h"
#include "core/net/runtime.h"
#include "core/spool/sender.h"
#include "exporters/otlp/config.h"

namespace picket::exporters::otlp {

/// What the exporter is given. Ownership: all outlive it.
struct OtlpExporterDeps {
  net::Runtime& runtime;
  Telemetry& telemetry;
  BalanceBook& balances;
  spool::SpoolOptions spool;  ///< an empty directory: memory only
  const Clock& clock = SystemClock::Get();
};

/// Every OTLP backend, behind one spool: their wire bytes are the same.
/// OnSpans has written the request to the spool when it says kAccepted; from there a sender for
/// each backend empties it. Balance: "exporters.otlp" in spans, one for each backend, named by it.
/// Threads: OnSpans and Read from any; Start and Stop once, Stop not from a Runtime thread.
class OtlpExporter final : public SpanSink {
 public:
  /// Errors: kInvalidArgument (endpoint), kIo (TLS files), kOverloaded (the spool is another
  /// process's).
  static Result<std::shared_ptr<OtlpExporter>> Open(std::vector<OtlpExporterConfig> configs,
                                                    OtlpExporterDeps deps);
  ~OtlpExporter() override;

  /// kAccepted, or kRetry when the spool cannot take it.
  Admission OnSpans(const SpanSlab& slab) override;

  void Start();
  /// Sends on until the queue is empty or the time is over. What is left stays in a durable spool,
  /// which another exporter may open from then on; OnSpans says kRetry.
  void Stop(Duration within);

  struct State {
    std::string name;
    spool::Sender::Stats sender;
  };
  std::vector<State> Read() const;
  spool::Spool::Stats ReadSpool() const;
  /// Backends that are no longer configured, with what still waits for them in the queue.
  std::vector<spool::Spool::Unread> Removed() const;

 private:
  struct Impl;
  explicit OtlpExporter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace picket::exporters::otlp
