// SPDX-License-Identifier: Apache-2.0
// Rollout verdicts on their way to what controls the rollout.
#pragma once
#include <memory>
#include <string>

#include "core/base/telemetry.h"
#include "core/model/delivery.h"
#include "core/model/signals.h"
#include "core/net/runtime.h"
#include "exporters/signals/config.h"

namespace picket::exporters::signals {

/// What a signal is given. Ownership: all outlive it.
struct SignalsDeps {
  net::Runtime& runtime;
  Telemetry& telemetry;
  BalanceBook& balances;
  std::string state_dir;  ///< holds <name>.json; "": memory only, so a restart may act again
  const Clock& clock = SystemClock::Get();
};

/// One configured signal. Takes one action a rollout, also across restarts: the first signal of a
/// rollout is written down before the first attempt, later ones are counted and ignored. Attempts
/// go on with exponential back-off and jitter until delivered, refused for good, or give_up_after
/// has passed; what was pending at a stop goes on at the next start. Delivered at least once: a
/// crash between the receiver's yes and the note of it repeats the call with the same key. Balance:
/// "exporters.signals", the name, "signals". Threads: OnSignal and StateOf from any; the destructor
/// waits for attempts to end, so not on a Runtime thread. Errors: kInvalidArgument (configuration),
/// kIo (the state folder).
Result<std::shared_ptr<SignalSink>> MakeSignal(std::string name, SignalConfig config,
                                               SignalsDeps deps);

}  // namespace picket::exporters::signals
