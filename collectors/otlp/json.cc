// SPDX-License-Identifier: Apache-2.0
#include "collectors/otlp/json.h"

#include <fmt/format.h>

#include "collectors/otlp/json_value.h"
#include "collectors/otlp/names.h"
#include "core/base/strings.h"
#include "core/proto/wire.h"

namespace picket::collectors::otlp {
namespace {

using json::element;
using proto::Writer;
using simdjson::dom::array;
using simdjson::dom::object;

/// As deep as protobuf goes.
constexpr int kMaxDepth = 90;

/// Walks the tree and writes as it goes. Faults of form end the walk (Error); faults of one span's
/// meaning leave that span out (bad_).
class Converter {
 public:
  explicit Converter(JsonTraces& out) : out_(out), w_(out.body) {}

  Status Request(element root) {
    PICKET_ASSIGN(const object request, AsObject(root));
    return EachObject(request, "resourceSpans", true, &Converter::ResourceSpans);
  }

 private:
  using Visit = Status (Converter::*)(const object&);

  Status ResourceSpans(const object& resource) {
    const auto mark = w_.Begin(1, 2);
    PICKET_TRY(Nested(resource, "resource", &Converter::Resource));
    PICKET_TRY(EachObject(resource, "scopeSpans", true, &Converter::ScopeSpans));
    PICKET_TRY(Text(resource, "schemaUrl", 3));
    w_.End(mark);
    return {};
  }

  Status Resource(const object& o) {
    const auto mark = w_.Begin(1, 2);
    PICKET_TRY(Attributes(o, 1));
    PICKET_TRY(Uint32(o, "droppedAttributesCount", 2));
    w_.End(mark);
    return {};
  }

  Status ScopeSpans(const object& scope) {
    const auto mark = w_.Begin(2, 2);
    PICKET_TRY(Nested(scope, "scope", &Converter::Scope));
    PICKET_TRY(EachObject(scope, "spans", true, &Converter::SpanIfValid));
    PICKET_TRY(Text(scope, "schemaUrl", 3));
    w_.End(mark);
    return {};
  }

  Status Scope(const object& o) {
    const auto mark = w_.Begin(1);
    PICKET_TRY(Text(o, "name", 1));
    PICKET_TRY(Text(o, "version", 2));
    PICKET_TRY(Attributes(o, 3));
    PICKET_TRY(Uint32(o, "droppedAttributesCount", 4));
    w_.End(mark);
    return {};
  }

  Status SpanIfValid(const object& span) {
    const size_t before = out_.body.size();
    bad_.clear();
    const auto mark = w_.Begin(2, 2);
    PICKET_TRY(Span(span));
    w_.End(mark);
    if (bad_.empty()) {
      ++out_.spans;
      return {};
    }
    out_.body.resize(before);
    if (out_.rejected.rejected++ == 0) out_.rejected.message = bad_;
    return {};
  }

  Status Span(const object& span) {
    PICKET_TRY(Id(span, "traceId", 1, 16, true));
    PICKET_TRY(Id(span, "spanId", 2, 8, true));
    PICKET_TRY(Text(span, "traceState", 3));
    PICKET_TRY(Id(span, "parentSpanId", 4, 8, false));
    PICKET_TRY(Text(span, "name", 5));
    PICKET_TRY(Enum(span, "kind", 6, kSpanKinds));
    PICKET_TRY(Time(span, "startTimeUnixNano", 7));
    PICKET_TRY(Time(span, "endTimeUnixNano", 8));
    PICKET_TRY(Attributes(span, 9));
    PICKET_TRY(Uint32(span, "droppedAttributesCount", 10));
    PICKET_TRY(EachObject(span, "events", false, &Converter::Event));
    PICKET_TRY(Uint32(span, "droppedEventsCount", 12));
    PICKET_TRY(EachObject(span, "links", false, &Converter::Link));
    PICKET_TRY(Uint32(span, "droppedLinksCount", 14));
    PICKET_TRY(Nested(span, "status", &Converter::SpanStatus));
    return Flags(span, 16);
  }

  Status Event(const object& event) {
    const auto mark = w_.Begin(11);
    PICKET_TRY(Time(event, "timeUnixNano", 1));
    if (!json::Member(event, "name")) bad_ = Path("name") + ": an event has none";
    PICKET_TRY(Text(event, "name", 2));
    PICKET_TRY(Attributes(event, 3));
    PICKET_TRY(Uint32(event, "droppedAttributesCount", 4));
    w_.End(mark);
    return {};
  }

