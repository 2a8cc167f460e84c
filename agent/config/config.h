// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/config/prometheus.h"
#include "collectors/host/config.h"
#include "collectors/logs/config.h"
#include "collectors/otlp/config.h"
#include "collectors/scrape/config.h"
#include "core/base/log.h"
#include "core/base/units.h"
#include "core/config/object.h"
#include "core/model/labels.h"
#include "core/net/http_config.h"
#include "core/relabel/relabel.h"
#include "exporters/alertmanager/config.h"
#include "exporters/loki/config.h"
#include "exporters/otlp/config.h"
#include "exporters/remote_write/config.h"
#include "exporters/signals/config.h"
#include "rules/alerting/config.h"
#include "rules/canary/config.h"

/// The root of the configuration: what a file may say, put together from the components' own
/// settings.
namespace picket::agent {

struct LogConfig {
  log::Level level = log::Level::kInfo;
  log::Format format = log::Format::kLogfmt;
};

/// Who this agent is and where it may be reached.
struct NodeConfig {
  std::string name;      ///< empty: the host's name
  Labels labels;         ///< on everything that leaves; external_labels win
  std::string data_dir;  ///< empty: see DataDir()
  std::string listen = "127.0.0.1:9510";
  net::WebConfig web;
  LogConfig log;
  Milliseconds shutdown_timeout{30'000};
};

/// The numbers an operator sets. Everything else follows from them.
struct LimitsConfig {
  Bytes memory = 128_MiB;
  Bytes disk = 2_GiB;
  Milliseconds retention{2 * 3'600'000};
  Bytes store{0};  ///< 0: a share of `disk`
  uint64_t series = 1'000'000;
  uint32_t concurrency = 0;  ///< 0: min(2, cores)
};

struct CollectorsConfig {
  collectors::scrape::Config scrape;
  collectors::host::HostConfig host;  ///< on, except beside a prometheus.yml that does not name it
  std::vector<collectors::logs::LogsConfig> logs;
  std::optional<collectors::otlp::OtlpConfig> otlp;
};

struct RulesConfig {
  std::vector<std::string> files;
  std::vector<std::string> slos;
  std::vector<rules::canary::CanaryConfig> canaries;
  rules::alerting::AlertingConfig alerting;
  rules::alerting::RuleFileOptions reading;  ///< from other sections; not a setting
};

struct ExportersConfig {
  std::vector<exporters::remote_write::RemoteWriteConfig> remote_write;
  std::vector<exporters::loki::LokiConfig> loki;
  std::vector<exporters::otlp::OtlpExporterConfig> otlp;
  std::vector<exporters::alertmanager::AlertmanagerConfig> alertmanager;
  std::vector<relabel::Config> alert_relabel_configs;
  std::map<std::string, exporters::signals::SignalConfig> signals;
};

struct RootConfig {
  NodeConfig node;
  LimitsConfig limits;
  CollectorsConfig collectors;
  RulesConfig rules;
  ExportersConfig exporters;
  PrometheusKeys prometheus;  ///< what a prometheus.yml says beyond the components; empty of what
                              ///< they took over

  /// external_labels, and the node's labels that they do not name.
  Labels ExternalLabels() const;
  /// The configured or the host's name.
  std::string NodeName() const;
};

void Declare(config::Object<LogConfig>& o);
void Declare(config::Object<NodeConfig>& o);
void Declare(config::Object<LimitsConfig>& o);
void Declare(config::Object<CollectorsConfig>& o);
void Declare(config::Object<RulesConfig>& o);
void Declare(config::Object<ExportersConfig>& o);
void Declare(config::Object<RootConfig>& o);

}  // namespace picket::agent
