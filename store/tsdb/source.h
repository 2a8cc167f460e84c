// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/base/flat_index.h"
#include "store/tsdb/segments.h"
#include "store/tsdb/stripe.h"

namespace picket::store::tsdb {

constexpr uint32_t SlotRef(int stripe, int slot) {
  return static_cast<uint32_t>(stripe) << 10 | static_cast<uint32_t>(slot);
}
constexpr size_t StripeOf(uint32_t ref) { return ref >> 10; }
constexpr int SlotOf(uint32_t ref) { return static_cast<int>(ref & 1023); }

/// How the values of one layout reach one stripe's slots.
struct StripePlan {
  static constexpr uint32_t kAbsent = UINT32_MAX;
  Stripe* stripe = nullptr;
  uint32_t base = 0;             ///< slot i takes value base + i, when `gather` is empty
  int slots = 0;                 ///< slots that the plan knows; later ones are absent
  int count = 0;                 ///< slots that have a value
  std::vector<uint32_t> gather;  ///< slot i takes value gather[i]
  SlotSet present{};
};

/// All of a row's values: into stripes, and those of series that another source owns.
struct RowPlan {
  uint64_t layout = 0;
  UnixMs last_used = 0;
  std::vector<StripePlan> stripes;
  std::vector<uint32_t> foreign;  ///< places in the row
};

/// Series that get their samples together: their open stripes and where their sealed blocks are.
struct Source {
  SourceId id = 0;
  std::string name;
  std::atomic<bool> open{false};
  NumberSet holds;  ///< series; guarded by the table's lock
  FlatMap again;    ///< how often more than once, for those held more than once; likewise

  std::mutex mutex;                              // guards all below
  std::vector<std::unique_ptr<Stripe>> stripes;  ///< of rows; null where one went away
  std::vector<std::unique_ptr<Stripe>> timed;
  FlatMap timed_slots;  ///< series to SlotRef in `timed`
  std::vector<RowPlan> plans;
  UnixMs cycle_ms = INT64_MIN;           ///< time of the newest row
  UnixMs previous_cycle_ms = INT64_MIN;  ///< the newest before that
  std::vector<BlockRef> blocks;          ///< in order of sealing

  bool Empty() const {
    const auto none = [](const auto& v) {
      return std::all_of(v.begin(), v.end(), [](auto& s) { return s == nullptr; });
    };
    return blocks.empty() && none(stripes) && none(timed);
  }
};

}  // namespace picket::store::tsdb
