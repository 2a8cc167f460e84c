// SPDX-License-Identifier: Apache-2.0
#include "core/config/object.h"

#include <cassert>

namespace picket::config {

const FieldInfo* ObjectInfo::Find(std::string_view name) const {
  for (const FieldInfo& f : fields)
    if (f.name == name) return &f;
  return nullptr;
}

FieldInfo& ObjectInfo::Add(std::string_view name, std::string_view text) {
  assert(Find(name) == nullptr && "a setting is declared once");
  FieldInfo& f = fields.emplace_back();
  f.name = name;
  f.sentence = text;
  return f;
}

void ObjectInfo::AddInlined(const ObjectInfo& inner, size_t offset) {
  for (const FieldInfo& f : inner.fields) {
    assert(Find(f.name) == nullptr && "an inlined setting meets one of the same name");
    fields.emplace_back(f).offset += offset;
  }
  for (const Check& c : inner.checks) checks.push_back({c.offset + offset, c.run});
}

namespace internal {

/// From "const ObjectInfo& picket::config::ObjectOf() [with T = picket::a::b::C]" takes "a.b.C".
std::string TypeName(std::string_view pretty) {
  const size_t at = pretty.find("T = ");
  if (at != std::string_view::npos) pretty.remove_prefix(at + 4);
  pretty = pretty.substr(0, pretty.find_first_of(";]"));
  if (pretty.starts_with("picket::")) pretty.remove_prefix(8);
  std::string out;
  for (size_t i = 0; i < pretty.size(); ++i) {
    if (pretty.substr(i).starts_with("::")) {
      out += '.';
      ++i;
    } else {
      const char c = pretty[i];
      out += isalnum(static_cast<unsigned char>(c)) || c == '_' ? c : '_';
    }
  }
  return out;
}

void SetBound(FieldInfo& f, bool is_min, const TypeInfo* type, const void* value) {
  assert(type->number && "bounds are for numbers, durations and sizes");
  (is_min ? f.min : f.max) = type->number(value);
  (is_min ? f.min_text : f.max_text) = type->format(value);
}

}  // namespace internal
}  // namespace picket::config
