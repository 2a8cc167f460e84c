// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"

namespace picket::spool {

class Flushable {
 public:
  virtual ~Flushable() = default;
  virtual Status Sync() = 0;
  virtual Milliseconds FlushInterval() const = 0;
};

/// One thread for all spools of the process that waits for the disk, so that no socket or rule ever
/// does. Threads: Add from any. Ownership: lives while a spool holds it; holds spools weakly.
class Flusher {
 public:
  static std::shared_ptr<Flusher> Shared();
  Flusher();
  ~Flusher();
  void Add(std::weak_ptr<Flushable> flushable, Milliseconds interval);
  /// Returns when no flush of it runs and none will start. Never from within Sync.
  void Remove(const Flushable* flushable);

 private:
  struct Item {
    std::weak_ptr<Flushable> flushable;
    const Flushable* key;
    Milliseconds interval;
    std::chrono::steady_clock::time_point due;
  };
  void Run();
  std::mutex mutex_;  // guards items_, busy_ and stop_
  std::condition_variable changed_;
  std::vector<Item> items_;
  const Flushable* busy_ = nullptr;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace picket::spool
