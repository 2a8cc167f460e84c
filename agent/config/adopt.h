// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/config/diagnostics.h"
#include "core/config/node.h"

/// Trees before they are read: several files become one, Prometheus' keys become the components'.
namespace picket::agent::internal {

/// Adds `from` to `into`: mappings grow, lists append, a value that both have is an error at the
/// later one.
void Merge(config::Node& into, config::Node from, config::Diagnostics& diagnostics);

/// Moves Prometheus' top-level keys to where Picket has them: global to collectors.scrape.global,
/// rule_files to rules.files and so on.
struct Adopted {
  bool any = false;  ///< the file has keys of Prometheus
  std::vector<std::pair<std::string_view, std::string_view>>
      moved;  ///< from, to, where nothing was before
};
Adopted AdoptPrometheus(config::Node& root, config::Diagnostics& diagnostics);

/// Findings about what was moved are told by the names the file has.
void RestorePaths(const Adopted& adopted, config::Diagnostics& diagnostics);

}  // namespace picket::agent::internal
