// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <sys/statvfs.h>

#include <functional>
#include <memory>
#include <set>
#include <string>

#include "core/base/clock.h"
#include "core/base/result.h"

namespace picket::collectors::host {

/// statvfs that comes back. A mount that does not answer (a network file system whose server is
/// gone) is given up after a time and left alone until its answer comes; its thread waits for that,
/// ours does not. Threads: one at a time.
class StatfsGuard {
 public:
  using Call = std::function<int(const char* path, struct statvfs* out)>;
  explicit StatfsGuard(Milliseconds timeout, Call call = ::statvfs);
  ~StatfsGuard();
  /// Errors: kTimeout for a mount that does or did not answer, kIo.
  Result<struct statvfs> Ask(const std::string& path);

 private:
  struct Worker;
  const Milliseconds timeout_;
  const Call call_;
  std::shared_ptr<Worker> worker_;
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace picket::collectors::host
