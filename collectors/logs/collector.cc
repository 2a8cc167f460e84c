// SPDX-License-Identifier: Apache-2.0
#include "collectors/logs/collector.h"

#include <poll.h>

#include <algorithm>

namespace picket::collectors::logs {

Result<std::unique_ptr<LogCollector>> LogCollector::Make(Environment environment) {
  PICKET_ASSIGN(auto tailer, Tailer::Make(std::move(environment)));
  return std::unique_ptr<LogCollector>(new LogCollector(std::move(tailer)));
}

LogCollector::LogCollector(std::unique_ptr<Tailer> tailer) : tailer_(std::move(tailer)) {
  thread_ = std::thread([this] { Run(); });
}

LogCollector::~LogCollector() { Stop(Duration::zero()); }

void LogCollector::Run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const Duration wait = tailer_->Step();
    turned_.notify_all();
    pollfd fds[2] = {{tailer_->ack_fd(), POLLIN, 0}, {tailer_->watch_fd(), POLLIN, 0}};
    lock.unlock();
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(wait).count();
    ::poll(fds, tailer_->watch_fd() < 0 ? 1 : 2, static_cast<int>(std::min<int64_t>(ms, 1000)));
    lock.lock();
  }
}

Status LogCollector::ApplyConfig(std::vector<LogsConfig> config,
                                 std::vector<Destination> destinations,
                                 std::vector<std::shared_ptr<LogSink>> observers) {
  std::lock_guard lock(mutex_);
  return tailer_->Apply(std::move(config), std::move(destinations), std::move(observers));
}

void LogCollector::Stop(Duration deadline) {
  {
    std::unique_lock lock(mutex_);
    tailer_->StopReading();
    if (thread_.joinable() && deadline > Duration::zero()) {
      tailer_->Wake();
      turned_.wait_for(lock, deadline, [this] { return tailer_->Settled(); });
    }
    stopping_ = true;
    tailer_->Wake();
  }
  if (!thread_.joinable()) return;
  thread_.join();
  tailer_->Close();
}

std::vector<FileStatus> LogCollector::Files() const {
  std::lock_guard lock(mutex_);
  return tailer_->Files();
}

}  // namespace picket::collectors::logs
