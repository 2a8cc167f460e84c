// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "agent/api/prometheus_api.h"
#include "agent/config/load.h"
#include "agent/wiring/destinations.h"
#include "agent/wiring/metric_hub.h"
#include "agent/wiring/rule_runner.h"
#include "agent/wiring/ways_in/way_in.h"
#include "core/net/http_server.h"

namespace picket::wiring {

/// How a reload went, for /-/reload, the log and the page.
struct ReloadState {
  bool ok = true;
  std::string error;  ///< every finding, rendered
  UnixMs at_ms = 0;
  UnixMs last_ok_ms = 0;
};

/// The whole program: every room connected by the interfaces of core/model.
/// Threads: Make, Reload and Stop from threads that are not the Runtime's, one at a time; the rest
/// from any.
class Agent {
 public:
  struct Options {
    std::string config_path;  ///< "" is the empty configuration
    bool lenient = false;
  };
  /// Starts everything that `loaded` asks for. Errors: what cannot work at all (the port is taken,
  /// the data directory is another process's); nothing is left running.
  static Result<std::unique_ptr<Agent>> Make(agent::Loaded loaded, Options options);
  ~Agent();

  /// Reads the configuration again. A bad one changes nothing and is told.
  ReloadState Reload();
  /// Ends inputs first, then lets every queue drain until the deadline; what is durable stays for
  /// the next start.
  void Stop(Duration within);

  std::string address() const { return server_->address(); }
  /// One line each: what was found and what could not be.
  std::vector<std::string> Findings() const;
  Milliseconds shutdown_timeout() const;

  /// /api/picket/v1/status, as the page reads it.
  std::string StatusJson() const;
  Result<std::string> RulesJson(const agent::Params& params) const;
  std::string AlertsJson() const;
  std::string AlertmanagersJson() const;
  std::string ConfigYaml() const;
  ReloadState LastReload() const;
  bool Ready() const { return ready_.load(); }

 private:
  explicit Agent(Options options);
  Status Start(agent::Loaded loaded);
  Status OpenStore(const agent::RootConfig& config);
  Status ApplyRooms(const agent::RootConfig& config, RuleRunner::Plan plan);
  Status StartServer(const agent::RootConfig& config);
  void Mount();
  void ExportMetrics();
  net::asio::awaitable<void> Maintain();
  net::asio::awaitable<net::HttpReply> Metrics();
  static net::asio::awaitable<net::HttpReply> Page(net::HttpServerRequest request);
  static net::asio::awaitable<net::HttpReply> Graph(net::HttpServerRequest request);
  net::asio::awaitable<net::HttpReply> HandleReload();
  net::asio::awaitable<net::HttpReply> HandleStatus();
  std::string ExternalUrl() const;

  Options options_;
  const Clock& clock_ = SystemClock::Get();
  UnixMs started_ms_;
  std::string data_dir_;
  std::string node_name_;
  Telemetry telemetry_;
  BalanceBook balances_;
  std::unique_ptr<Budget> budget_;
  std::unique_ptr<net::Runtime> runtime_;
  std::unique_ptr<net::Tasks> tasks_;
  std::unique_ptr<store::tsdb::Tsdb> store_;
  std::unique_ptr<MetricHub> hub_;
  rules::promql::Engine engine_;
  std::unique_ptr<Destinations> destinations_;
  std::vector<std::unique_ptr<WayIn>> ways_in_;  // fixed from Start to Stop
  std::unique_ptr<RuleRunner> rules_;
  std::unique_ptr<agent::PrometheusApi> api_;
  std::unique_ptr<net::HttpServer> server_;
  std::vector<std::shared_ptr<void>> callbacks_;
  std::atomic<bool> ready_{false};
  bool stopped_ = false;

  std::mutex reload_mutex_;   // one reload at a time
  mutable std::mutex mutex_;  // guards config_ and reload_
  agent::RootConfig config_;
  ReloadState reload_;
};

}  // namespace picket::wiring
