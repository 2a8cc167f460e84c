// SPDX-License-Identifier: Apache-2.0
// What a file's path says about its lines.
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "collectors/logs/config.h"
#include "core/base/result.h"
#include "core/model/labels.h"

namespace picket::collectors::logs {

/// namespace, pod, container and (where the path has it) uid of a path in the layouts of
/// Kubernetes:
/// .../<namespace>_<pod>_<uid>/<container>/<N>.log (the kubelet's /var/log/pods) and
/// .../<pod>_<namespace>_<container>-<64 hex digits>.log (/var/log/containers).
struct KubernetesPath {
  std::string_view namespace_name, pod, container, uid;
};
std::optional<KubernetesPath> ParseKubernetesPath(std::string_view path);

/// The labels of a file: from its path, then the named groups, then the static ones. A file outside
/// Kubernetes' layouts also has `filename`. Values are repaired to valid UTF-8.
class PathLabels {
 public:
  static Result<PathLabels> Make(const LogsConfig& config);
  Labels For(const std::string& path) const;

 private:
  struct Regex;
  std::map<std::string, std::string> static_;
  std::shared_ptr<const Regex> regex_;
};

/// Invalid bytes become U+FFFD.
std::string RepairUtf8(std::string_view text);
/// `{a="b", c="d"}`, as Loki reads a stream's labels.
std::string StreamText(const Labels& labels);

}  // namespace picket::collectors::logs
