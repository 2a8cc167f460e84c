// SPDX-License-Identifier: Apache-2.0
// OTLP trace requests in their wire form: check, scan, count, split and join without decoding.
// Source: opentelemetry-proto 1.11.0, collector/trace/v1 and trace/v1. Shape everywhere: `body` is
// an ExportTraceServiceRequest, that is, a repeated field 1 of ResourceSpans; joining two bodies is
// concatenation.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "core/proto/wire.h"

namespace picket::proto {

inline constexpr std::string_view kTraceExportMethod =
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// The fields of one span that decisions need. Ownership: views into the body.
struct SpanView {
  std::string_view trace_id;
  std::string_view span_id;
  std::string_view parent_span_id;
  std::string_view name;
  uint32_t kind = 0;    ///< 0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer
  uint32_t status = 0;  ///< 0 unset, 1 ok, 2 error
  uint64_t start_ns = 0;
  uint64_t end_ns = 0;
};

/// A trace id of 16 and a span id of 8 bytes, neither all zero; a parent of none or 8 bytes.
bool HasValidIds(const SpanView& span);

/// Which attributes a scan should pick up, and their values after it. Shape: a handful of keys.
/// Ownership: values are views into the body or into this object; valid until the next Clear.
class AttributePicker {
 public:
  AttributePicker() = default;
  explicit AttributePicker(std::vector<std::string> keys) : slots_(keys.size()) {
    for (size_t i = 0; i < keys.size(); ++i) slots_[i].key = std::move(keys[i]);
  }
  bool empty() const { return slots_.empty(); }
  size_t size() const { return slots_.size(); }
  const std::string& key(size_t i) const { return slots_[i].key; }
  /// The value as text (numbers and booleans rendered; arrays, maps and bytes are empty), or empty
  /// when absent.
  std::string_view value(size_t i) const { return slots_[i].value; }
  void Clear() {
    for (Slot& s : slots_) s.value = {};
  }
  /// Looks at one KeyValue.
  void Offer(std::string_view key_value);

 private:
  struct Slot {
    std::string key;
    std::string_view value;
    std::array<char, 32> text;  // rendered numbers
  };
  std::vector<Slot> slots_;
};

/// What the check at the door found.
struct TraceCheck {
  uint32_t spans = 0;
  uint32_t bad_spans =
      0;  ///< ids of a wrong length or all zero: these records are to be dropped, not the batch
};

/// Walks the whole body once: framing of every known message, wire types, nesting (as deep as
/// protobuf allows, 100). Errors: kInvalidArgument with a sentence for the sender; names a logs
/// request on the traces path as such. Cost: about 150 ns a span of 13 attributes.
Result<TraceCheck> CheckTraces(std::string_view body);

/// True if the bytes are a well-formed span with valid ids, in its links too.
bool IsGoodSpan(std::string_view span);

/// The same body without its bad spans. Precondition: CheckTraces succeeded.
std::string WithoutBadSpans(std::string_view body);

/// Number of spans. Malformed parts count as none.
uint32_t CountSpans(std::string_view body);

/// Reads one span; picks attributes on the way if asked. False if it is malformed.
bool ReadSpan(std::string_view span, SpanView& out, AttributePicker* attributes = nullptr);

/// Picks attributes of a Resource.
void ReadResource(std::string_view resource, AttributePicker& attributes);

/// Calls on_resource(Resource bytes, possibly empty) for every ResourceSpans, then on_span(Span
/// bytes) for its spans. False if the body is malformed on the levels above the span.
template <class OnResource, class OnSpan>
bool WalkTraces(std::string_view body, OnResource&& on_resource, OnSpan&& on_span) {
  Reader request(body);
  while (request.Next()) {
    if (!request.Is(1, WireType::kBytes)) continue;
    // The resource may stand behind its scopes, so it is looked for first.
    std::string_view resource;
    Reader first(request.bytes());
    while (first.Next()) {
      if (!first.Is(1, WireType::kBytes)) continue;
      resource = first.bytes();
    }
    if (!first.ok()) return false;
    on_resource(resource);
    Reader scopes(request.bytes());
    while (scopes.Next()) {
      if (!scopes.Is(2, WireType::kBytes)) continue;
      Reader spans(scopes.bytes());
      while (spans.Next())
        if (spans.Is(2, WireType::kBytes)) on_span(spans.bytes());
      if (!spans.ok()) return false;
    }
  }
  return request.ok();
}

/// A part of a split: a request of its own.
struct TracePart {
  std::string bytes;
  uint32_t spans = 0;
};

/// Cuts a body into requests of at most max_bytes at resource, scope and span boundaries; headers
/// of a cut resource or scope are repeated. A part is larger only when one span with its headers
/// is. Order and every span byte are kept. Precondition: CheckTraces succeeded on it (parts of
/// malformed bodies are left out).
std::vector<TracePart> SplitTraces(std::string_view body, size_t max_bytes);

}  // namespace picket::proto
