// SPDX-License-Identifier: Apache-2.0
// Lines that wait to be sent, by stream, and the requests made of them.
#pragma once
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/model/logs.h"
#include "exporters/loki/encoder.h"

namespace picket::exporters::loki {

/// The receipt of a batch whose lines may be spread over several requests: settles when all of them
/// are done. One that is never done, whatever became of it, leaves the receipt unsettled.
/// Threads: as the queue.
class Delivery {
 public:
  explicit Delivery(const Receipt& receipt) : hold_(receipt) {}
  void Open() { ++open_; }
  void Close() {
    if (--open_ == 0) hold_.Settle();
  }

 private:
  Receipt::Hold hold_;
  int open_ = 1;
};

/// One push request, ready to send. While it lives its streams are in no other one.
struct Request {
  uint64_t number = 0;  ///< by age
  std::string packed;
  uint64_t raw_bytes = 0;
  uint64_t lines = 0;
  std::vector<uint64_t> streams;
  std::vector<std::shared_ptr<Delivery>> deliveries;
  /// Parts that follow when this one is done: they may have the same streams.
  std::deque<Request> then;
  int attempts = 0;
  Duration not_before{};
};

/// What a request is made of, taken from the queue and not yet encoded.
struct Selection {
  struct Stream {
    uint64_t id;
    std::string labels_text;
    std::vector<Slice> slices;
  };
  std::vector<Stream> streams;
  std::vector<std::shared_ptr<Delivery>> deliveries;
  uint64_t lines = 0;
  uint64_t held_bytes = 0;  ///< what these lines counted for in the queue
  bool empty() const { return streams.empty(); }
};

/// Order: of a stream as it came; among streams the oldest first. Threads: one at a time (the
/// exporter's mutex).
class StreamQueue {
 public:
  explicit StreamQueue(std::map<std::string, std::string> labels) : extra_(std::move(labels)) {}

  void Add(const LogBatch& batch, Duration now);
  /// Bytes that a request could take now, and since when the oldest of them wait.
  uint64_t ReadyBytes() const { return ready_bytes_; }
  std::optional<Duration> OldestReady() const;
  /// Up to `limit` bytes of streams that are in no request; they are, from now on.
  Selection Take(uint64_t limit);
  /// The request with this stream is done.
  void Release(uint64_t stream);
  /// Whether `text`, labels as Loki wrote them (perhaps with more), is the stream with this text.
  static bool SameStream(std::string_view labels_text, std::string_view text);
  const std::string* LabelsText(uint64_t stream) const;

  uint64_t lines() const { return lines_; }
  uint64_t bytes() const { return bytes_; }
  bool empty() const { return lines_ == 0; }
  /// Gives everything up; returns the lines.
  uint64_t Clear();

 private:
  struct Item {
    std::shared_ptr<const LogBatch> batch;
    std::shared_ptr<Delivery> delivery;
    size_t next = 0;
    uint64_t bytes = 0;
    uint64_t number = 0;
    Duration arrived{};
  };
  struct Stream {
    std::string labels_text;
    std::deque<Item> items;
    uint64_t bytes = 0;
    bool busy = false;
  };
  void MakeReady(uint64_t id, Stream& stream);
  std::string TextOf(const LogStream& stream) const;

  std::map<std::string, std::string> extra_;
  std::unordered_map<uint64_t, Stream> streams_;
  std::set<std::pair<uint64_t, uint64_t>> ready_;  // number of the first item, stream id
  uint64_t ready_bytes_ = 0;
  uint64_t bytes_ = 0;
  uint64_t lines_ = 0;
  uint64_t next_number_ = 1;
};

}  // namespace picket::exporters::loki
