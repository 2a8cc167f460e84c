// SPDX-License-Identifier: Apache-2.0
#include "core/budget/budget.h"

#include "core/base/log.h"
#include "core/budget/metrics.h"

namespace picket {
namespace {

// Percent of the limit at which each level is entered; index is the level.
constexpr std::array<uint64_t, static_cast<size_t>(Pressure::kCount)> kEnter{0, 75, 82, 88, 94};
constexpr uint64_t kHysteresis = 5;

// The level from which a class is refused whatever room is left, so that the order of shedding
// holds: what sheds early must not eat the room that is kept for what sheds late.
constexpr Pressure kNever = Pressure::kCount;
constexpr Pressure RefusedFrom(BudgetClass c) {
  switch (c) {
    case BudgetClass::kSpanSlabs:
      return Pressure::kRefuseAtDoor;
    case BudgetClass::kNewSeries:
      return Pressure::kRefuseNewSeries;
    case BudgetClass::kLogArenas:
      return Pressure::kPauseReading;
    default:
      return kNever;
  }
}

uint8_t LevelFor(uint64_t used, uint64_t limit, uint8_t present) {
  if (limit == 0) return 0;
  uint8_t level = 0;
  for (uint8_t i = 1; i < kEnter.size(); ++i) {
    const uint64_t threshold = i <= present ? kEnter[i] - kHysteresis : kEnter[i];
    if (used >= limit / 100 * threshold + limit % 100 * threshold / 100) level = i;
  }
  return level;
}

}  // namespace

std::string_view BudgetClassName(BudgetClass c) {
  switch (c) {
    case BudgetClass::kSpoolMemory:
      return "spool_memory";
    case BudgetClass::kLogArenas:
      return "log_arenas";
    case BudgetClass::kSpanSlabs:
      return "span_slabs";
    case BudgetClass::kScrapeBodies:
      return "scrape_bodies";
    case BudgetClass::kStore:
      return "store";
    case BudgetClass::kNewSeries:
      return "new_series";
    case BudgetClass::kDecisions:
      return "decisions";
    case BudgetClass::kCount:
      break;
  }
  return "unknown";
}

std::string_view PressureName(Pressure p) {
  switch (p) {
    case Pressure::kNone:
      return "none";
    case Pressure::kRefuseAtDoor:
      return "refuse_at_door";
    case Pressure::kRefuseNewSeries:
      return "refuse_new_series";
    case Pressure::kSampleTraces:
      return "sample_traces";
    case Pressure::kPauseReading:
      return "pause_reading";
    case Pressure::kCount:
      break;
  }
  return "unknown";
}

BudgetLease& BudgetLease::operator=(BudgetLease&& o) noexcept {
  if (this != &o) {
    Release();
    budget_ = std::exchange(o.budget_, nullptr);
    class_ = o.class_;
    bytes_ = std::exchange(o.bytes_, 0);
  }
  return *this;
}

bool BudgetLease::Resize(uint64_t bytes) {
  if (budget_ == nullptr) return bytes == 0;
  if (bytes > bytes_) {
    if (!budget_->Take(class_, bytes - bytes_)) return false;
  } else {
    budget_->Give(class_, bytes_ - bytes);
  }
  bytes_ = bytes;
  return true;
}

void BudgetLease::Release() {
  if (budget_ != nullptr) budget_->Give(class_, bytes_);
  budget_ = nullptr;
  bytes_ = 0;
}

Budget::Budget(Bytes limit) : limit_(limit.value) {}

std::optional<BudgetLease> Budget::Reserve(BudgetClass c, uint64_t bytes) {
  if (!Take(c, bytes)) return std::nullopt;
  return BudgetLease(this, c, bytes);
}

bool Budget::Take(BudgetClass c, uint64_t bytes) {
  const uint64_t limit = limit_.load(std::memory_order_relaxed);
  const bool shed = limit != 0 && pressure() >= RefusedFrom(c);
  uint64_t before = used_.load(std::memory_order_relaxed);
  do {
    const bool full = limit != 0 && (before >= limit || bytes > limit - before);
    if (c != BudgetClass::kDecisions && bytes != 0 && (shed || full)) {
      refused_[static_cast<size_t>(c)].fetch_add(1, std::memory_order_relaxed);
      return false;
    }
  } while (!used_.compare_exchange_weak(before, before + bytes, std::memory_order_relaxed));
  by_class_[static_cast<size_t>(c)].fetch_add(bytes, std::memory_order_relaxed);
  Update(before + bytes);
  return true;
}

void Budget::Give(BudgetClass c, uint64_t bytes) {
  by_class_[static_cast<size_t>(c)].fetch_sub(bytes, std::memory_order_relaxed);
  const uint64_t before = used_.fetch_sub(bytes, std::memory_order_relaxed);
  Update(before - bytes);
}

void Budget::Update(uint64_t used) {
  const uint8_t present = level_.load(std::memory_order_relaxed);
  const uint8_t next = LevelFor(used, limit_.load(std::memory_order_relaxed), present);
  if (next == present) return;
  level_.store(next, std::memory_order_relaxed);
  static log::RateLimit limit;
  uint64_t held = 0;
  if (limit.Allow(held))
    log::Warn("Memory pressure changed", {{"from", PressureName(static_cast<Pressure>(present))},
                                          {"to", PressureName(static_cast<Pressure>(next))},
                                          {"used_bytes", used},
                                          {"limit_bytes", limit_.load(std::memory_order_relaxed)}});
}

void Budget::SetLimit(Bytes limit) {
  limit_.store(limit.value, std::memory_order_relaxed);
  Update(used());
}

std::vector<std::shared_ptr<void>> Budget::Export(Telemetry& telemetry) {
  std::vector<std::shared_ptr<void>> tokens;
  tokens.push_back(telemetry.AddCallback(budget::kLimit, {},
                                         [this] { return static_cast<double>(limit().value); }));
  tokens.push_back(telemetry.AddCallback(budget::kPressure, {},
                                         [this] { return static_cast<double>(pressure()); }));
  for (size_t i = 0; i < static_cast<size_t>(BudgetClass::kCount); ++i) {
    const auto c = static_cast<BudgetClass>(i);
    const TelemetryLabels labels{{"class", std::string(BudgetClassName(c))}};
    tokens.push_back(telemetry.AddCallback(budget::kUsed, labels,
                                           [this, c] { return static_cast<double>(used(c)); }));
    tokens.push_back(telemetry.AddCallback(budget::kRefused, labels,
                                           [this, c] { return static_cast<double>(refused(c)); }));
  }
  return tokens;
}

}  // namespace picket
