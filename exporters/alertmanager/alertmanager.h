// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "core/base/telemetry.h"
#include "core/model/delivery.h"
#include "core/model/signals.h"
#include "core/net/runtime.h"
#include "exporters/alertmanager/config.h"

namespace picket::exporters::alertmanager {

/// What the exporter is given. Ownership: all outlive it.
struct AlertmanagerDeps {
  net::Runtime& runtime;
  BalanceBook& balances;
  const Clock& clock = SystemClock::Get();
};

/// One Alertmanager, for the page and /api/v1/alertmanagers.
struct AlertmanagerState {
  std::string url;
  size_t queued = 0;
  uint64_t sent = 0;
  uint64_t retries = 0;
  std::string last_error;
  UnixMs last_ok_ms = 0;
};

/// Posts alerts to every Alertmanager over API v2. Each has a queue of its own that keeps the
/// newest state of each alert, so a retry after an outage never tells old news; a failed request is
/// tried again with back-off until it is taken or refused. Balance: "exporters.alertmanager" in
/// alerts, one for each; a newer state of a waiting alert replaces it (kDuplicate is not counted:
/// the replaced one never entered the queue twice). Threads: OnAlerts and Read from any. Source:
/// Alertmanager API v2; Prometheus documentation, alerting.
class AlertmanagerExporter final : public AlertSink {
 public:
  AlertmanagerExporter(std::vector<AlertmanagerConfig> configs,
                       std::vector<relabel::Config> alert_relabel, Labels external_labels,
                       AlertmanagerDeps deps);
  ~AlertmanagerExporter() override;  ///< Stop(0)

  void OnAlerts(std::span<const AlertNotification> alerts) override;
  /// Sends what waits, for at most `within`; the rest is dropped and counted. Not from a Runtime
  /// thread.
  void Stop(Duration within);
  std::vector<AlertmanagerState> Read() const;

 private:
  struct Endpoint;
  std::vector<std::shared_ptr<Endpoint>> endpoints_;
  std::vector<relabel::Config> alert_relabel_;
  Labels external_labels_;
  std::unique_ptr<net::Tasks> tasks_;
  bool stopped_ = false;
};

/// The body of POST /api/v2/alerts.
std::string AlertsJson(std::span<const AlertNotification> alerts);

}  // namespace picket::exporters::alertmanager
