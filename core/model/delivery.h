// SPDX-License-Identifier: Apache-2.0
// The promise "in = out + queued + dropped{reason}", and acknowledgements that travel back to where
// data came from.
#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/telemetry.h"

namespace picket {

/// Why something was dropped: a closed list, so that dashboards can name them.
enum class DropReason : uint8_t {
  kQueueFull,  ///< oldest dropped because the byte cap was reached
  kRejected,   ///< the backend said 4xx: it will never take it
  kPartial,    ///< the backend took the request but not this part
  kTooLarge,   ///< one item alone is over the backend's limit
  kTooOld,     ///< age limit reached while waiting, or the backend's window has passed
  kInvalid,    ///< not well-formed
  kLimit,      ///< a configured limit (samples, labels, line length, series)
  kMemory,     ///< the memory budget refused it
  kDiskFull,
  kCorrupt,  ///< bytes on disk were damaged
  kOutOfOrder,
  kDuplicate,
  kFiltered,  ///< a relabel rule or stage said so
  kShutdown,  ///< the drain deadline passed and nothing durable holds it
  kRotated,   ///< a log file went away before it could be read
  kCount
};
std::string_view DropReasonName(DropReason reason);

/// The balance of one component. Units: items (samples, lines, spans, requests), named by `unit`.
/// Invariant: in == out + queued + dropped, where queued is what in, out and dropped leave; it
/// never goes below 0. Threads: any. Cost: a relaxed add.
class Balance {
 public:
  Balance(std::string component, std::string instance, std::string unit);
  void In(uint64_t n) { in_.fetch_add(n, std::memory_order_relaxed); }
  /// Items went back undelivered to a source that keeps them, such as a log file: as if never
  /// taken.
  void Return(uint64_t n) { in_.fetch_sub(n, std::memory_order_relaxed); }
  void Out(uint64_t n) { out_.fetch_add(n, std::memory_order_relaxed); }
  /// The one function through which data is lost: counts and logs (rate-limited), with an example
  /// if there is one.
  void Drop(DropReason reason, uint64_t n, std::string_view detail = {});

  struct Snapshot {
    std::string component;
    std::string instance;
    std::string unit;
    uint64_t in = 0;
    uint64_t out = 0;
    uint64_t dropped = 0;
    std::vector<std::pair<std::string, uint64_t>> dropped_by_reason;  // only reasons that occurred
    std::string last_drop;                                            // detail of the latest drop
    int64_t queued() const { return static_cast<int64_t>(in - out - dropped); }
  };
  Snapshot Read() const;
  uint64_t in() const { return in_.load(std::memory_order_relaxed); }
  uint64_t out() const { return out_.load(std::memory_order_relaxed); }
  uint64_t dropped(DropReason reason) const {
    return dropped_[static_cast<size_t>(reason)].load(std::memory_order_relaxed);
  }

 private:
  std::string component_, instance_, unit_;
  std::atomic<uint64_t> in_{0}, out_{0};
  std::array<std::atomic<uint64_t>, static_cast<size_t>(DropReason::kCount)> dropped_{};
  mutable std::mutex mutex_;  // guards last_drop_
  std::string last_drop_;
};

/// All balances of the process, for /metrics and the page. Same names give the same balance, so
/// reloads continue it.
class BalanceBook {
 public:
  std::shared_ptr<Balance> Open(std::string component, std::string instance, std::string unit);
  std::vector<Balance::Snapshot> Read() const;

 private:
  mutable std::mutex mutex_;  // guards balances_
  std::map<std::string, std::shared_ptr<Balance>> balances_;
};

/// A receipt that is settled once: when the last copy is gone, `done(ok)` runs with whether every
/// holder said ok. Delivered means the backend said yes, or the data was dropped for good and
/// counted; a holder that goes away without an answer (shutdown) makes it not ok, and the source
/// keeps its checkpoint behind it. Threads: any; `done` runs on the thread that settles it.
class Receipt {
 public:
  using Done = std::function<void(bool ok)>;
  Receipt() = default;
  explicit Receipt(Done done) : state_(std::make_shared<State>(std::move(done))) {}
  /// A new obligation on the same receipt: call for each holder (destination).
  class Hold {
   public:
    Hold() = default;
    explicit Hold(const Receipt& receipt);
    ~Hold();
    Hold(Hold&& other) noexcept = default;
    Hold& operator=(Hold&& other) noexcept;
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;
    void Settle();  ///< delivered, or dropped for good and counted

   private:
    std::shared_ptr<void> state_;
  };

 private:
  struct State {
    explicit State(Done d) : done(std::move(d)) {}
    ~State() {
      if (done) done(ok.load());
    }
    Done done;
    std::atomic<bool> ok{true};
  };
  std::shared_ptr<State> state_;
};

}  // namespace picket
