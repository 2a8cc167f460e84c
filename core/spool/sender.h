// SPDX-License-Identifier: Apache-2.0
// Empties a consumer into a destination: order within a lane, several requests in flight, back-off,
// and nothing for ever.
#pragma once
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/base/telemetry.h"
#include "core/spool/spool.h"

namespace picket::spool {

/// What came of one request.
struct SendOutcome {
  enum class Kind : uint8_t {
    kDelivered,  ///< `rejected` items of it were not taken and must not be sent again
    kRetry,      ///< not now: network, timeout, 5xx, perhaps 429
    kDrop,       ///< never: `reason` says why
    kTooLarge,   ///< 413: smaller pieces may do
  } kind = Kind::kDelivered;
  DropReason reason = DropReason::kRejected;
  uint32_t rejected = 0;
  int status = 0;                       ///< HTTP status, 0 for a transport error
  std::optional<Duration> retry_after;  ///< the backend's own wish
  bool whole_destination =
      true;             ///< false: only this lane is refused (a stream's limit), others may go on
  std::string message;  ///< the head of the answer's body, or the error

  static SendOutcome Delivered(uint32_t rejected = 0, std::string message = {});
  static SendOutcome Retry(std::string message, int status = 0,
                           std::optional<Duration> after = std::nullopt);
  static SendOutcome Drop(DropReason reason, std::string message, int status = 0);
  static SendOutcome TooLarge(std::string message, int status = 413);
};

/// A body on its way. Ownership: the view lives until the transport's coroutine has returned, or as
/// long as `keep` is held where there is one.
struct Outgoing {
  RecordInfo info;
  std::string_view body;
  uint32_t attempt = 1;
  std::shared_ptr<const void> keep = nullptr;
};

/// Sends one body; must end by its own deadline and be cancellable. Runs on the sender's executor.
using Transport = std::function<boost::asio::awaitable<SendOutcome>(Outgoing)>;

/// Smaller bodies that together hold the same items, in order; empty or an error: it cannot be
/// split.
struct Piece {
  RecordInfo info;
  std::string body;
};
using Splitter =
    std::function<Result<std::vector<Piece>>(const RecordInfo&, std::string_view body)>;

/// Calls back at an instant of a clock's Steady() time; the seam that lets tests own time.
class Alarm {
 public:
  virtual ~Alarm() = default;
  /// Replaces what was set before. The call comes on the executor the alarm was made for.
  virtual void Set(Duration steady, std::function<void()> callback) = 0;
  virtual void Cancel() = 0;
};
std::unique_ptr<Alarm> MakeAlarm(boost::asio::any_io_executor executor, const Clock& clock);

struct SenderOptions {
  std::string name;  ///< for logs and metrics: "remote_write prom"
  uint32_t max_in_flight = 4;
  Duration min_backoff = Milliseconds(30);
  Duration max_backoff = std::chrono::seconds(5);
  Duration max_retry_after = std::chrono::minutes(10);  ///< what a backend may ask for at most
  Duration max_age{0};  ///< older records are dropped as kTooOld; 0: never
  uint64_t seed = 0;    ///< of the jitter; 0: random
  const Clock* clock = &SystemClock::Get();
  std::function<std::unique_ptr<Alarm>(boost::asio::any_io_executor)>
      make_alarm;  ///< default: MakeAlarm
  Telemetry* telemetry = nullptr;
};

/// The sender of one destination. While requests fail it probes with one at a time, exponentially
/// further apart, going round the lanes, so that one record that the backend chokes on does not
/// stop the others. Threads: Start, Stop and Read from any; all else on a strand of the executor.
class Sender {
 public:
  Sender(boost::asio::any_io_executor executor, std::unique_ptr<Consumer> consumer,
         Transport transport, SenderOptions options, Splitter splitter = {});
  ~Sender();  ///< cancels what is in flight; its records stay in the spool

  void Start();
  /// Sends on until the queue is empty or the deadline passes, then cancels. What is left stays in
  /// a durable spool and is dropped as kShutdown from memory. Call once; the sender is finished
  /// afterwards.
  boost::asio::awaitable<void> Stop(Duration within);

  struct Stats {
    Consumer::Backlog backlog;
    uint32_t in_flight = 0;
    uint64_t requests = 0, retries = 0, splits = 0;
    uint32_t consecutive_failures = 0;
    Duration backoff{0};     ///< until the next attempt, when failing
    std::string last_error;  ///< empty when the last request went well
    UnixMs last_error_ms = 0, last_success_ms = 0;
  };
  Stats Read() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace picket::spool
