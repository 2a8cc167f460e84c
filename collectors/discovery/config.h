// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <chrono>
#include <string>
#include <vector>

#include "collectors/discovery/dns/config.h"
#include "collectors/discovery/docker/config.h"
#include "collectors/discovery/http/config.h"
#include "core/base/clock.h"
#include "core/config/object.h"
#include "core/model/labels.h"

namespace picket::collectors::discovery {

/// Targets written down, with labels they share. Also the form of an entry in a file that is
/// watched.
struct StaticConfig {
  std::vector<std::string> targets;  ///< host:port
  Labels labels;
};

struct FileSdConfig {
  std::vector<std::string> files;  ///< the last part of the path may hold a *
  Milliseconds refresh_interval{std::chrono::minutes(5)};
};

/// Every way to find targets that a job may name. Stands among the job's own keys.
struct DiscoveryConfig {
  std::vector<StaticConfig> static_configs;
  std::vector<FileSdConfig> file_sd_configs;
  std::vector<HttpSdConfig> http_sd_configs;
  std::vector<DockerSdConfig> docker_sd_configs;
  std::vector<DnsSdConfig> dns_sd_configs;
};

void Declare(config::Object<StaticConfig>& o);
void Declare(config::Object<FileSdConfig>& o);
void Declare(config::Object<DiscoveryConfig>& o);

}  // namespace picket::collectors::discovery
