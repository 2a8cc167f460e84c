// SPDX-License-Identifier: Apache-2.0
#include "collectors/logs/glob.h"

#include <dirent.h>
#include <fnmatch.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <system_error>

#include "core/base/strings.h"

namespace picket::collectors::logs {
namespace {

constexpr int kMaxDepth = 32;  // of **; also ends cycles of links

struct Walk {
  std::vector<std::string> segments;
  std::vector<std::string>& files;
  std::set<std::string>& folders;
  std::vector<std::string>& errors;

  void Step(const std::string& folder, size_t segment, int depth);
  void Enter(const std::string& path, size_t segment, int depth);
};

bool HasWildcard(std::string_view s) { return s.find_first_of("*?[") != std::string_view::npos; }

std::string Join(const std::string& folder, std::string_view name) {
  std::string path = folder;
  if (!path.empty() && path.back() != '/') path += '/';
  path += name;
  return path;
}

std::vector<std::string> List(const std::string& folder, std::vector<std::string>& errors) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(folder.empty() ? "." : folder.c_str()),
                                                &::closedir);
  if (!dir) {
    if (errno != ENOENT && errno != ENOTDIR)
      errors.push_back(folder + ": " + std::generic_category().message(errno));
    return names;
  }
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

void Walk::Enter(const std::string& path, size_t segment, int depth) {
  struct stat st;
  if (::stat(path.c_str(), &st) != 0) return;
  if (segment == segments.size()) {
    if (S_ISREG(st.st_mode)) files.push_back(path);
  } else if (S_ISDIR(st.st_mode)) {
    Step(path, segment, depth);
  }
}

void Walk::Step(const std::string& folder, size_t segment, int depth) {
  const std::string& want = segments[segment];
  // A plain name on the way needs no watch of the folder above it, unless it is not there yet.
  const bool fixed = !HasWildcard(want) && segment + 1 < segments.size();
  if (!fixed || ::access(Join(folder, want).c_str(), F_OK) != 0)
    folders.insert(folder.empty() ? "." : folder);
  if (want == "**") {
    if (segment + 1 < segments.size()) Step(folder, segment + 1, depth);
    if (depth >= kMaxDepth) return;
    for (const std::string& name : List(folder, errors)) {
      if (name.front() == '.') continue;
      const std::string path = Join(folder, name);
      struct stat st;
      if (::stat(path.c_str(), &st) != 0) continue;
      if (S_ISDIR(st.st_mode))
        Step(path, segment, depth + 1);
      else if (S_ISREG(st.st_mode) && segment + 1 == segments.size())
        files.push_back(path);
    }
    return;
  }
  if (!HasWildcard(want)) return Enter(Join(folder, want), segment + 1, depth);
  for (const std::string& name : List(folder, errors))
    if (::fnmatch(want.c_str(), name.c_str(), FNM_PERIOD) == 0)
      Enter(Join(folder, name), segment + 1, depth);
}

bool MatchSegments(const std::vector<std::string_view>& pattern, size_t i,
                   const std::vector<std::string_view>& path, size_t j) {
  if (i == pattern.size()) return j == path.size();
  if (pattern[i] == "**") {
    if (i + 1 == pattern.size()) return j < path.size();
    for (size_t k = j; k < path.size(); ++k)
      if (MatchSegments(pattern, i + 1, path, k)) return true;
    return false;
  }
  return j < path.size() &&
         ::fnmatch(std::string(pattern[i]).c_str(), std::string(path[j]).c_str(), FNM_PERIOD) ==
             0 &&
         MatchSegments(pattern, i + 1, path, j + 1);
}

}  // namespace

void ExpandGlob(std::string_view pattern, std::vector<std::string>& files,
                std::set<std::string>& folders, std::vector<std::string>& errors) {
  Walk walk{{}, files, folders, errors};
  for (const std::string_view s : Split(pattern, '/'))
    if (!s.empty()) walk.segments.emplace_back(s);
  if (walk.segments.empty()) return;
  const size_t first = files.size();
  walk.Step(pattern.starts_with('/') ? "/" : "", 0, 0);
  // Folders of ** may be reached twice.
  std::sort(files.begin() + static_cast<ptrdiff_t>(first), files.end());
  files.erase(std::unique(files.begin() + static_cast<ptrdiff_t>(first), files.end()), files.end());
}

bool GlobMatches(std::string_view pattern, std::string_view path) {
  return MatchSegments(Split(pattern, '/'), 0, Split(path, '/'), 0);
}

bool MatchesAny(const std::string& path, const std::vector<std::string>& patterns) {
  const std::string name = path.substr(path.rfind('/') + 1);
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& p) {
    if (p.find('/') != std::string::npos) return GlobMatches(p, path);
    return ::fnmatch(p.c_str(), name.c_str(), 0) == 0;
  });
}

}  // namespace picket::collectors::logs
