// SPDX-License-Identifier: Apache-2.0
// Log lines between the rooms. The batch is the unit, never the line.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/model/delivery.h"
#include "core/model/labels.h"

namespace picket {

/// One stream of lines: a file's stdout, say. Interned by the collector and shared by its batches.
struct LogStream {
  uint64_t id = 0;  ///< stable within the process; equal streams have equal ids
  Labels labels;
  std::string labels_text;  ///< `{a="b",c="d"}`, built once
};

/// Structured metadata of one line: views into the arena.
struct LogAttribute {
  std::string_view name;
  std::string_view value;
};

/// One line in the arena. Shape: [offset, offset+length) without the newline.
struct LogRecord {
  UnixNs time_ns = 0;
  uint32_t offset = 0;
  uint32_t length = 0;
  uint32_t first_attribute = 0;  ///< into LogBatch::attributes
  uint32_t attribute_count = 0;
};

/// Lines of one stream out of one read. Order: as in the file.
/// Ownership: `arena` is shared by every holder and is freed with the last one; moved, never
/// copied.
struct LogBatch {
  std::shared_ptr<const LogStream> stream;
  std::shared_ptr<const std::string> arena;
  std::vector<LogRecord> records;
  std::vector<LogAttribute> attributes;
  Receipt receipt;  ///< settles when every destination has delivered; the checkpoint moves then
  std::string_view Line(const LogRecord& r) const {
    return std::string_view(*arena).substr(r.offset, r.length);
  }
};

/// A taker of log lines: each Loki destination, the recent-lines store.
class LogSink {
 public:
  virtual ~LogSink() = default;
  /// Takes a share of the batch. Must not block. The sink draws the arena's bytes on the memory
  /// budget by itself.
  virtual void OnLogs(const LogBatch& batch) = 0;
  /// Bytes the sink still holds; the collector stops reading when the sum is over its read-ahead.
  virtual uint64_t HeldBytes() const = 0;
};

}  // namespace picket
