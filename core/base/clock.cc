// SPDX-License-Identifier: Apache-2.0
#include "core/base/clock.h"

namespace picket {

UnixNs SystemClock::NowNs() const {
  return std::chrono::duration_cast<Duration>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

Duration SystemClock::Steady() const {
  return std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch());
}

const SystemClock& SystemClock::Get() {
  static const SystemClock clock;
  return clock;
}

}  // namespace picket
