// SPDX-License-Identifier: Apache-2.0
// The door for trace requests, whatever carried them.
#pragma once
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/base/telemetry.h"
#include "core/budget/budget.h"
#include "core/model/delivery.h"
#include "core/model/traces.h"
#include "core/proto/rpc_status.h"

namespace picket::collectors::otlp {

/// What a pusher is told, before HTTP or gRPC puts it into words.
struct PushAnswer {
  proto::RpcStatus status;        ///< kOk, or why not; UNAVAILABLE carries its delay
  proto::PartialSuccess partial;  ///< only with kOk
  bool too_large = false;         ///< RESOURCE_EXHAUSTED for its size: 413 over HTTP
  bool ok() const { return status.code == proto::RpcCode::kOk; }
};

/// Takers of spans. `durable` decide the answer (the worst verdict wins); `observers` see a request
/// only once all of them have accepted it, so that a retried request is not counted twice.
struct SpanSinks {
  std::vector<std::shared_ptr<SpanSink>> durable;
  std::vector<std::shared_ptr<SpanSink>> observers;
};

/// Checks a request, offers it to the sinks and says what to answer.
/// Invariant: an OK means that every durable sink has said kAccepted for every span not named in
/// `partial`. Threads: all methods from any thread.
class TraceReceiver {
 public:
  struct Options {
    uint64_t max_request_bytes = uint64_t{64} << 20;
    Milliseconds retry_after{1000};
    Budget* budget = nullptr;  ///< none: nothing is refused for memory
  };
  TraceReceiver(Options options, std::shared_ptr<Balance> balance);

  void SetSinks(std::shared_ptr<const SpanSinks> sinks);
  /// From now on every request is refused retryably.
  void StartDraining() { draining_ = true; }

  /// Asked before the body is read, with its announced size if there is one. Errors: the answer to
  /// give.
  std::expected<std::shared_ptr<BudgetLease>, PushAnswer> Admit(std::optional<uint64_t> bytes);
  /// Takes a whole decompressed body. `rejected` counts spans that the transport's decoder has
  /// already left out. Cost: the check, about 150 ns a span, and what the sinks need.
  PushAnswer Push(std::string body, std::shared_ptr<BudgetLease> lease,
                  const proto::PartialSuccess& rejected = {});

  const Options& options() const { return options_; }
  PushAnswer TooLarge() const;
  static PushAnswer Refuse(proto::RpcCode code, std::string message);

 private:
  PushAnswer RetryLater(std::string message, std::optional<Milliseconds> delay = {}) const;
  PushAnswer Offer(const SpanSlab& slab, proto::PartialSuccess partial);

  const Options options_;
  const std::shared_ptr<Balance> balance_;
  std::atomic<bool> draining_{false};
  std::mutex mutex_;  // guards sinks_
  std::shared_ptr<const SpanSinks> sinks_;
};

}  // namespace picket::collectors::otlp
