// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace picket {

/// A metric of the agent itself, declared as a row in a component's metrics.h.
/// Shape: name picket_<area>_<noun>_<unit>, counters end in _total.
struct MetricRow {
  enum class Kind : uint8_t { kCounter, kGauge } kind;
  const char* name;
  const char* help;
};

/// Cost: one relaxed add. Threads: any.
class Counter {
 public:
  void Add(uint64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
  uint64_t Value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

class Gauge {
 public:
  void Set(double v) { value_.store(v, std::memory_order_relaxed); }
  void Add(double v) { value_.fetch_add(v, std::memory_order_relaxed); }
  double Value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

using TelemetryLabels = std::vector<std::pair<std::string, std::string>>;

/// All metrics of the process. Components get handles at start-up and keep them; agent/telemetry
/// renders a snapshot. Asking twice for the same row and labels gives the same handle, so that a
/// reload continues its counters.
class Telemetry {
 public:
  std::shared_ptr<Counter> AddCounter(const MetricRow& row, TelemetryLabels labels = {});
  std::shared_ptr<Gauge> AddGauge(const MetricRow& row, TelemetryLabels labels = {});
  /// A gauge or counter read at collection. Ends when the returned token is dropped.
  [[nodiscard]] std::shared_ptr<void> AddCallback(const MetricRow& row, TelemetryLabels labels,
                                                  std::function<double()> read);

  struct Sample {
    TelemetryLabels labels;
    double value;
  };
  struct Family {
    MetricRow::Kind kind;
    std::string name;
    std::string help;
    std::vector<Sample> samples;
  };
  std::vector<Family> Collect() const;

 private:
  struct Entry {
    MetricRow row;
    TelemetryLabels labels;
    std::weak_ptr<Counter> counter;
    std::weak_ptr<Gauge> gauge;
    std::weak_ptr<std::function<double()>> read;
    std::shared_ptr<void> keep;  // handles live as long as the process
  };
  mutable std::mutex mutex_;  // guards entries_
  std::vector<Entry> entries_;
};

}  // namespace picket
