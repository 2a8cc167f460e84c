// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "collectors/discovery/remote.h"
#include "core/net/http_client.h"

namespace picket::collectors::discovery {

/// The targets in what the engine says under /containers/json and /networks: one for each TCP port
/// of a container in each network, or one with the configured port. Errors: kCorrupt. Source:
/// Docker Engine API, ContainerList and NetworkList; Prometheus documentation, <docker_sd_config>.
Result<std::vector<TargetGroup>> DockerTargets(std::string_view containers,
                                               std::string_view networks,
                                               const DockerSdConfig& config);

/// Asks a Docker engine, by its socket or over the network.
class DockerDiscoverer final : public PeriodicDiscoverer {
 public:
  DockerDiscoverer(DockerSdConfig config, const Environment& environment);

 private:
  asio::awaitable<void> Refresh() override;
  asio::awaitable<Answer> Ask();
  asio::awaitable<Result<std::string>> Get(std::string path);

  const DockerSdConfig config_;
  net::HttpClient client_;
};

}  // namespace picket::collectors::discovery
