// SPDX-License-Identifier: Apache-2.0
#include "collectors/discovery/config.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/strings.h"

namespace picket::collectors::discovery {
namespace {

/// One * at most, in the last part of the path, and an ending that says how to read it.
bool IsFilePattern(std::string_view path) {
  const auto ends = [&](std::string_view e) { return path.ends_with(e); };
  if (!ends(".json") && !ends(".yml") && !ends(".yaml") && !ends(".JSON") && !ends(".YML") &&
      !ends(".YAML")) {
    return false;
  }
  if (std::ranges::count(path, '*') > 1) return false;
  const size_t star = path.find('*');
  return star == std::string_view::npos || path.find('/', star) == std::string_view::npos;
}

void CheckFiles(const FileSdConfig& c, config::Reporter& r) {
  for (size_t i = 0; i < c.files.size(); ++i) {
    if (IsFilePattern(c.files[i])) continue;
    r.Error(fmt::format("files[{}]", i),
            fmt::format("{} is not a path of a .json, .yml or .yaml file", JsonQuote(c.files[i])),
            "One * may stand in the last part of the path.");
  }
}

/// Prometheus' other kinds, so that a configuration that uses one is told by name.
constexpr std::string_view kOther[] = {
    "aws",         "azure",    "consul",   "digitalocean", "dockerswarm", "ec2",        "ecs",
    "elasticache", "eureka",   "gce",      "hetzner",      "ionos",       "kubernetes", "kuma",
    "lightsail",   "linode",   "marathon", "msk",          "nerve",       "nomad",      "oci",
    "openstack",   "outscale", "ovhcloud", "puppetdb",     "rds",         "scaleway",   "serverset",
    "stackit",     "triton",   "uyuni",    "vultr"};

}  // namespace

void Declare(config::Object<StaticConfig>& o) {
  o.Doc("Targets with labels they share.");
  o.Field("targets", &StaticConfig::targets, "Where the targets are: host:port.")
      .Example("[localhost:9100]");
  o.Field("labels", &StaticConfig::labels, "Labels that all of these targets get.");
}

void Declare(config::Object<FileSdConfig>& o) {
  o.Doc("Targets from files that are read again when they change.");
  o.Field("files", &FileSdConfig::files, "Files in JSON or YAML, each a list of {targets, labels}.")
      .Required()
      .NonEmpty()
      .Path()
      .Example("[targets/*.yml]");
  o.Field("refresh_interval", &FileSdConfig::refresh_interval,
          "How often the files are read even if nothing seems to have changed.")
      .Min(Milliseconds(1));
  o.Check(CheckFiles);
}

void Declare(config::Object<DiscoveryConfig>& o) {
  o.Field("static_configs", &DiscoveryConfig::static_configs, "Targets written down here.");
  o.Field("file_sd_configs", &DiscoveryConfig::file_sd_configs, "Targets from files.");
  o.Field("http_sd_configs", &DiscoveryConfig::http_sd_configs, "Targets from an HTTP server.");
  o.Field("docker_sd_configs", &DiscoveryConfig::docker_sd_configs, "Containers as targets.");
  o.Field("dns_sd_configs", &DiscoveryConfig::dns_sd_configs, "Targets from DNS records.");
  for (const std::string_view kind : kOther) {
    o.Unsupported(std::string(kind) + "_sd_configs", fmt::format("discovery by {}", kind));
  }
}

}  // namespace picket::collectors::discovery
