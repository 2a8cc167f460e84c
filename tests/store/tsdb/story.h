// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "tests/store/tsdb/model_store.h"

namespace picket::store::tsdb {

/// A few targets that are scraped, and the naive copy of what they sent. Values depend on (series,
/// round) only, so that another process knows them too.
class Story {
 public:
  Story(std::string dir, TsdbConfig config = {}) : dir_(std::move(dir)), config_(config) {}

  void Open() {
    TsdbOptions options;
    options.data_dir = dir_;
    options.config = config_;
    options.clock = &clock;
    options.balance = balance = std::make_shared<Balance>("store", "tsdb", "samples");
    options.allocate = allocate;
    auto opened = Tsdb::Open(std::move(options));
    ASSERT_TRUE(opened.has_value()) << opened.error().ToString();
    store = *std::move(opened);
    sources_.clear();
    ids_.clear();
  }
  void Reopen() {
    store.reset();
    Open();
  }
  static Labels SeriesOf(int target, int i) {
    return Labels{{"__name__", "m" + std::to_string(i % 9)},
                  {"target", std::to_string(target)},
                  {"i", std::to_string(i)}};
  }
  static double ValueOf(int target, int i, int64_t round) {
    switch (i % 4) {
      case 0:
        return 1;
      case 1:
        return static_cast<double>(round * (i + 1));
      case 2:
        return static_cast<double>(round) * 0.1 + static_cast<double>(target) / 3.0;
      default:
        return static_cast<double>((round * 7919 + i) % 1000) / 10.0;
    }
  }
  void OpenTargets(int targets, int series) {
    for (int t = static_cast<int>(sources_.size()); t < targets; ++t) {
      sources_.push_back(store->OpenSource("target " + std::to_string(t)));
      ids_.emplace_back();
      for (int i = 0; i < series; ++i)
        ids_.back().push_back(*store->Intern(sources_.back(), SeriesOf(t, i), nullptr));
    }
  }
  /// One row of a target; remembers it unless told otherwise.
  void Scrape(int target, int64_t round, bool remember = true) {
    const auto t = static_cast<size_t>(target);
    const UnixMs at = TimeOf(round);
    std::vector<double> values;
    for (int i = 0; i < static_cast<int>(ids_[t].size()); ++i) {
      values.push_back(ValueOf(target, i, round));
      if (remember)
        naive[SeriesOf(target, i).ToString()][at] = std::bit_cast<uint64_t>(values.back());
    }
    store->Append({sources_[t], 1, at, ids_[t], values});
  }
  void ScrapeAll(int64_t round, bool remember = true) {
    clock.Advance(std::chrono::seconds(15));
    for (int t = 0; t < static_cast<int>(sources_.size()); ++t) Scrape(t, round, remember);
  }
  static UnixMs TimeOf(int64_t round) { return 1'700'000'000'000 + round * 15'000; }
  bool Balanced() const {
    const auto b = balance->Read();
    return b.in == b.out + b.dropped;
  }

  ManualClock clock;
  std::shared_ptr<Balance> balance;
  std::unique_ptr<Tsdb> store;
  NaiveStore naive;
  std::function<int(int, int64_t, int64_t)> allocate;
  std::vector<SourceId> sources_;
  std::vector<std::vector<SeriesId>> ids_;

 private:
  std::string dir_;
  TsdbConfig config_;
};

inline TsdbConfig Unbounded() {
  TsdbConfig config;
  config.retention = Milliseconds(0);
  return config;
}

}  // namespace picket::store::tsdb
