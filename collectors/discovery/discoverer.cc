// SPDX-License-Identifier: Apache-2.0
#include "collectors/discovery/discoverer.h"

#include "collectors/discovery/dns/dns.h"
#include "collectors/discovery/docker/docker.h"
#include "collectors/discovery/file.h"
#include "collectors/discovery/http/http.h"

namespace picket::collectors::discovery {
namespace {

class StaticDiscoverer final : public Discoverer {
 public:
  explicit StaticDiscoverer(const std::vector<StaticConfig>& configs) {
    for (size_t i = 0; i < configs.size(); ++i) {
      groups_.push_back(MakeGroup(configs[i], "static/" + std::to_string(i)));
    }
  }
  bool Poll() override { return !std::exchange(polled_, true); }
  const std::vector<TargetGroup>& groups() const override { return groups_; }
  const std::vector<std::string>& errors() const override { return errors_; }
  Milliseconds poll_interval() const override { return Milliseconds(0); }

 private:
  std::vector<TargetGroup> groups_;
  std::vector<std::string> errors_;
  bool polled_ = false;
};

}  // namespace

TargetGroup MakeGroup(const StaticConfig& config, std::string source) {
  TargetGroup group{std::move(source), {}, config.labels};
  for (const std::string& target : config.targets)
    group.targets.push_back(Labels({{"__address__", target}}));
  return group;
}

std::vector<std::shared_ptr<Discoverer>> MakeDiscoverers(const DiscoveryConfig& config,
                                                         const Environment& environment) {
  std::vector<std::shared_ptr<Discoverer>> out;
  if (!config.static_configs.empty())
    out.push_back(std::make_shared<StaticDiscoverer>(config.static_configs));
  for (const FileSdConfig& files : config.file_sd_configs)
    out.push_back(std::make_shared<FileDiscoverer>(files, environment.clock));
  for (const HttpSdConfig& http : config.http_sd_configs)
    out.push_back(std::make_shared<HttpDiscoverer>(http, environment));
  for (const DockerSdConfig& docker : config.docker_sd_configs)
    out.push_back(std::make_shared<DockerDiscoverer>(docker, environment));
  for (const DnsSdConfig& dns : config.dns_sd_configs)
    out.push_back(std::make_shared<DnsDiscoverer>(dns, environment));
  return out;
}

}  // namespace picket::collectors::discovery
