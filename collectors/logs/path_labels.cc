// SPDX-License-Identifier: Apache-2.0
#include "collectors/logs/path_labels.h"

#include <re2/re2.h>

#include <algorithm>
#include <cctype>
#include <vector>

#include "core/base/strings.h"

namespace picket::collectors::logs {
namespace {

std::string_view PopLast(std::string_view& path) {
  const size_t slash = path.rfind('/');
  std::string_view last = path.substr(slash == std::string_view::npos ? 0 : slash + 1);
  path = slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash);
  return last;
}

bool IsNumber(std::string_view s) {
  return !s.empty() &&
         std::all_of(s.begin(), s.end(), [](unsigned char c) { return std::isdigit(c); });
}

std::optional<KubernetesPath> FromPodsFolder(std::string_view path) {
  const std::string_view file = PopLast(path);
  const std::string_view container = PopLast(path);
  const std::vector<std::string_view> pod = Split(PopLast(path), '_');
  if (container.empty() || pod.size() != 3 || pod[0].empty() || pod[1].empty() || pod[2].empty())
    return std::nullopt;
  // "0.log", and "0.log.20260301-120000" once it was rotated.
  if (!IsNumber(file.substr(0, file.find('.'))) || file.find(".log") == std::string_view::npos)
    return std::nullopt;
  return KubernetesPath{pod[0], pod[1], container, pod[2]};
}

std::optional<KubernetesPath> FromContainersFolder(std::string_view path) {
  const std::string_view file = PopLast(path);
  if (!file.ends_with(".log")) return std::nullopt;
  const std::vector<std::string_view> parts = Split(file.substr(0, file.size() - 4), '_');
  if (parts.size() != 3 || parts[2].size() < 66) return std::nullopt;
  const std::string_view id = parts[2].substr(parts[2].size() - 64);
  const std::string_view container = parts[2].substr(0, parts[2].size() - 65);
  const bool hex =
      std::all_of(id.begin(), id.end(), [](unsigned char c) { return std::isxdigit(c); });
  if (!hex || parts[2][container.size()] != '-' || parts[0].empty() || parts[1].empty())
    return std::nullopt;
  return KubernetesPath{parts[1], parts[0], container, {}};
}

}  // namespace

std::optional<KubernetesPath> ParseKubernetesPath(std::string_view path) {
  if (auto pods = FromPodsFolder(path)) return pods;
  return FromContainersFolder(path);
}

struct PathLabels::Regex {
  explicit Regex(const std::string& pattern) : re(pattern, RE2::Quiet) {}
  RE2 re;
};

Result<PathLabels> PathLabels::Make(const LogsConfig& config) {
  PathLabels out;
  out.static_ = config.labels;
  if (!config.path_labels.empty()) {
    auto regex = std::make_shared<Regex>(config.path_labels);
    if (!regex->re.ok())
      return Fail(ErrorKind::kInvalidArgument, "path_labels: " + regex->re.error());
    out.regex_ = std::move(regex);
  }
  return out;
}

Labels PathLabels::For(const std::string& path) const {
  LabelsBuilder labels;
  if (const auto kubernetes = ParseKubernetesPath(path)) {
    labels.Set("namespace", RepairUtf8(kubernetes->namespace_name));
    labels.Set("pod", RepairUtf8(kubernetes->pod));
    labels.Set("container", RepairUtf8(kubernetes->container));
    labels.Set("uid", RepairUtf8(kubernetes->uid));
  } else {
    labels.Set("filename", RepairUtf8(path));
  }
  if (regex_) {
    const int groups = regex_->re.NumberOfCapturingGroups();
    std::vector<re2::StringPiece> found(static_cast<size_t>(groups) + 1);
    if (regex_->re.Match(path, 0, path.size(), RE2::UNANCHORED, found.data(), groups + 1))
      for (const auto& [name, group] : regex_->re.NamedCapturingGroups()) {
        const re2::StringPiece& value = found[static_cast<size_t>(group)];
        labels.Set(name, RepairUtf8({value.data(), value.size()}));
      }
  }
  for (const auto& [name, value] : static_) labels.Set(name, RepairUtf8(value));
  return labels.Build();
}

std::string RepairUtf8(std::string_view text) {
  if (IsValidUtf8(text)) return std::string(text);
  std::string out;
  for (size_t i = 0; i < text.size();) {
    size_t length = 1;
    while (length <= 4 && i + length <= text.size() && !IsValidUtf8(text.substr(i, length)))
      ++length;
    if (length <= 4 && i + length <= text.size()) {
      out.append(text.substr(i, length));
      i += length;
    } else {
      out += "\xEF\xBF\xBD";
      ++i;
    }
  }
  return out;
}

std::string StreamText(const Labels& labels) {
  std::string out = "{";
  for (const auto& [name, value] : labels) {
    if (out.size() > 1) out += ", ";
    out += name;
    out += "=\"";
    for (const char c : value) {
      if (c == '"' || c == '\\') {
        out += '\\';
        out += c;
      } else if (c == '\n') {
        out += "\\n";
      } else {
        out += c;
      }
    }
    out += '"';
  }
  out += '}';
  return out;
}

}  // namespace picket::collectors::logs
