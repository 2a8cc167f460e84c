// SPDX-License-Identifier: Apache-2.0
// From records to batches: which stream a line belongs to, and which of its fields go with it.
#pragma once
#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "collectors/logs/config.h"
#include "collectors/logs/fields.h"
#include "collectors/logs/tailed_log.h"
#include "core/base/strings.h"
#include "core/model/logs.h"

namespace picket::collectors::logs {

/// All streams in use: equal labels give the same stream. Threads: one.
class StreamTable {
 public:
  std::shared_ptr<const LogStream> Intern(const Labels& labels);

 private:
  std::unordered_map<std::string, std::weak_ptr<const LogStream>, StringHash, std::equal_to<>>
      streams_;
  uint64_t next_id_ = 1;
  size_t sweep_at_ = 256;
};

/// The streams of one file.
struct LogStreams {
  Labels labels;
  std::array<std::shared_ptr<const LogStream>, kOrigins> base;
  /// By origin and the values of the fields that are labels.
  std::array<std::unordered_map<std::string, std::shared_ptr<const LogStream>>, kOrigins> variants;
};

/// Takes the JSON fields of one configuration out of lines and sorts the lines into streams.
/// Threads: one. Cost: nothing per line without fields.
class StreamSplitter {
 public:
  explicit StreamSplitter(const JsonConfig& config);
  /// The batches of a reading, without receipts; the lines of a stream in their order.
  /// `reading.arena->bytes` must not change afterwards.
  std::vector<LogBatch> Split(Reading& reading, LogStreams& streams, StreamTable& table);
  /// Lines whose labels from fields were left off because the file has too many combinations.
  uint64_t overflowed() const { return overflowed_; }

  static constexpr size_t kMaxVariants = 256;

 private:
  std::shared_ptr<const LogStream> Base(Origin origin, LogStreams& streams, StreamTable& table);
  std::shared_ptr<const LogStream> Variant(Origin origin, const FieldValues& values,
                                           LogStreams& streams, StreamTable& table);

  std::vector<std::string> names_;
  std::vector<bool> is_label_;
  bool any_label_ = false;
  std::optional<FieldExtractor> extractor_;
  FieldValues values_;
  std::string key_;
  uint64_t overflowed_ = 0;
};

}  // namespace picket::collectors::logs
