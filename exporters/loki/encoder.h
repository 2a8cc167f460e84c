// SPDX-License-Identifier: Apache-2.0
// Lines to the bytes of a push request, straight from the memory they were read into.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/logs.h"
#include "core/net/buffer.h"

namespace picket::exporters::loki {

/// Records [from, to) of a batch.
struct Slice {
  std::shared_ptr<const LogBatch> batch;
  size_t from = 0;
  size_t to = 0;
};

/// Bytes of one entry in the request, with its tag and length.
size_t EntrySize(const LogBatch& batch, const LogRecord& record);

/// Builds a PushRequest: the labels once per stream, the lengths from one pass over the records, no
/// object in between. The same lines give the same bytes, so that a repeated request is one that
/// Loki recognises. Keeps its buffers. Threads: one. Source: Loki pkg/push/push.proto.
class PushEncoder {
 public:
  void Clear() { raw_.Clear(); }
  /// One stream and its lines, oldest first.
  void AddStream(std::string_view labels_text, std::span<const Slice> slices);
  std::string_view raw() const { return raw_.view(); }
  /// As a raw snappy block.
  std::string Compress();

 private:
  net::BodyBuffer raw_;
  net::BodyBuffer packed_;
};

std::string SnappyCompress(std::string_view raw);
/// Empty if it is not a snappy block.
std::string SnappyDecompress(std::string_view packed);

/// A stream in a request, as views into it.
struct StreamView {
  std::string_view labels_text;
  std::string_view field;  ///< with tag and length
  uint64_t entries = 0;
};
std::vector<StreamView> ReadStreams(std::string_view raw);

/// Halves a request, by streams or, when there is only one, by its entries: first part first.
/// Returns one part if it cannot be halved. Order: kept.
struct Part {
  std::string raw;
  uint64_t lines = 0;
};
std::vector<Part> Halve(std::string_view raw);

}  // namespace picket::exporters::loki
