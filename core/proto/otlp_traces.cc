// SPDX-License-Identifier: Apache-2.0
#include "core/proto/otlp_traces.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "core/base/strings.h"

namespace picket::proto {
namespace {

bool AllZero(std::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char c) { return c == 0; });
}

std::string_view RenderInto(std::array<char, 32>& text, int64_t value) {
  const auto r = std::to_chars(text.data(), text.data() + text.size(), value);
  return {text.data(), static_cast<size_t>(r.ptr - text.data())};
}

std::string_view RenderInto(std::array<char, 32>& text, double value) {
  const std::string printed = FormatFloat(value);
  const size_t n = std::min(printed.size(), text.size());
  std::copy_n(printed.data(), n, text.data());
  return {text.data(), n};
}

std::string_view RenderAny(std::string_view any, std::array<char, 32>& text) {
  std::string_view out;
  for (Reader r(any); r.Next();) {
    if (r.Is(1, WireType::kBytes)) out = r.bytes();
    if (r.Is(2, WireType::kVarint)) out = r.value() ? "true" : "false";
    if (r.Is(3, WireType::kVarint)) out = RenderInto(text, static_cast<int64_t>(r.value()));
    if (r.Is(4, WireType::kFixed64)) out = RenderInto(text, r.AsDouble());
  }
  return out;
}

}  // namespace

bool HasValidIds(const SpanView& span) {
  return span.trace_id.size() == 16 && span.span_id.size() == 8 &&
         (span.parent_span_id.empty() || span.parent_span_id.size() == 8) &&
         !AllZero(span.trace_id) && !AllZero(span.span_id);
}

void AttributePicker::Offer(std::string_view key_value) {
  // Writers put the key first: a look at it decides about nearly all attributes.
  Reader r(key_value);
  if (!r.Next()) return;
  if (!r.Is(1, WireType::kBytes)) {
    while (r.Next() && !r.Is(1, WireType::kBytes)) {
    }
    if (!r.ok() || !r.Is(1, WireType::kBytes)) return;
  }
  const std::string_view key = r.bytes();
  for (Slot& slot : slots_) {
    if (slot.key != key) continue;
    for (Reader v(key_value); v.Next();)
      if (v.Is(2, WireType::kBytes)) slot.value = RenderAny(v.bytes(), slot.text);
  }
}

bool ReadSpan(std::string_view span, SpanView& out, AttributePicker* attributes) {
  Reader r(span);
  while (r.Next()) {
    switch (r.number()) {
      case 1:
        out.trace_id = r.bytes();
        break;
      case 2:
        out.span_id = r.bytes();
        break;
      case 4:
        out.parent_span_id = r.bytes();
        break;
      case 5:
        out.name = r.bytes();
        break;
      case 6:
        out.kind = static_cast<uint32_t>(r.value());
        break;
      case 7:
        out.start_ns = r.value();
        break;
      case 8:
        out.end_ns = r.value();
        break;
      case 9:
        if (attributes) attributes->Offer(r.bytes());
        break;
      case 15:
        for (Reader status(r.bytes()); status.Next();)
          if (status.Is(3, WireType::kVarint)) out.status = static_cast<uint32_t>(status.value());
        break;
      default:
        break;
    }
  }
  return r.ok();
}

void ReadResource(std::string_view resource, AttributePicker& attributes) {
  for (Reader r(resource); r.Next();)
    if (r.Is(1, WireType::kBytes)) attributes.Offer(r.bytes());
}

uint32_t CountSpans(std::string_view body) {
  uint32_t spans = 0;
  for (Reader request(body); request.Next();) {
    if (!request.Is(1, WireType::kBytes)) continue;
    for (Reader scopes(request.bytes()); scopes.Next();) {
      if (!scopes.Is(2, WireType::kBytes)) continue;
      for (Reader r(scopes.bytes()); r.Next();) spans += r.Is(2, WireType::kBytes);
    }
  }
  return spans;
}

std::string WithoutBadSpans(std::string_view body) {
  std::string out;
  out.reserve(body.size());
  Writer w(out);
  for (Reader request(body); request.Next();) {
    if (!request.Is(1, WireType::kBytes)) {
      w.PutRaw(request.raw());
      continue;
    }
    const auto resource = w.Begin(1, VarintSize(request.bytes().size()));
    for (Reader scopes(request.bytes()); scopes.Next();) {
      if (!scopes.Is(2, WireType::kBytes)) {
        w.PutRaw(scopes.raw());
        continue;
      }
      const auto scope = w.Begin(2, VarintSize(scopes.bytes().size()));
      for (Reader spans(scopes.bytes()); spans.Next();) {
        if (!spans.Is(2, WireType::kBytes) || IsGoodSpan(spans.bytes())) w.PutRaw(spans.raw());
      }
      w.End(scope);
    }
    w.End(resource);
  }
  return out;
}

}  // namespace picket::proto
