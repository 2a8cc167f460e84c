// SPDX-License-Identifier: Apache-2.0
#include "exporters/alertmanager/config.h"

#include <fmt/format.h>

namespace picket::exporters::alertmanager {

void Declare(config::Object<StaticConfig>& o) {
  o.Doc("A fixed list of Alertmanagers.");
  o.Field("targets", &StaticConfig::targets, "Addresses, host:port.");
  o.Field("labels", &StaticConfig::labels, "Labels that relabel_configs see.");
  o.Check([](const StaticConfig& c, config::Reporter& r) {
    for (size_t i = 0; i < c.targets.size(); ++i)
      if (c.targets[i].find('/') != std::string::npos)
        r.Error(fmt::format("targets[{}]", i),
                fmt::format("\"{}\" is not a valid hostname", c.targets[i]),
                "Write host:port; the scheme and the path have keys of their own.");
  });
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
  for (const StaticConfig& s : config.static_configs) {
    for (const std::string& target : s.targets) {
      LabelsBuilder b;
      for (const auto& [n, v] : s.labels) b.Set(n, v);
      b.Set("__address__", target);
      b.Set("__scheme__", config.scheme);
      std::string prefix = config.path_prefix;
      while (prefix.ends_with('/')) prefix.pop_back();
      if (!prefix.empty() && !prefix.starts_with('/')) prefix.insert(0, "/");
      b.Set("__alerts_path__", prefix + "/api/v2/alerts");
      if (!relabel::Process(config.relabel_configs, b)) continue;
      out.push_back(fmt::format("{}://{}{}", b.Get("__scheme__"), b.Get("__address__"),
                                b.Get("__alerts_path__")));
    }
  }
  return out;
}

}  // namespace picket::exporters::alertmanager
