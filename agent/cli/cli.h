// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace picket::agent {

/// Exit codes of the program.
enum ExitCode : int { kExitOk = 0, kExitRuntime = 1, kExitUsage = 2, kExitLint = 3 };

/// The command line: picket run | check | explain | schema | version.
int RunCli(int argc, char** argv);

/// `picket run`: until SIGTERM or SIGINT; SIGHUP reads the configuration again.
int RunAgent(const char* config_path, bool lenient);

}  // namespace picket::agent
