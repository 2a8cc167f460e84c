// SPDX-License-Identifier: Apache-2.0
// What a rollout signal looks like outside.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/model/signals.h"

namespace picket::exporters::signals {

/// One JSON object: canary, rollout_id, action, verdict, reason, decided_at (RFC 3339), evidence.
std::string MessageJson(const RolloutSignal& signal);

/// The same for the same action on the same rollout, however often it is sent and after a restart.
std::string IdempotencyKey(const RolloutSignal& signal);

/// "t=<unix seconds>,v1=<hex HMAC-SHA256(secret, t + "." + body)>": the time is signed with the
/// body, so that a receiver can refuse old ones.
std::string Signature(const std::string& secret, int64_t unix_seconds, const std::string& body);

/// PICKET_* variables.
std::vector<std::pair<std::string, std::string>> MessageEnv(const RolloutSignal& signal);

std::string Rfc3339(UnixMs ms);

}  // namespace picket::exporters::signals
