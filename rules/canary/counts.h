// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/model/increments.h"

namespace picket::rules::canary {

/// Requests and errors of one target in one scrape.
struct Cell {
  UnixMs timestamp_ms = 0;
  uint64_t target = 0;  ///< hash of job and instance
  bool canary = false;
  double requests = 0;
  double errors = 0;
};

/// Reads one side of an indicator as cells.
class SideReader {
 public:
  SideReader(std::vector<Matcher> requests, std::vector<Matcher> errors, bool canary);
  /// The value of this label on the newest series names the rollout.
  void WatchLabel(std::string name) { label_ = std::move(name); }
  const std::string& LastLabel() const { return last_label_; }

  /// Adds what is new since the last call to `cells`, unordered and unmerged.
  Status Read(const Querier& querier, UnixMs from_ms, UnixMs until_ms, std::vector<Cell>& cells);

 private:
  IncrementReader reader_;
  bool canary_;
  std::string label_, last_label_;
  UnixMs label_ms_ = INT64_MIN;
};

/// Merges cells of the same target and scrape; sorts by time.
void MergeCells(std::vector<Cell>& cells);

}  // namespace picket::rules::canary
