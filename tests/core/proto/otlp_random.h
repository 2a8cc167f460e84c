// SPDX-License-Identifier: Apache-2.0
// Random but well-formed trace requests, for property tests.
#pragma once
#include <otlp.pb.h>

#include <random>
#include <string>

namespace picket::test {

class RandomTraces {
 public:
  explicit RandomTraces(uint64_t seed) : random_(seed) {}

  ExportTraceServiceRequest Request(int max_resources = 4, int max_spans = 12) {
    ExportTraceServiceRequest request;
    for (int i = Below(max_resources + 1); i > 0; --i) {
      ResourceSpans& resource = *request.add_resource_spans();
      Attributes(*resource.mutable_resource()->mutable_attributes(), 3);
      if (Below(2)) Pair(*resource.mutable_resource()->add_attributes(), "service.name", "shop");
      if (Below(3) == 0) resource.set_schema_url("https://example.test/1");
      for (int s = Below(3); s > 0; --s) Scope(*resource.add_scope_spans(), max_spans);
    }
    return request;
  }

  void FillSpan(Span& span) {
    span.set_trace_id(Id(16));
    span.set_span_id(Id(8));
    if (Below(2)) span.set_parent_span_id(Id(8));
    if (Below(4) == 0) span.set_trace_state("a=b");
    span.set_name("op-" + std::to_string(Below(20)));
    span.set_kind(Below(6));
    span.set_start_time_unix_nano(1'700'000'000'000'000'000 + random_() % 1'000'000);
    span.set_end_time_unix_nano(span.start_time_unix_nano() + random_() % 2'000'000'000);
    Attributes(*span.mutable_attributes(), 6);
    for (int i = Below(3); i > 0; --i) {
      Event& event = *span.add_events();
      event.set_time_unix_nano(random_());
      event.set_name("exception");
      Attributes(*event.mutable_attributes(), 2);
    }
    for (int i = Below(2); i > 0; --i) {
      Link& link = *span.add_links();
      link.set_trace_id(Id(16));
      link.set_span_id(Id(8));
      link.set_flags(257);
    }
    if (Below(2)) {
      span.mutable_status()->set_code(Below(3));
      if (Below(2)) span.mutable_status()->set_message("went wrong");
    }
    span.set_flags(Below(512));
  }

  int Below(int n) { return static_cast<int>(random_() % static_cast<uint64_t>(n)); }
  std::string Id(size_t size) {
    std::string id(size, '\0');
    for (char& c : id) c = static_cast<char>(random_());
    id[0] = 1;
    return id;
  }
  static void Pair(KeyValue& pair, const std::string& key, const std::string& value) {
    pair.set_key(key);
    pair.mutable_value()->set_string_value(value);
  }

 private:
  void Scope(ScopeSpans& scope, int max_spans) {
    if (Below(2)) scope.mutable_scope()->set_name("library");
    for (int i = Below(max_spans + 1); i > 0; --i) FillSpan(*scope.add_spans());
    if (Below(3) == 0) scope.set_schema_url("https://example.test/2");
  }
  template <class List>
  void Attributes(List& list, int at_most) {
    for (int i = Below(at_most + 1); i > 0; --i) {
      KeyValue& pair = *list.Add();
      pair.set_key("key." + std::to_string(Below(8)));
      Value(*pair.mutable_value(), 0);
    }
  }
  void Value(AnyValue& value, int depth) {
    switch (Below(depth < 3 ? 8 : 6)) {
      case 0:
        value.set_bool_value(Below(2));
        break;
      case 1:
        value.set_int_value(static_cast<int64_t>(random_()));
        break;
      case 2:
        value.set_double_value(Below(1000) / 8.0);
        break;
      case 3:
        value.set_bytes_value(Id(5));
        break;
      case 4:
        break;  // a value that is set to nothing is legal
      case 6:
        for (int i = Below(3); i > 0; --i)
          Value(*value.mutable_array_value()->add_values(), depth + 1);
        break;
      case 7:
        for (int i = Below(3); i > 0; --i) {
          KeyValue& pair = *value.mutable_kvlist_value()->add_values();
          pair.set_key("nested");
          Value(*pair.mutable_value(), depth + 1);
        }
        break;
      default:
        value.set_string_value(std::string(static_cast<size_t>(Below(60)), 'v'));
        break;
    }
  }

  std::mt19937_64 random_;
};

}  // namespace picket::test