  Status Link(const object& link) {
    const auto mark = w_.Begin(13);
    PICKET_TRY(Id(link, "traceId", 1, 16, true));
    PICKET_TRY(Id(link, "spanId", 2, 8, true));
    PICKET_TRY(Text(link, "traceState", 3));
    PICKET_TRY(Attributes(link, 4));
    PICKET_TRY(Uint32(link, "droppedAttributesCount", 5));
    PICKET_TRY(Flags(link, 6));
    w_.End(mark);
    return {};
  }

  Status SpanStatus(const object& status) {
    const auto mark = w_.Begin(15);
    PICKET_TRY(Text(status, "message", 2));
    PICKET_TRY(Enum(status, "code", 3, kStatusCodes));
    w_.End(mark);
    return {};
  }

  Status Attributes(const object& of, uint32_t number) {
    return Each(of, "attributes", false, [&](element item) -> Status {
      PICKET_ASSIGN(const object pair, AsObject(item));
      return KeyValue(pair, number, 0);
    });
  }

  Status KeyValue(const object& pair, uint32_t number, int depth) {
    const auto mark = w_.Begin(number);
    PICKET_TRY(Text(pair, "key", 1));
    if (const auto value = json::Member(pair, "value")) {
      const auto inner = w_.Begin(2);
      PICKET_TRY(At("value", [&] { return Value(*value, depth + 1); }));
      w_.End(inner);
    }
    w_.End(mark);
    return {};
  }

  Status Value(element value, int depth) {
    if (depth > kMaxDepth) return Wrong("values nested less deeply");
    PICKET_ASSIGN(const object o, AsObject(value));
    if (const auto v = json::Member(o, "stringValue")) {
      const auto text = json::AsString(*v);
      if (!text) return Wrong("stringValue to be a string");
      w_.PutBytes(1, *text);
    } else if (const auto b = json::Member(o, "boolValue")) {
      const auto flag = json::AsBool(*b);
      if (!flag) return Wrong("boolValue to be true or false");
      w_.PutBool(2, *flag);
    } else if (const auto i = json::Member(o, "intValue")) {
      const auto number = json::AsInt64(*i);
      if (!number) return Wrong("intValue to be a 64-bit integer, as a string or a number");
      w_.PutInt(3, *number);
    } else if (const auto d = json::Member(o, "doubleValue")) {
      const auto number = json::AsDouble(*d);
      if (!number) return Wrong("doubleValue to be a number");
      w_.PutDouble(4, *number);
    } else if (const auto a = json::Member(o, "arrayValue")) {
      return At("arrayValue", [&] { return ArrayValue(*a, depth); });
    } else if (const auto k = json::Member(o, "kvlistValue")) {
      return At("kvlistValue", [&] { return KvlistValue(*k, depth); });
    } else if (const auto raw = json::Member(o, "bytesValue")) {
      const auto text = json::AsString(*raw);
      const auto bytes = text ? json::FromBase64(*text) : std::nullopt;
      if (!bytes) return Wrong("bytesValue to be base64");
      w_.PutBytes(7, *bytes);
    }
    return {};
  }

  Status ArrayValue(element value, int depth) {
    PICKET_ASSIGN(const object list, AsObject(value));
    const auto mark = w_.Begin(5);
    const auto add = [&](element item) -> Status {
      const auto inner = w_.Begin(1);
      PICKET_TRY(Value(item, depth + 2));
      w_.End(inner);
      return {};
    };
    PICKET_TRY(Each(list, "values", false, add));
    w_.End(mark);
    return {};
  }

  Status KvlistValue(element value, int depth) {
    PICKET_ASSIGN(const object list, AsObject(value));
    const auto mark = w_.Begin(6);
    const auto add = [&](element item) -> Status {
      PICKET_ASSIGN(const object pair, AsObject(item));
      return KeyValue(pair, 1, depth + 2);
    };
    PICKET_TRY(Each(list, "values", false, add));
    w_.End(mark);
    return {};
  }

  /// An id that is no hexadecimal is a fault of form (somebody sends base64); one of the wrong
  /// length spoils its span.
  Status Id(const object& of, const char* key, uint32_t number, size_t size, bool required) {
    const auto member = json::Member(of, key);
    const auto text = member ? json::AsString(*member) : std::string_view{};
    const auto bytes = text ? json::FromHex(*text) : std::nullopt;
    if (!bytes)
      return At(key, [&] { return Wrong(fmt::format("{} hexadecimal digits", size * 2)); });
    if (bytes->empty() && !required) return {};
    if (bytes->size() != size)
      bad_ = fmt::format("{}: expected {} hexadecimal digits", Path(key), size * 2);
    w_.PutBytes(number, *bytes);
    return {};
  }

