// SPDX-License-Identifier: Apache-2.0
// Which rollouts have had their action: a small file that outlives the process.
#pragma once
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/model/signals.h"

namespace picket::exporters::signals {

enum class State : uint8_t { kPending, kDelivered, kFailed };

struct Entry {
  RolloutSignal signal;
  State state = State::kPending;
  std::string detail;      ///< why it failed, or the last fault while pending
  UnixMs accepted_ms = 0;  ///< give_up_after counts from here
  uint32_t attempts = 0;
};

/// The journal of one signal. Shape: one entry a rollout; the oldest settled ones go beyond 1,000.
/// Format: one JSON object, {"version":1,"rollouts":[...]}, replaced as a whole by rename after
/// fsync. Threads: any. Without a path it is memory only.
class Journal {
 public:
  explicit Journal(std::string path) : path_(std::move(path)) {}

  /// A file that cannot be understood is set aside as <path>.damaged and said so in the log.
  /// Errors: kIo.
  Status Load();
  /// False if the rollout is known: its action has been taken or is on its way.
  bool Add(const Entry& entry);
  void Update(const RolloutSignal& signal, State state, std::string detail, uint32_t attempts);
  std::optional<Entry> Find(const RolloutSignal& signal) const;
  std::optional<Entry> FindById(const std::string& rollout_id) const;
  std::vector<Entry> Pending() const;
  /// Writes the file. Errors: kIo. Cost: an fsync; call off the loops.
  Status Save();

 private:
  using Key = std::pair<std::string, std::string>;  // canary, rollout
  static Key KeyOf(const RolloutSignal& s) { return {s.canary, s.rollout_id}; }
  Status Parse(const std::string& text);
  std::string Render() const;
  void Forget();

  const std::string path_;
  std::mutex file_mutex_;     // one writer; taken before mutex_
  mutable std::mutex mutex_;  // guards entries_
  std::map<Key, Entry> entries_;
};

}  // namespace picket::exporters::signals
