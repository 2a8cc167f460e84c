// SPDX-License-Identifier: Apache-2.0
// The check at the door: one pusher's broken bytes must not spoil a batch that other pushers share.
#include <algorithm>

#include "core/proto/otlp_traces.h"

namespace picket::proto {
namespace {

/// protobuf's own recursion limit; the span itself is on level four of a request.
constexpr int kMaxDepth = 100;
constexpr int kSpanDepth = 4;

constexpr uint8_t V = static_cast<uint8_t>(WireType::kVarint);
constexpr uint8_t F64 = static_cast<uint8_t>(WireType::kFixed64);
constexpr uint8_t F32 = static_cast<uint8_t>(WireType::kFixed32);
constexpr uint8_t B = static_cast<uint8_t>(WireType::kBytes);

/// Wire types of the known fields, by number; 0xff is a number not in use.
constexpr uint8_t kSpanTypes[] = {0xff, B, B, B, B, B, V, F64, F64, B, V, B, V, B, V, B, F32};
constexpr uint8_t kEventTypes[] = {0xff, F64, B, B, V};
constexpr uint8_t kLinkTypes[] = {0xff, B, B, B, B, V, F32};
constexpr uint8_t kStatusTypes[] = {0xff, 0xff, B, V};
constexpr uint8_t kKeyValueTypes[] = {0xff, B, B, V};
constexpr uint8_t kAnyTypes[] = {0xff, B, V, V, F64, B, B, B, V};
constexpr uint8_t kResourceTypes[] = {0xff, B, V, B};
constexpr uint8_t kScopeTypes[] = {0xff, B, B, B, V};
constexpr uint8_t kLayerTypes[] = {0xff, B, B, B};  // ResourceSpans and ScopeSpans

/// A known field with another wire type is an unknown field to some decoders and an error to
/// others, so to us.
template <size_t N>
bool TypeFits(const uint8_t (&types)[N], const Reader& r) {
  return r.number() >= N || types[r.number()] == 0xff ||
         types[r.number()] == static_cast<uint8_t>(r.type());
}

bool CheckAny(std::string_view any, int depth);

/// The usual attribute: a key and a string value, both below 128 bytes, in order and nothing else.
bool IsPlainPair(std::string_view bytes) {
  const size_t n = bytes.size();
  const auto at = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  if (n < 6 || n > 127 || at(0) != 0x0a) return false;
  const size_t value = 2 + size_t{at(1)};  // where field 2 begins
  return value + 4 <= n && at(value) == 0x12 && at(value + 1) == n - value - 2 &&
         at(value + 2) == 0x0a && at(value + 3) == n - value - 4;
}

bool CheckKeyValue(std::string_view bytes, int depth) {
  if (depth > kMaxDepth) return false;
  if (depth < kMaxDepth && IsPlainPair(bytes)) return true;
  Reader r(bytes);
  while (r.Next()) {
    if (!TypeFits(kKeyValueTypes, r)) return false;
    if (r.number() == 2 && !CheckAny(r.bytes(), depth + 1)) return false;
  }
  return r.ok();
}

/// ArrayValue and KeyValueList: a repeated field 1.
bool CheckList(std::string_view bytes, bool keyed, int depth) {
  if (depth > kMaxDepth) return false;
  Reader r(bytes);
  while (r.Next()) {
    if (r.number() != 1) continue;
    if (r.type() != WireType::kBytes) return false;
    if (!(keyed ? CheckKeyValue(r.bytes(), depth + 1) : CheckAny(r.bytes(), depth + 1)))
      return false;
  }
  return r.ok();
}

bool CheckAny(std::string_view any, int depth) {
  if (depth > kMaxDepth) return false;
  Reader r(any);
  while (r.Next()) {
    if (!TypeFits(kAnyTypes, r)) return false;
    if ((r.number() == 5 || r.number() == 6) && !CheckList(r.bytes(), r.number() == 6, depth + 1))
      return false;
  }
  return r.ok();
}

/// Resource, scope, event and link: flat fields and attributes in field `attributes`.
template <size_t N>
bool CheckFlat(std::string_view bytes, const uint8_t (&types)[N], uint32_t attributes, int depth) {
  Reader r(bytes);
  while (r.Next()) {
    if (!TypeFits(types, r)) return false;
    if (r.number() == attributes && !CheckKeyValue(r.bytes(), depth + 1)) return false;
  }
  return r.ok();
}

bool LinkIdsFit(std::string_view link) {
  for (Reader r(link); r.Next();) {
    if (r.number() == 1 && r.bytes().size() != 16) return false;
    if (r.number() == 2 && r.bytes().size() != 8) return false;
  }
  return true;
}

enum class SpanState { kGood, kBad, kMalformed, kLogRecord };

bool LooksLikeLogRecord(const Reader& r) {
  return r.Is(1, WireType::kFixed64) || r.Is(11, WireType::kFixed64) ||
         r.Is(2, WireType::kVarint) || r.Is(6, WireType::kBytes) || r.Is(8, WireType::kFixed32);
}

SpanState CheckSpan(std::string_view span) {
  SpanView ids;
  bool links_fit = true;
  Reader r(span);
  while (r.Next()) {
    if (!TypeFits(kSpanTypes, r))
      return LooksLikeLogRecord(r) ? SpanState::kLogRecord : SpanState::kMalformed;
    bool fine = true;
    switch (r.number()) {
      case 1:
        ids.trace_id = r.bytes();
        break;
      case 2:
        ids.span_id = r.bytes();
        break;
      case 4:
        ids.parent_span_id = r.bytes();
        break;
      case 9:
        fine = CheckKeyValue(r.bytes(), kSpanDepth + 1);
        break;
      case 11:
        fine = CheckFlat(r.bytes(), kEventTypes, 3, kSpanDepth + 1);
        break;
      case 13:
        fine = CheckFlat(r.bytes(), kLinkTypes, 4, kSpanDepth + 1);
        links_fit = links_fit && LinkIdsFit(r.bytes());
        break;
      case 15:
        fine = CheckFlat(r.bytes(), kStatusTypes, 0, kSpanDepth + 1);
        break;
      default:
        break;
    }
    if (!fine) return SpanState::kMalformed;
  }
  if (!r.ok()) return SpanState::kMalformed;
  return HasValidIds(ids) && links_fit ? SpanState::kGood : SpanState::kBad;
}

std::unexpected<Error> Malformed(const char* what) {
  return Fail(ErrorKind::kInvalidArgument,
              std::string("not an ExportTraceServiceRequest: malformed ") + what);
}

Status CheckScopeSpans(std::string_view bytes, TraceCheck& check) {
  Reader r(bytes);
  while (r.Next()) {
    if (!TypeFits(kLayerTypes, r)) return Malformed("scope_spans");
    if (r.number() == 1 && !CheckFlat(r.bytes(), kScopeTypes, 3, 4))
      return Malformed("instrumentation scope");
    if (r.number() != 2) continue;
    ++check.spans;
    switch (CheckSpan(r.bytes())) {
      case SpanState::kGood:
        break;
      case SpanState::kBad:
        ++check.bad_spans;
        break;
      case SpanState::kMalformed:
        return Malformed("span");
      case SpanState::kLogRecord:
        return Fail(
            ErrorKind::kInvalidArgument,
            "this is a logs request sent to the traces service; send it to the logs service");
    }
  }
  if (!r.ok()) return Malformed("scope_spans");
  return {};
}

}  // namespace

bool IsGoodSpan(std::string_view span) { return CheckSpan(span) == SpanState::kGood; }

Result<TraceCheck> CheckTraces(std::string_view body) {
  TraceCheck check;
  Reader request(body);
  while (request.Next()) {
    if (request.number() != 1) continue;
    if (request.type() != WireType::kBytes) return Malformed("resource_spans");
    Reader r(request.bytes());
    while (r.Next()) {
      if (!TypeFits(kLayerTypes, r)) return Malformed("resource_spans");
      if (r.number() == 1 && !CheckFlat(r.bytes(), kResourceTypes, 1, 3))
        return Malformed("resource");
      if (r.number() == 2) PICKET_TRY(CheckScopeSpans(r.bytes(), check));
    }
    if (!r.ok()) return Malformed("resource_spans");
  }
  if (!request.ok()) return Malformed("request");
  return check;
}

}  // namespace picket::proto
