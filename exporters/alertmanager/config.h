// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <string>
#include <vector>

#include "core/base/units.h"
#include "core/config/object.h"
#include "core/net/http_config.h"
#include "core/relabel/relabel.h"

namespace picket::exporters::alertmanager {

/// A fixed list of Alertmanagers.
struct StaticConfig {
  std::vector<std::string> targets;  ///< host:port
  std::map<std::string, std::string> labels;
};

/// Prometheus' own block. Source: Prometheus documentation, <alertmanager_config>.
struct AlertmanagerConfig {
  std::string scheme = "http";
  std::string path_prefix = "/";
  Milliseconds timeout{10'000};
  std::string api_version = "v2";
  std::vector<StaticConfig> static_configs;
  std::vector<relabel::Config> relabel_configs;
  std::vector<relabel::Config> alert_relabel_configs;
  net::HttpClientConfig http;
};

void Declare(config::Object<StaticConfig>& o);
void Declare(config::Object<AlertmanagerConfig>& o);

/// The addresses to post to, after relabelling: "http://host:9093/api/v2/alerts".
std::vector<std::string> Endpoints(const AlertmanagerConfig& config);

}  // namespace picket::exporters::alertmanager
