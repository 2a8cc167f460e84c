// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <atomic>
#include <chrono>
#include <cstdint>

namespace picket {

using Duration = std::chrono::nanoseconds;
using Milliseconds = std::chrono::milliseconds;

/// Wall-clock instants. Units: milliseconds since the Unix epoch (samples), nanoseconds (logs,
/// spans).
using UnixMs = int64_t;
using UnixNs = int64_t;

/// Time as the program sees it. Injected wherever a decision depends on time. Threads: all methods
/// from any thread.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual UnixNs NowNs() const = 0;
  /// Never goes back; for intervals and deadlines.
  virtual Duration Steady() const = 0;
  UnixMs NowMs() const { return NowNs() / 1'000'000; }
};

class SystemClock final : public Clock {
 public:
  UnixNs NowNs() const override;
  Duration Steady() const override;
  static const SystemClock& Get();
};

/// Stands still until it is told to go.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(UnixNs start = 1'700'000'000'000'000'000) : now_(start), start_(start) {}
  UnixNs NowNs() const override { return now_.load(); }
  Duration Steady() const override { return Duration(now_.load() - start_); }
  void Advance(Duration d) { now_.fetch_add(d.count()); }

 private:
  std::atomic<UnixNs> now_;
  UnixNs start_;
};

}  // namespace picket
