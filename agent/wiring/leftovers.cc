// SPDX-License-Identifier: Apache-2.0
#include "agent/wiring/leftovers.h"

#include <algorithm>
#include <filesystem>
#include <optional>

#include "core/spool/spool.h"

namespace picket::wiring {
namespace {

namespace fs = std::filesystem;

bool IsQueue(const fs::path& folder) {
  std::error_code ec;
  for (const auto& entry : fs::directory_iterator(folder, ec)) {
    const std::string name = entry.path().filename().string();
    if (name == "LOCK" || name.ends_with(".seg") || name.starts_with("cursor-")) return true;
  }
  return false;
}

/// Nothing when nothing waits in it.
std::optional<Leftover> Look(const fs::path& folder) {
  spool::SpoolOptions options;
  options.directory = folder.string();
  options.fsync = spool::FsyncPolicy::kNever;
  auto queue = spool::Spool::Open(std::move(options));
  if (!queue) return Leftover{folder.string(), 0, 0, queue.error().ToString()};
  Leftover left{folder.string(), 0, 0, ""};
  const auto cursors = (*queue)->Closed();
  // Of several destinations that shared it the one with most says what waits.
  for (const auto& c : cursors) {
    left.items = std::max(left.items, c.items);
    left.bytes = std::max(left.bytes, c.bytes);
  }
  if (cursors.empty() && (*queue)->Read().records > 0) {
    left.bytes = (*queue)->Read().bytes;
    left.problem = "it has no cursor, so all of it may have been sent";
  }
  if (left.bytes > 0) return left;
  return std::nullopt;
}

}  // namespace

std::vector<Leftover> FindLeftovers(const std::string& root, const std::set<std::string>& used) {
  std::vector<Leftover> out;
  std::error_code ec;
  std::vector<fs::path> queues;
  for (const auto& kind : fs::directory_iterator(root, ec)) {
    if (!kind.is_directory(ec)) continue;
    if (IsQueue(kind.path())) {
      queues.push_back(kind.path());
      continue;
    }
    for (const auto& queue : fs::directory_iterator(kind.path(), ec))
      if (queue.is_directory(ec) && IsQueue(queue.path())) queues.push_back(queue.path());
  }
  std::ranges::sort(queues);
  for (const fs::path& queue : queues) {
    if (used.contains(queue.string())) continue;
    if (auto left = Look(queue))
      out.push_back(std::move(*left));
    else
      fs::remove_all(queue, ec);
  }
  return out;
}

}  // namespace picket::wiring
