// SPDX-License-Identifier: Apache-2.0
#include "exporters/alertmanager/config.h"

#include <fmt/format.h>

#include <optional>

namespace picket::exporters::alertmanager {
namespace {

/// The labels of one Alertmanager after relabelling; nothing when it is dropped.
std::optional<LabelsBuilder> Target(const AlertmanagerConfig& config, const StaticConfig& group,
                                    const std::string& address) {
  LabelsBuilder b;
  for (const auto& [n, v] : group.labels) b.Set(n, v);
  b.Set("__address__", address);
  b.Set("__scheme__", config.scheme);
  std::string prefix = config.path_prefix;
  while (prefix.ends_with('/')) prefix.pop_back();
  if (!prefix.empty() && !prefix.starts_with('/')) prefix.insert(0, "/");
  b.Set("__alerts_path__", prefix + "/api/v2/alerts");
  if (!relabel::Process(config.relabel_configs, b)) return std::nullopt;
  return b;
}

}  // namespace

void Declare(config::Object<StaticConfig>& o) {
  o.Doc("A fixed list of Alertmanagers.");
  o.Field("targets", &StaticConfig::targets, "Addresses, host:port.");
  o.Field("labels", &StaticConfig::labels, "Labels that relabel_configs see.");
}

void Declare(config::Object<AlertmanagerConfig>& o) {
  using C = AlertmanagerConfig;
  o.Doc("Sends alerts to Alertmanagers; each of them gets every alert.");
  o.Field("scheme", &C::scheme, "How they are spoken to.").OneOf({"http", "https"});
  o.Field("path_prefix", &C::path_prefix, "Put before /api/v2/alerts.");
  o.Field("timeout", &C::timeout, "Of one request.").Min(Milliseconds(1));
  o.Field("api_version", &C::api_version, "Of the Alertmanager API; v1 is gone from Alertmanager.")
      .OneOf({"v2"});
  o.Field("static_configs", &C::static_configs, "Alertmanagers by address.");
  o.Field("relabel_configs", &C::relabel_configs, "Changes or drops Alertmanagers.");
  o.Field("alert_relabel_configs", &C::alert_relabel_configs,
          "Changes or drops alerts on their way to these.");
  o.Inline(&C::http);
  o.Check([](const C& c, config::Reporter& r) {
    // A relabel rule may make an address of what is none.
    for (size_t i = 0; i < c.static_configs.size(); ++i)
      for (size_t j = 0; j < c.static_configs[i].targets.size(); ++j) {
        const auto l = Target(c, c.static_configs[i], c.static_configs[i].targets[j]);
        if (l && l->Get("__address__").find('/') != std::string_view::npos)
          r.Error(fmt::format("static_configs[{}].targets[{}]", i, j),
                  fmt::format("\"{}\" is not a valid hostname", l->Get("__address__")),
                  "Write host:port; the scheme and the path have keys of their own.");
      }
  });
  for (const char* kind :
       {"file",     "azure",      "consul",    "digitalocean", "docker",   "dockerswarm",
        "dns",      "ec2",        "eureka",    "gce",          "hetzner",  "http",
        "ionos",    "kubernetes", "kuma",      "lightsail",    "linode",   "marathon",
        "nerve",    "nomad",      "openstack", "outscale",     "ovhcloud", "puppetdb",
        "scaleway", "serverset",  "stackit",   "triton",       "uyuni",    "vultr"})
    o.Unsupported(std::string(kind) + "_sd_configs",
                  std::string("discovery of Alertmanagers by ") + kind);
  o.Unsupported("sigv4", "SigV4 authentication");
}

std::vector<std::string> Endpoints(const AlertmanagerConfig& config) {
  std::vector<std::string> out;
  for (const StaticConfig& s : config.static_configs)
    for (const std::string& target : s.targets)
      if (const auto l = Target(config, s, target))
        out.push_back(fmt::format("{}://{}{}", l->Get("__scheme__"), l->Get("__address__"),
                                  l->Get("__alerts_path__")));
  return out;
}

}  // namespace picket::exporters::alertmanager
