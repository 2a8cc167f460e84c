// SPDX-License-Identifier: Apache-2.0
#include "collectors/discovery/file.h"

#include <fmt/format.h>
#include <glob.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "core/base/log.h"
#include "core/config/diagnostics.h"
#include "core/config/node.h"

namespace picket::collectors::discovery {
namespace {

constexpr Milliseconds kLookEvery{1000};

/// Target files are data: "${X}" in them is no variable.
config::LoadOptions Literally() {
  config::LoadOptions options;
  options.env = [](const std::string& name) { return std::optional("${" + name + "}"); };
  return options;
}

}  // namespace

Result<std::vector<TargetGroup>> ParseTargetFile(const std::string& path, std::string text) {
  config::Diagnostics diagnostics;
  std::vector<TargetGroup> groups;
  const auto root = config::ParseYaml(config::MakeSource(path, std::move(text)), diagnostics);
  if (root && !root->IsNull() && !root->IsList()) {
    diagnostics.Error(
        *root, "",
        fmt::format("the file is {}, not a list of {{targets, labels}}", root->KindName()),
        "Begin each group with a dash.");
  }
  for (size_t i = 0; root && root->IsList() && i < root->items.size(); ++i) {
    StaticConfig config;
    config::Load(root->items[i], config, diagnostics, Literally());
    TargetGroup group = MakeGroup(config, fmt::format("{}:{}", path, i));
    LabelsBuilder labels(group.labels);
    labels.Set("__meta_filepath", path);
    group.labels = labels.Build();
    groups.push_back(std::move(group));
  }
  if (diagnostics.HasErrors()) return Fail(diagnostics.ToError());
  return groups;
}

FileDiscoverer::FileDiscoverer(FileSdConfig config, const Clock& clock)
    : config_(std::move(config)), clock_(clock) {}

Milliseconds FileDiscoverer::poll_interval() const {
  return std::min(kLookEvery, config_.refresh_interval);
}

bool FileDiscoverer::Poll() {
  const bool again = clock_.Steady() >= next_full_;
  if (again) next_full_ = clock_.Steady() + config_.refresh_interval;
  const std::vector<std::string> paths = Paths();
  bool changed = !std::exchange(polled_, true);
  changed |= std::erase_if(files_, [&](const auto& entry) {
               return !std::ranges::binary_search(paths, entry.first);
             }) > 0;
  for (const std::string& path : paths) {
    const auto [it, fresh] = files_.try_emplace(path);
    changed |= Read(path, it->second, again || fresh);
  }
  Collect();
  return changed;
}

std::vector<std::string> FileDiscoverer::Paths() const {
  std::set<std::string> paths;
  for (const std::string& pattern : config_.files) {
    glob_t found{};
    if (glob(pattern.c_str(), 0, nullptr, &found) == 0) {
      for (size_t i = 0; i < found.gl_pathc; ++i) paths.insert(found.gl_pathv[i]);
    }
    globfree(&found);
  }
  return {paths.begin(), paths.end()};
}

// True if the file's groups changed.
bool FileDiscoverer::Read(const std::string& path, File& file, bool again) {
  struct stat st{};
  Stamp stamp;
  if (stat(path.c_str(), &st) == 0) {
    stamp = {st.st_dev, st.st_ino, st.st_size,
             st.st_ctim.tv_sec * int64_t{1'000'000'000} + st.st_ctim.tv_nsec};
  }
  if (stamp == file.stamp && !again) return false;
  file.stamp = stamp;
  auto source = config::ReadSource(path);
  auto groups = source ? ParseTargetFile(path, (*source)->text)
                       : Result<std::vector<TargetGroup>>(Fail(source.error()));
  if (!groups) {
    const std::string error = groups.error().ToString();
    if (error != file.error) {
      log::Warn("Target file cannot be used; its last good content stays in force",
                {{"file", path}, {"error", error}});
    }
    file.error = error;
    return false;
  }
  file.error.clear();
  const auto same = [](const TargetGroup& a, const TargetGroup& b) {
    return a.source == b.source && a.labels == b.labels && a.targets == b.targets;
  };
  if (std::ranges::equal(*groups, file.groups, same)) return false;
  file.groups = *std::move(groups);
  return true;
}

void FileDiscoverer::Collect() {
  groups_.clear();
  errors_.clear();
  for (const auto& [path, file] : files_) {
    groups_.insert(groups_.end(), file.groups.begin(), file.groups.end());
    if (!file.error.empty()) errors_.push_back(file.error);
  }
}

}  // namespace picket::collectors::discovery
