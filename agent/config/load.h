// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "agent/config/config.h"
#include "core/config/diagnostics.h"

namespace picket::agent {

struct LoadOptions {
  bool lenient = false;  ///< what Picket cannot do yet is a warning
  config::Env env;       ///< empty: the process's, with HOSTNAME always there
};

/// What a load gives. `config` holds what could be read even when there are errors; run only
/// without them.
struct Loaded {
  RootConfig config;
  config::Diagnostics diagnostics;
  uint64_t hash = 0;        ///< of all texts read: tells whether a reload changes anything
  bool prometheus = false;  ///< the file has Prometheus' top-level keys
  bool ok() const { return !diagnostics.HasErrors(); }
};

/// Reads a file, or all *.yml and *.yaml of a directory in the order of their names as if they were
/// one: mappings grow, lists append, a value set twice is an error. "" is the empty configuration,
/// "-" is standard input. Relative names are taken from the directory of the file they stand in.
/// Errors: all in `diagnostics`.
Loaded LoadConfig(const std::string& path, const LoadOptions& options = {});
/// The same from a text.
Loaded LoadConfig(const config::SourcePtr& source, const LoadOptions& options = {});

/// The environment with HOSTNAME filled in where it is not exported.
config::Env AgentEnv();

/// Where state is kept: data_dir if it is given; else $STATE_DIRECTORY (systemd), /var/lib/picket,
/// $XDG_STATE_HOME/picket,
/// ~/.local/state/picket, /tmp/picket-UID, the first that can be written. It is created. Errors:
/// kIo.
Result<std::string> DataDir(const NodeConfig& node, const config::Env& env = AgentEnv());

/// The whole of `picket check` beyond syntax: rule files parse, files that are named are there and
/// can be read. A missing file_sd file or a wildcard that names nothing is a warning.
void CheckFiles(const RootConfig& config, config::Diagnostics& diagnostics);

}  // namespace picket::agent
