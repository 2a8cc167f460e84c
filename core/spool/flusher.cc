// SPDX-License-Identifier: Apache-2.0
#include "core/spool/flusher.h"

#include <algorithm>

#include "core/base/log.h"

namespace picket::spool {

std::shared_ptr<Flusher> Flusher::Shared() {
  static std::mutex mutex;
  static std::weak_ptr<Flusher> shared;
  std::lock_guard lock(mutex);
  auto flusher = shared.lock();
  if (!flusher) shared = flusher = std::make_shared<Flusher>();
  return flusher;
}

Flusher::Flusher() : thread_([this] { Run(); }) {}

Flusher::~Flusher() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Flusher::Remove(const Flushable* flushable) {
  std::unique_lock lock(mutex_);
  std::erase_if(items_, [&](const Item& i) { return i.key == flushable; });
  changed_.wait(lock, [&] { return busy_ != flushable; });
}

void Flusher::Add(std::weak_ptr<Flushable> flushable, Milliseconds interval) {
  {
    std::lock_guard lock(mutex_);
    const Flushable* key = flushable.lock().get();
    items_.push_back(
        {std::move(flushable), key, interval, std::chrono::steady_clock::now() + interval});
  }
  changed_.notify_all();
}

void Flusher::Run() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    std::erase_if(items_, [](const Item& i) { return i.flushable.expired(); });
    auto due = std::chrono::steady_clock::time_point::max();
    Item* next = nullptr;
    for (auto& item : items_)
      if (item.due < due) due = item.due, next = &item;
    if (next == nullptr) {
      changed_.wait(lock);
      continue;
    }
    if (due > std::chrono::steady_clock::now()) {
      changed_.wait_until(lock, due);
      continue;
    }
    next->due = std::chrono::steady_clock::now() + next->interval;
    auto weak = next->flushable;
    busy_ = next->key;
    lock.unlock();
    if (auto flushable = weak.lock())
      if (auto status = flushable->Sync(); !status)
        log::Warn("Spool could not be written through to the disk",
                  {{"error", status.error().ToString()}});
    lock.lock();
    busy_ = nullptr;
    changed_.notify_all();
  }
}

}  // namespace picket::spool
