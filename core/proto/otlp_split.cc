// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "core/proto/otlp_traces.h"

namespace picket::proto {
namespace {

/// Every field of a ResourceSpans or ScopeSpans but its repeated field 2: what is repeated when the
/// rest is cut.
std::string HeaderOf(std::string_view message) {
  std::string header;
  for (Reader r(message); r.Next();)
    if (r.number() != 2) header.append(r.raw());
  return header;
}

/// Fills one part after another. Lengths of open messages are kept at their widest while a part
/// grows and shrink at the end, so that a part never outgrows its limit.
class Splitter {
 public:
  explicit Splitter(size_t max_bytes) : max_(max_bytes), width_(VarintSize(max_bytes)) {}

  void AddResource(const Reader& field) {
    const std::string_view raw = field.raw();
    if (part_.bytes.size() + raw.size() > max_) Flush();
    if (raw.size() <= max_) {
      part_.bytes.append(raw);
      part_.spans += CountSpans(raw);
      return;
    }
    resource_header_ = HeaderOf(field.bytes());
    for (Reader scopes(field.bytes()); scopes.Next();) {
      if (!scopes.Is(2, WireType::kBytes)) continue;
      scope_header_ = HeaderOf(scopes.bytes());
      for (Reader spans(scopes.bytes()); spans.Next();)
        if (spans.Is(2, WireType::kBytes)) AddSpan(spans.raw());
      CloseScope();
    }
    CloseResource();
  }

  std::vector<TracePart> Finish() {
    Flush();
    return std::move(parts_);
  }

 private:
  void AddSpan(std::string_view raw) {
    if (part_.spans > 0 && part_.bytes.size() + HeadRoom() + raw.size() > max_) {
      CloseScope();
      CloseResource();
      Flush();
    }
    if (part_.bytes.empty()) part_.bytes.reserve(std::min(max_, kMaxReserve));
    Writer w(part_.bytes);
    if (!resource_open_) {
      resource_ = w.Begin(1, width_);
      w.PutRaw(resource_header_);
      resource_open_ = true;
    }
    if (!scope_open_) {
      scope_ = w.Begin(2, width_);
      w.PutRaw(scope_header_);
      scope_open_ = true;
    }
    w.PutRaw(raw);
    ++part_.spans;
  }
  /// What must be opened before the next span.
  size_t HeadRoom() const {
    return (resource_open_ ? 0 : 1 + width_ + resource_header_.size()) +
           (scope_open_ ? 0 : 1 + width_ + scope_header_.size());
  }
  void CloseScope() {
    if (scope_open_) Writer(part_.bytes).End(scope_);
    scope_open_ = false;
  }
  void CloseResource() {
    CloseScope();
    if (resource_open_) Writer(part_.bytes).End(resource_);
    resource_open_ = false;
  }
  void Flush() {
    if (part_.spans > 0) parts_.push_back(std::move(part_));
    part_ = {};
  }

  static constexpr size_t kMaxReserve = size_t{4} << 20;
  const size_t max_;
  const size_t width_;
  std::vector<TracePart> parts_;
  TracePart part_;
  std::string resource_header_;
  std::string scope_header_;
  Writer::Mark resource_{};
  Writer::Mark scope_{};
  bool resource_open_ = false;
  bool scope_open_ = false;
};

}  // namespace

std::vector<TracePart> SplitTraces(std::string_view body, size_t max_bytes) {
  Splitter splitter(std::max<size_t>(max_bytes, 1));
  for (Reader request(body); request.Next();)
    if (request.Is(1, WireType::kBytes)) splitter.AddResource(request);
  return splitter.Finish();
}

}  // namespace picket::proto
