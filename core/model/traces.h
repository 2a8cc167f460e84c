// SPDX-License-Identifier: Apache-2.0
// Spans between the rooms: OTLP bytes that stay bytes.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace picket {

/// One decompressed ExportTraceServiceRequest. Ownership: shared by every consumer, immutable.
/// Shape: bytes are a valid repeated field 1 of ResourceSpans, so requests may be joined by
/// concatenation.
struct SpanSlab {
  std::shared_ptr<const std::string> bytes;
  uint32_t spans = 0;  ///< counted by the scan at the door
  std::string_view view() const { return *bytes; }
};

/// What the door answers to a pusher.
struct Admission {
  enum class Verdict : uint8_t {
    kAccepted,  ///< durable (in the spool or beyond), or in memory where there is no disk
    kRetry,     ///< refused for now: 503/UNAVAILABLE with retry_after
    kRejected,  ///< never: 400/INVALID_ARGUMENT
  } verdict = Verdict::kAccepted;
  std::chrono::seconds retry_after{1};
  uint32_t rejected_spans = 0;  ///< partial success
  std::string message;
};

/// A taker of spans: each OTLP destination, span metrics, the recent-traces store.
/// Threads: any. Must not block beyond a write into the page cache.
class SpanSink {
 public:
  virtual ~SpanSink() = default;
  virtual Admission OnSpans(const SpanSlab& slab) = 0;
};

}  // namespace picket
