// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "agent/config/config.h"
#include "agent/wiring/leftovers.h"
#include "agent/wiring/metric_hub.h"
#include "collectors/logs/tailer.h"
#include "core/budget/budget.h"
#include "core/config/digest.h"
#include "core/net/runtime.h"
#include "exporters/alertmanager/alertmanager.h"
#include "exporters/loki/loki.h"
#include "exporters/otlp/exporter.h"
#include "exporters/remote_write/remote_write.h"
#include "exporters/signals/signals.h"

namespace picket::wiring {

/// What every exporter stands on. Ownership: borrowed, longer-lived.
struct DestinationNeeds {
  net::Runtime& runtime;
  MetricHub& hub;
  Budget& budget;
  BalanceBook& balances;
  Telemetry& telemetry;
  const Clock& clock;
  std::string data_dir;  ///< empty: nothing survives a restart
  Bytes disk;            ///< for all queues together
};

/// One destination as the page shows it.
struct DestinationStatus {
  std::string kind;
  std::string name;
  std::string url;
  uint64_t backlog_bytes = 0;
  double oldest_seconds = 0;
  uint64_t retries = 0;
  std::string last_error;
  std::string queue_error;  ///< why its queue cannot be written to disk now
};

/// Every way out. A reload keeps what did not change, with its queue, connections and place; a
/// destination whose settings changed continues its queue under the same name. Threads: Apply and
/// Stop from one thread, not a Runtime's; the rest from any.
class Destinations {
 public:
  explicit Destinations(DestinationNeeds needs) : needs_(std::move(needs)) {}
  ~Destinations();

  /// Errors: what cannot work of a destination; those before it in the list run, the old ones of
  /// that kind are gone.
  Status Apply(const agent::ExportersConfig& config, const Labels& external_labels);
  /// Sends what waits until the deadline. Producers must have stopped.
  void Stop(Duration within);

  std::vector<collectors::logs::Destination> LogDestinations() const;
  std::vector<std::shared_ptr<SpanSink>> SpanSinks() const;
  void Alert(std::span<const AlertNotification> alerts);
  std::map<std::string, std::shared_ptr<SignalSink>> Signals() const;

  std::vector<DestinationStatus> Read() const;
  /// Queues on disk that no destination reads, as of the last Apply.
  std::vector<Leftover> Leftovers() const;
  std::vector<exporters::alertmanager::AlertmanagerState> Alertmanagers() const;

 private:
  struct RemoteWriteEntry {
    config::Digest settings;
    std::unique_ptr<exporters::remote_write::RemoteWrite> destination;
  };
  struct LokiEntry {
    config::Digest settings;
    std::string url;
    std::shared_ptr<exporters::loki::LokiExporter> destination;
  };
  Status ApplyRemoteWrite(const agent::ExportersConfig& config, const Labels& external_labels);
  void ApplyLoki(const agent::ExportersConfig& config);
  Status ApplyOtlp(const agent::ExportersConfig& config);
  void ApplyAlertmanager(const agent::ExportersConfig& config, const Labels& external_labels);
  Status ApplySignals(const agent::ExportersConfig& config);
  void StopRemoteWrite(RemoteWriteEntry& entry, Duration within);
  spool::SpoolOptions SpoolFor(const std::string& kind, const agent::ExportersConfig& config) const;
  void NoteLeftovers();

  DestinationNeeds needs_;
  mutable std::mutex mutex_;  // guards the lists below against Read, Alert and the getters
  std::vector<RemoteWriteEntry> remote_write_;
  std::vector<LokiEntry> loki_;
  config::Digest otlp_settings_;
  std::shared_ptr<exporters::otlp::OtlpExporter> otlp_;
  config::Digest alertmanager_settings_;
  std::shared_ptr<exporters::alertmanager::AlertmanagerExporter> alertmanager_;
  config::Digest signals_settings_;
  std::map<std::string, std::shared_ptr<SignalSink>> signals_;
  std::vector<Leftover> leftovers_;
  std::vector<std::shared_ptr<void>> leftover_metrics_;
};

}  // namespace picket::wiring
