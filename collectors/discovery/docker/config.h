// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/config/object.h"
#include "core/net/http_config.h"

namespace picket::collectors::discovery {

/// What the engine is to list; its own names and values.
struct DockerFilter {
  std::string name;
  std::vector<std::string> values;
};

/// Source: Prometheus documentation, <docker_sd_config>.
struct DockerSdConfig {
  std::string host;
  uint16_t port = 80;
  std::vector<DockerFilter> filters;
  std::string host_networking_host = "localhost";
  Milliseconds refresh_interval{std::chrono::minutes(1)};
  bool match_first_network = true;
  bool include_no_network_targets = false;
  net::HttpClientConfig http;  ///< for http and https

  /// The engine's address as a URL for requests: tcp is http, a socket ends in ':'.
  std::string Url() const;
};

void Declare(config::Object<DockerFilter>& o);
void Declare(config::Object<DockerSdConfig>& o);

}  // namespace picket::collectors::discovery
