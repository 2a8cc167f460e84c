// SPDX-License-Identifier: Apache-2.0
#include "collectors/discovery/docker/config.h"

#include "core/net/url.h"

namespace picket::collectors::discovery {
namespace {

void CheckHost(const DockerSdConfig& c, config::Reporter& r) {
  if (c.host.empty()) return;
  if (const auto url = net::Url::Parse(c.Url()); !url)
    r.Error("host", url.error().message(),
            "Write unix:///var/run/docker.sock, tcp://host:2375 or https://host:2376.");
}

}  // namespace

std::string DockerSdConfig::Url() const {
  if (host.starts_with("unix://")) return host + ":";
  std::string url = host.starts_with("tcp://") ? "http://" + host.substr(6) : host;
  while (url.ends_with('/')) url.pop_back();
  return url;
}

void Declare(config::Object<DockerFilter>& o) {
  o.Doc("What the Docker engine is to list.");
  o.Field("name", &DockerFilter::name, "The engine's name of the filter.").Example("label");
  o.Field("values", &DockerFilter::values, "What it may be; one of them is enough.");
}

void Declare(config::Object<DockerSdConfig>& o) {
  o.Doc("Containers of a Docker engine.");
  o.Field("host", &DockerSdConfig::host, "The engine: unix:///path, tcp, http or https.")
      .Required()
      .NonEmpty()
      .Example("unix:///var/run/docker.sock");
  o.Field("port", &DockerSdConfig::port, "The port of containers that expose none by TCP.");
  o.Field("filters", &DockerSdConfig::filters,
          "Which containers; the engine itself lists only those that run.");
  o.Field("host_networking_host", &DockerSdConfig::host_networking_host,
          "The address of containers in the host's network.");
  o.Field("refresh_interval", &DockerSdConfig::refresh_interval,
          "How often the engine is asked; also the longest an answer may take.")
      .Min(Milliseconds(1));
  o.Field("match_first_network", &DockerSdConfig::match_first_network,
          "Of a container in several networks, takes the first by name only.");
  o.Field("include_no_network_targets", &DockerSdConfig::include_no_network_targets,
          "Makes a target of a container without a network too, whose address rules must set.");
  o.Inline(&DockerSdConfig::http);
  o.Check(CheckHost);
}

}  // namespace picket::collectors::discovery
