// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <unordered_map>
#include <vector>

#include "core/model/query.h"

namespace picket {

/// Where the last values of counters are kept beyond the process, so that a restart counts neither
/// twice nor too little.
class CounterMemory {
 public:
  struct Last {
    UnixMs time_ms;
    double value;
  };
  virtual ~CounterMemory() = default;
  virtual std::optional<Last> Recall(uint64_t key) const = 0;
  virtual void Remember(uint64_t key, const Last& last) = 0;
  virtual void Forget(uint64_t key) = 0;
};

/// Turns counters into what each scrape added, exactly: integers in, integers out, no
/// extrapolation. A counter that falls has restarted and counts from zero. A series that appears on
/// a target (job and instance) that was scraped before counts from zero as well, so that the first
/// error of a kind is not missed, as PromQL's increase would. The first sample of a target seen for
/// the first time is its base. Threads: one. Cost: one hash lookup per series and call. Memory: 32
/// B per series of the last hour.
class IncrementReader {
 public:
  /// Selectors read together: their series share what is known of a target. List all requests
  /// before errors.
  explicit IncrementReader(std::vector<std::vector<Matcher>> selectors,
                           CounterMemory* memory = nullptr);

  using OnIncrement =
      std::function<void(size_t selector, const Labels& labels, UnixMs time_ms, double increment)>;
  /// Calls for each sample in [from_ms, until_ms] not seen before; per series in time order.
  /// Samples that become visible late are found as long as they are not older than `from_ms`.
  Status Read(const Querier& querier, UnixMs from_ms, UnixMs until_ms, const OnIncrement& on);
  UnixMs newest_ms() const { return newest_ms_; }

 private:
  using Last = CounterMemory::Last;
  using Map = std::unordered_map<uint64_t, Last>;
  Map::iterator Find(Map& map, uint64_t key);
  void ReadSeries(size_t selector, const SeriesColumns& series, const OnIncrement& on);
  void Forget();

  std::vector<std::vector<Matcher>> selectors_;
  CounterMemory* memory_;
  Map last_;     // by hash of labels and selector
  Map targets_;  // first and (as value) latest scrape of each target
  UnixMs newest_ms_ = INT64_MIN;
  UnixMs forgotten_ms_ = INT64_MIN;
};

}  // namespace picket
