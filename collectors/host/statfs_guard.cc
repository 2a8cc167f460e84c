// SPDX-License-Identifier: Apache-2.0
#include "collectors/host/statfs_guard.h"

#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

namespace picket::collectors::host {

/// What the workers that hang and the guard both know.
struct StatfsGuard::Shared {
  std::mutex mutex;  // guards stuck
  std::set<std::string> stuck;
};

/// One thread that asks one mount after the other. Abandoned when it hangs, it ends itself once it
/// is answered.
struct StatfsGuard::Worker {
  struct Answer {
    struct statvfs st{};
    int code = 0;
    int error = 0;
  };

  static std::shared_ptr<Worker> Start(Call call, std::shared_ptr<Shared> shared) {
    auto worker = std::make_shared<Worker>();
    std::thread([worker, call = std::move(call), shared = std::move(shared)] {
      worker->Run(call, *shared);
    }).detach();
    return worker;
  }

  void Run(const Call& call, Shared& shared) {
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [&] { return question || ended; });
      if (ended) return;
      const std::string path = *question;
      lock.unlock();
      Answer a;
      a.code = call(path.c_str(), &a.st);
      a.error = errno;
      lock.lock();
      question.reset();
      answer = a;
      if (ended) {
        std::lock_guard stuck(shared.mutex);
        shared.stuck.erase(path);
        return;
      }
      changed.notify_all();
    }
  }

  std::mutex mutex;  // guards what follows
  std::condition_variable changed;
  std::optional<std::string> question;
  std::optional<Answer> answer;
  bool ended = false;
};

StatfsGuard::StatfsGuard(Milliseconds timeout, Call call)
    : timeout_(timeout), call_(std::move(call)), shared_(std::make_shared<Shared>()) {}

StatfsGuard::~StatfsGuard() {
  if (!worker_) return;
  std::lock_guard lock(worker_->mutex);
  worker_->ended = true;
  worker_->changed.notify_all();
}

Result<struct statvfs> StatfsGuard::Ask(const std::string& path) {
  {
    std::lock_guard lock(shared_->mutex);
    if (shared_->stuck.contains(path)) return Fail(ErrorKind::kTimeout, "mountpoint timeout");
  }
  if (!worker_) worker_ = Worker::Start(call_, shared_);
  std::unique_lock lock(worker_->mutex);
  worker_->answer.reset();
  worker_->question = path;
  worker_->changed.notify_all();
  if (!worker_->changed.wait_for(lock, timeout_, [&] { return worker_->answer.has_value(); })) {
    worker_->ended = true;
    {
      std::lock_guard stuck(shared_->mutex);
      shared_->stuck.insert(path);
    }
    lock.unlock();
    worker_.reset();
    return Fail(ErrorKind::kTimeout, "mountpoint timeout");
  }
  const Worker::Answer answer = *worker_->answer;
  if (answer.code != 0) return Fail(ErrnoError("statfs", answer.error));
  return answer.st;
}

}  // namespace picket::collectors::host
