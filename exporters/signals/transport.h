// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <boost/asio/awaitable.hpp>
#include <memory>
#include <string>

#include "core/model/signals.h"
#include "core/net/runtime.h"
#include "exporters/signals/config.h"

namespace picket::exporters::signals {

/// What one attempt came to.
struct Attempt {
  enum class Outcome : uint8_t {
    kDelivered,
    kRetry,     ///< for now: unreachable, 5xx, 429, a failing command
    kRejected,  ///< for good: another 4xx, a redirect
    kStopped,   ///< we are going down; the signal stays pending
  } outcome = Outcome::kRetry;
  std::string detail;
  Milliseconds retry_after{-1};  ///< what the receiver asked for; negative: nothing
};

/// A way out. Threads: one attempt at a time for each rollout; Stop from any.
class Transport {
 public:
  virtual ~Transport() = default;
  virtual net::asio::awaitable<Attempt> Try(RolloutSignal signal) = 0;
  /// Ends attempts that cancellation does not reach.
  virtual void Stop() {}
};

std::unique_ptr<Transport> MakeWebhook(const SignalConfig& config, net::Runtime& runtime,
                                       const Clock& clock);
std::unique_ptr<Transport> MakeExec(const std::string& name, const SignalConfig& config,
                                    net::Runtime& runtime);

}  // namespace picket::exporters::signals
