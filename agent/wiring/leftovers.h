// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace picket::wiring {

/// A queue on disk that no configured destination reads: its destination was renamed or removed.
struct Leftover {
  std::string path;     ///< its folder, or the cursor's file in a shared queue
  uint64_t items = 0;   ///< what waits in it, as balances count; 0: unknown
  uint64_t bytes = 0;   ///< of bodies that wait
  std::string problem;  ///< why it could not be read, or empty
};

/// Looks at every queue under `root` (data_dir/spool) that is not in `used` (folders). One in which
/// nothing waits is removed; the others are returned and left as they are. They are never sent
/// under another name: that a new destination is the old one's place cannot be known from here, as
/// tenant and credentials are part of it. Threads: not while a destination is being opened. Cost:
/// reads the headers of their records.
std::vector<Leftover> FindLeftovers(const std::string& root, const std::set<std::string>& used);

}  // namespace picket::wiring
