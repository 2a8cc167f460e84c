// SPDX-License-Identifier: Apache-2.0
#include "collectors/discovery/docker/docker.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <map>
#include <optional>

#include "core/base/strings.h"
#include "core/net/url.h"

namespace picket::collectors::discovery {
namespace {

using simdjson::dom::element;
using simdjson::dom::object;

std::string Text(const object& o, std::string_view key) {
  std::string_view text;
  return o[key].get(text) == simdjson::SUCCESS ? std::string(text) : std::string();
}

bool Flag(const object& o, std::string_view key) {
  bool flag = false;
  return o[key].get(flag) == simdjson::SUCCESS && flag;
}

uint64_t Number(const object& o, std::string_view key) {
  uint64_t number = 0;
  return o[key].get(number) == simdjson::SUCCESS ? number : 0;
}

/// The engine's labels under a prefix.
void AddLabels(const object& o, std::string_view prefix, LabelsBuilder& out) {
  object labels;
  if (o["Labels"].get(labels) != simdjson::SUCCESS) return;
  for (const auto& [name, value] : labels) {
    std::string_view text;
    if (value.get(text) == simdjson::SUCCESS)
      out.Set(fmt::format("{}label_{}", prefix, SanitizeLabelName(name)), text);
  }
}

struct Attached {
  std::string network_id, address;
};
struct Container {
  std::string id, mode;
  bool named = false;
  LabelsBuilder labels;
  std::map<std::string, Attached> networks;  // by name
  std::vector<object> tcp_ports;
};

std::map<std::string, Attached> ReadAttached(const object& o) {
  std::map<std::string, Attached> out;
  object networks;
  if (o["NetworkSettings"]["Networks"].get(networks) != simdjson::SUCCESS) return out;
  for (const auto& [name, value] : networks) {
    object n;
    if (value.get(n) != simdjson::SUCCESS) continue;  // null
    Attached a{Text(n, "NetworkID"), Text(n, "IPAddress")};
    if (a.address.empty()) a.address = Text(n, "GlobalIPv6Address");
    out[std::string(name)] = std::move(a);
  }
  return out;
}

Container ReadContainer(const object& o) {
  Container c;
  c.id = Text(o, "Id");
  std::string_view mode;
  if (o["HostConfig"]["NetworkMode"].get(mode) == simdjson::SUCCESS) c.mode = mode;
  std::string_view name;
  c.named = o["Names"].at(0).get(name) == simdjson::SUCCESS;
  AddLabels(o, "__meta_docker_container_", c.labels);
  c.labels.Set("__meta_docker_container_id", c.id);
  c.labels.Set("__meta_docker_container_name", name);
  c.labels.Set("__meta_docker_container_network_mode", c.mode);
  c.labels.Set("__meta_docker_container_image", Text(o, "Image"));
  c.labels.Set("__meta_docker_container_image_id", Text(o, "ImageID"));
  c.networks = ReadAttached(o);
  simdjson::dom::array ports;
  if (o["Ports"].get(ports) == simdjson::SUCCESS) {
    for (const element item : ports) {
      object port;
      if (item.get(port) == simdjson::SUCCESS && Text(port, "Type") == "tcp")
        c.tcp_ports.push_back(port);
    }
  }
  return c;
}

/// By id, the labels that containers in it get.
using NetworkLabels = std::map<std::string, LabelsBuilder>;

NetworkLabels ReadNetworks(const simdjson::dom::array& list) {
  NetworkLabels out;
  for (const element item : list) {
    object o;
    if (item.get(o) != simdjson::SUCCESS) continue;
    LabelsBuilder labels;
    AddLabels(o, "__meta_docker_network_", labels);
    labels.Set("__meta_docker_network_id", Text(o, "Id"));
    labels.Set("__meta_docker_network_name", Text(o, "Name"));
    labels.Set("__meta_docker_network_scope", Text(o, "Scope"));
    labels.Set("__meta_docker_network_internal", Flag(o, "Internal") ? "true" : "false");
    labels.Set("__meta_docker_network_ingress", Flag(o, "Ingress") ? "true" : "false");
    out[Text(o, "Id")] = std::move(labels);
  }
  return out;
}

/// A container without networks may live in another's, and that one in a third's.
std::map<std::string, Attached> NetworksOf(const Container& c,
                                           const std::map<std::string, const Container*>& all) {
  constexpr std::string_view kShared = "container:";
  const Container* at = &c;
  for (size_t hops = 0; at->networks.empty() && hops <= all.size(); ++hops) {
    if (!at->mode.starts_with(kShared)) break;
    const auto it = all.find(at->mode.substr(kShared.size()));
    if (it == all.end()) break;
    at = it->second;
  }
  return at->networks;
}

void AddTargets(const Container& c, const Attached& network, const NetworkLabels& known,
                const DockerSdConfig& config, std::vector<Labels>& out) {
  LabelsBuilder base = c.labels;
  base.Set("__meta_docker_network_ip", network.address);
  if (const auto it = known.find(network.network_id); it != known.end()) {
    for (const auto& [name, value] : it->second.pairs()) base.Set(name, value);
  }
  for (const object& port : c.tcp_ports) {
    LabelsBuilder labels = base;
    const std::string inside = std::to_string(Number(port, "PrivatePort"));
    labels.Set("__meta_docker_port_private", inside);
    if (const uint64_t outside = Number(port, "PublicPort"); outside > 0) {
      labels.Set("__meta_docker_port_public", std::to_string(outside));
      labels.Set("__meta_docker_port_public_ip", Text(port, "IP"));
    }
    labels.Set("__address__", JoinHostPort(network.address, inside));
    out.push_back(labels.Build());
  }
  if (!c.tcp_ports.empty()) return;
  base.Set("__address__", c.mode == "host"
                              ? config.host_networking_host
                              : JoinHostPort(network.address, std::to_string(config.port)));
  out.push_back(base.Build());
}

std::unexpected<Error> Bad(std::string why) { return Fail(ErrorKind::kCorrupt, std::move(why)); }

}  // namespace

Result<std::vector<TargetGroup>> DockerTargets(std::string_view containers,
                                               std::string_view networks,
                                               const DockerSdConfig& config) {
  simdjson::dom::parser first, second;
  simdjson::dom::array list, network_list;
  if (const auto e = first.parse(containers.data(), containers.size()).get(list);
      e != simdjson::SUCCESS)
    return Bad(fmt::format("listing containers: {}", simdjson::error_message(e)));
  if (const auto e = second.parse(networks.data(), networks.size()).get(network_list);
      e != simdjson::SUCCESS)
    return Bad(fmt::format("listing networks: {}", simdjson::error_message(e)));
  const NetworkLabels known = ReadNetworks(network_list);
  std::vector<Container> read;
  for (const element item : list) {
    object o;
    if (item.get(o) == simdjson::SUCCESS) read.push_back(ReadContainer(o));
  }
  std::map<std::string, const Container*> by_id;
  for (const Container& c : read) by_id[c.id] = &c;
  TargetGroup group{"Docker", {}, {}};
  for (const Container& c : read) {
    if (!c.named) continue;
    const auto networks_of = NetworksOf(c, by_id);
    if (networks_of.empty() && config.include_no_network_targets)
      group.targets.push_back(c.labels.Build());
    for (const auto& [name, network] : networks_of) {
      AddTargets(c, network, known, config, group.targets);
      if (config.match_first_network) break;
    }
  }
  std::vector<TargetGroup> groups;
  groups.push_back(std::move(group));
  return groups;
}

namespace {

/// As the engine wants them: {"label":["a=b"]}.
std::string Filters(const DockerSdConfig& config) {
  std::map<std::string, std::string> by_name;
  for (const DockerFilter& filter : config.filters) {
    for (const std::string& value : filter.values) {
      std::string& list = by_name[filter.name];
      list += (list.empty() ? "" : ",") + JsonQuote(value);
    }
  }
  if (by_name.empty()) return {};
  std::string out;
  for (const auto& [name, list] : by_name)
    out += fmt::format("{}{}:[{}]", out.empty() ? "{" : ",", JsonQuote(name), list);
  return "?filters=" + net::PercentEncode(out + "}");
}

net::HttpClientConfig ClientConfig(const DockerSdConfig& config) {
  return config.host.starts_with("http") ? config.http : net::HttpClientConfig();
}

std::string Shown(const DockerSdConfig& config) {
  const auto url = net::Url::Parse(config.Url());
  return "docker_sd " + (!url                    ? std::string("host")
                         : url->scheme == "unix" ? url->host
                                                 : url->Origin());
}

}  // namespace

DockerDiscoverer::DockerDiscoverer(DockerSdConfig config, const Environment& environment)
    : PeriodicDiscoverer(environment, "docker", Shown(config), config.refresh_interval),
      config_(std::move(config)),
      client_(env_.runtime, ClientConfig(config_), {.user_agent = env_.user_agent}) {}

asio::awaitable<void> DockerDiscoverer::Refresh() {
  Answer answer = co_await Ask();
  Settle({}, std::move(answer));
}

asio::awaitable<RemoteDiscoverer::Answer> DockerDiscoverer::Ask() {
  const Result<std::string> containers = co_await Get("/containers/json" + Filters(config_));
  if (!containers) co_return Fail(Error(containers.error()).Context("listing containers"));
  const Result<std::string> networks = co_await Get("/networks");
  if (!networks) co_return Fail(Error(networks.error()).Context("listing networks"));
  co_return DockerTargets(*containers, *networks, config_);
}

asio::awaitable<Result<std::string>> DockerDiscoverer::Get(std::string path) {
  net::HttpRequest request;
  request.url = config_.Url() + path;
  request.timeout = interval();
  auto response = co_await client_.Fetch(std::move(request));
  if (!response) co_return Fail(std::move(response).error());
  if (response->status != 200)
    co_return Fail(ErrorKind::kIo, fmt::format("the engine says {} {}: {}", response->status,
                                               net::StatusText(response->status),
                                               Trim(response->body.substr(0, 200))));
  co_return std::string(response->body);
}

}  // namespace picket::collectors::discovery