  Status Text(const object& of, const char* key, uint32_t number) {
    const auto member = json::Member(of, key);
    if (!member) return {};
    const auto text = json::AsString(*member);
    if (!text) return At(key, [&] { return Wrong("a string"); });
    if (!text->empty()) w_.PutBytes(number, *text);
    return {};
  }
  Status Time(const object& of, const char* key, uint32_t number) {
    const auto member = json::Member(of, key);
    if (!member) return {};
    const auto value = json::AsUint64(*member);
    if (!value) return At(key, [&] { return Wrong("nanoseconds, as a string or a number"); });
    if (*value != 0) w_.PutFixed64(number, *value);
    return {};
  }
  Status Uint32(const object& of, const char* key, uint32_t number) {
    const auto member = json::Member(of, key);
    if (!member) return {};
    const auto value = json::AsUint64(*member);
    if (!value || *value > UINT32_MAX) return At(key, [&] { return Wrong("a 32-bit count"); });
    if (*value != 0) w_.PutVarint(number, *value);
    return {};
  }
  Status Flags(const object& of, uint32_t number) {
    const auto member = json::Member(of, "flags");
    if (!member) return {};
    const auto value = json::AsUint64(*member);
    if (!value || *value > UINT32_MAX) return At("flags", [&] { return Wrong("32 bits"); });
    if (*value != 0) w_.PutFixed32(number, static_cast<uint32_t>(*value));
    return {};
  }
  Status Enum(const object& of, const char* key, uint32_t number,
              std::span<const std::string_view> names) {
    const auto member = json::Member(of, key);
    if (!member) return {};
    const auto value = json::AsEnum(*member, names);
    if (!value) return At(key, [&] { return Wrong("the number of an enumeration value"); });
    if (*value != 0) w_.PutVarint(number, *value);
    return {};
  }

  Result<object> AsObject(element value) {
    object o;
    if (value.get(o) != simdjson::SUCCESS) return std::unexpected(Wrong("an object").error());
    return o;
  }
  Status Nested(const object& of, const char* key, Visit visit) {
    const auto member = json::Member(of, key);
    if (!member) return {};
    return At(key, [&]() -> Status {
      PICKET_ASSIGN(const object o, AsObject(*member));
      return (this->*visit)(o);
    });
  }
  template <class F>
  Status Each(const object& of, const char* key, bool required, F&& visit) {
    const auto member = json::Member(of, key);
    if (!member && !required) return {};
    return At(key, [&]() -> Status {
      array list;
      if (!member || member->get(list) != simdjson::SUCCESS) return Wrong("an array");
      const size_t length = path_.size();
      size_t i = 0;
      for (element item : list) {
        path_ += fmt::format("[{}]", i++);
        PICKET_TRY(visit(item));
        path_.resize(length);
      }
      return {};
    });
  }
  Status EachObject(const object& of, const char* key, bool required, Visit visit) {
    return Each(of, key, required, [&](element item) -> Status {
      PICKET_ASSIGN(const object o, AsObject(item));
      return (this->*visit)(o);
    });
  }

  /// Runs `work` one step deeper; on an error the path stays, so that the message can name it.
  template <class F>
  Status At(std::string_view key, F&& work) {
    const size_t length = path_.size();
    path_ = Path(key);
    Status status = work();
    if (status) path_.resize(length);
    return status;
  }
  std::string Path(std::string_view key) const {
    return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
  }
  Status Wrong(std::string_view expected) const {
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("{}: expected {}", path_.empty() ? "request" : path_, expected));
  }

  JsonTraces& out_;
  Writer w_;
  std::string path_;
  std::string bad_;  ///< why the span at hand cannot be; empty while it can
};

}  // namespace

Result<JsonTraces> TracesFromJson(std::string_view text) {
  // The parser keeps its buffers: a pusher's requests are of one size.
  static thread_local simdjson::dom::parser parser;
  element root;
  if (const auto error = parser.parse(text.data(), text.size()).get(root);
      error != simdjson::SUCCESS) {
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("body is not JSON: {} It begins with {}",
                            simdjson::error_message(error), JsonQuote(text.substr(0, 40))));
  }
  JsonTraces out;
  out.body.reserve(text.size() / 2);
  PICKET_TRY(Converter(out).Request(root));
  return out;
}

}  // namespace picket::collectors::otlp
