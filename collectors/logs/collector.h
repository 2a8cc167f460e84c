// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "collectors/logs/tailer.h"

namespace picket::collectors::logs {

/// Follows log files on a thread of its own: reading a file may block on a disk or a network mount,
/// which must not hold up sockets, and one reader fills a destination faster than it compresses.
/// Threads: any.
class LogCollector {
 public:
  /// Errors: kIo when the checkpoint cannot be opened; kOverloaded when another process holds it.
  static Result<std::unique_ptr<LogCollector>> Make(Environment environment);
  /// Stops at once if Stop was not called.
  ~LogCollector();

  /// First settings and every reload; see Tailer::Apply. Files that stay lose nothing.
  Status ApplyConfig(std::vector<LogsConfig> config, std::vector<Destination> destinations,
                     std::vector<std::shared_ptr<LogSink>> observers = {});
  /// Stops reading, waits until the destinations have acknowledged what they hold or the deadline
  /// has passed, and writes the checkpoint. Call before the destinations are stopped.
  void Stop(Duration deadline);
  /// For the page.
  std::vector<FileStatus> Files() const;

 private:
  explicit LogCollector(std::unique_ptr<Tailer> tailer);
  void Run();

  mutable std::mutex mutex_;  // guards tailer_ and stopping_
  std::condition_variable turned_;
  std::unique_ptr<Tailer> tailer_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace picket::collectors::logs
