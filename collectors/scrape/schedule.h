// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

#include "core/base/clock.h"

namespace picket::collectors::scrape {

/// The instants of one target: phase + k * interval on the wall clock, so that targets are spread
/// evenly and every restart scrapes at the same moments.
class Schedule {
 public:
  Schedule(Milliseconds interval, uint64_t hash)
      : interval_(interval.count()),
        phase_(static_cast<int64_t>(hash % static_cast<uint64_t>(interval_))) {}

  /// The first instant after `now_ms`.
  UnixMs After(UnixMs now_ms) const {
    const int64_t since = now_ms - phase_;
    const int64_t turns = since >= 0 ? since / interval_ : -((-since + interval_ - 1) / interval_);
    return phase_ + (turns + 1) * interval_;
  }
  /// How many instants were missed between a scrape at `last_ms` and one at `next_ms`.
  int64_t Missed(UnixMs last_ms, UnixMs next_ms) const {
    return next_ms > last_ms ? (next_ms - last_ms) / interval_ - 1 : 0;
  }
  /// The timestamp for a scrape that starts at `now_ms` for the instant `due_ms`: the instant
  /// itself if that is less than 1 % of the interval away, so that samples stay equally spaced.
  UnixMs Timestamp(UnixMs due_ms, UnixMs now_ms) const {
    const int64_t off = now_ms > due_ms ? now_ms - due_ms : due_ms - now_ms;
    return off * 100 <= interval_ ? due_ms : now_ms;
  }
  int64_t interval_ms() const { return interval_; }

 private:
  int64_t interval_;
  int64_t phase_;
};

}  // namespace picket::collectors::scrape
