// SPDX-License-Identifier: Apache-2.0
#include "core/model/delivery.h"

#include "core/base/log.h"

namespace picket {

std::string_view DropReasonName(DropReason reason) {
  switch (reason) {
    case DropReason::kQueueFull:
      return "queue_full";
    case DropReason::kRejected:
      return "rejected";
    case DropReason::kPartial:
      return "partial";
    case DropReason::kTooLarge:
      return "too_large";
    case DropReason::kTooOld:
      return "too_old";
    case DropReason::kInvalid:
      return "invalid";
    case DropReason::kLimit:
      return "limit";
    case DropReason::kMemory:
      return "memory";
    case DropReason::kDiskFull:
      return "disk_full";
    case DropReason::kCorrupt:
      return "corrupt";
    case DropReason::kOutOfOrder:
      return "out_of_order";
    case DropReason::kDuplicate:
      return "duplicate";
    case DropReason::kFiltered:
      return "filtered";
    case DropReason::kShutdown:
      return "shutdown";
    case DropReason::kRotated:
      return "rotated";
    case DropReason::kCount:
      break;
  }
  return "unknown";
}

Balance::Balance(std::string component, std::string instance, std::string unit)
    : component_(std::move(component)), instance_(std::move(instance)), unit_(std::move(unit)) {}

void Balance::Drop(DropReason reason, uint64_t n, std::string_view detail) {
  if (n == 0) return;
  dropped_[static_cast<size_t>(reason)].fetch_add(n, std::memory_order_relaxed);
  {
    std::lock_guard lock(mutex_);
    last_drop_ = detail;
  }
  // What a rule or a person filtered on purpose is counted, not shouted about.
  if (reason == DropReason::kFiltered) return;
  static log::RateLimit limits[static_cast<size_t>(DropReason::kCount)];
  uint64_t suppressed = 0;
  if (!limits[static_cast<size_t>(reason)].Allow(suppressed)) return;
  log::Error("Data was dropped", {{"component", component_},
                                  {"instance", instance_},
                                  {"reason", DropReasonName(reason)},
                                  {"count", n},
                                  {"unit", unit_},
                                  {"detail", detail},
                                  {"messages_held_back", suppressed}});
}

Balance::Snapshot Balance::Read() const {
  Snapshot s;
  s.component = component_;
  s.instance = instance_;
  s.unit = unit_;
  // Outgoing first, so that a concurrent item is seen as queued and never as lost.
  for (size_t i = 0; i < dropped_.size(); ++i) {
    const uint64_t n = dropped_[i].load(std::memory_order_relaxed);
    if (n == 0) continue;
    s.dropped += n;
    s.dropped_by_reason.emplace_back(DropReasonName(static_cast<DropReason>(i)), n);
  }
  s.out = out_.load(std::memory_order_relaxed);
  s.in = in_.load(std::memory_order_relaxed);
  std::lock_guard lock(mutex_);
  s.last_drop = last_drop_;
  return s;
}

std::shared_ptr<Balance> BalanceBook::Open(std::string component, std::string instance,
                                           std::string unit) {
  std::lock_guard lock(mutex_);
  auto& slot = balances_[component + "\n" + instance + "\n" + unit];
  if (!slot)
    slot = std::make_shared<Balance>(std::move(component), std::move(instance), std::move(unit));
  return slot;
}

std::vector<Balance::Snapshot> BalanceBook::Read() const {
  std::lock_guard lock(mutex_);
  std::vector<Balance::Snapshot> out;
  out.reserve(balances_.size());
  for (const auto& [key, balance] : balances_) out.push_back(balance->Read());
  return out;
}

Receipt::Hold::Hold(const Receipt& receipt) : state_(receipt.state_) {}

void Receipt::Hold::Settle() { state_.reset(); }

Receipt::Hold::~Hold() {
  if (state_) std::static_pointer_cast<State>(state_)->ok = false;
}

Receipt::Hold& Receipt::Hold::operator=(Hold&& other) noexcept {
  if (this != &other) {
    if (state_) std::static_pointer_cast<State>(state_)->ok = false;
    state_ = std::move(other.state_);
  }
  return *this;
}

}  // namespace picket
