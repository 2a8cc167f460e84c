// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "core/base/units.h"

namespace picket::exporters::signals {

/// Says "stop" to commands that run on other threads. Once raised it stays raised. Threads: any.
class StopFlag {
 public:
  StopFlag();
  ~StopFlag();
  StopFlag(const StopFlag&) = delete;
  StopFlag& operator=(const StopFlag&) = delete;
  void Raise();
  int fd() const { return fd_; }

 private:
  int fd_;
};

struct Command {
  std::vector<std::string> argv;                         ///< argv[0] is looked up in PATH
  std::vector<std::pair<std::string, std::string>> env;  ///< beside our own environment
  std::string input;                                     ///< on its standard input
  Milliseconds timeout{10'000};
};

struct CommandResult {
  enum class End : uint8_t { kExited, kSignalled, kTimedOut, kStopped } end = End::kExited;
  int code = 0;        ///< exit code or signal number
  std::string output;  ///< the last 4 KiB of standard output and error together
  bool ok() const { return end == End::kExited && code == 0; }
  /// "exit code 3: ...last line..."
  std::string ToString() const;
};

/// Runs a program in a process group of its own and waits. At the timeout, or when `stop` is
/// raised, the whole group gets SIGTERM and a second later SIGKILL. Errors: kNotFound, kIo (it
/// could not be started). Threads: blocks the caller.
Result<CommandResult> RunCommand(const Command& command, const StopFlag& stop);

}  // namespace picket::exporters::signals
