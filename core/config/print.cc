// SPDX-License-Identifier: Apache-2.0
// From a struct back to a tree, and the checks of structs that were never text.
#include <fmt/format.h>

#include "core/config/env.h"
#include "core/config/object.h"

namespace picket::config {
namespace {

Node ObjectNode(const ObjectInfo& info, const void* object, const void* defaults, PrintWhat what);

std::string Escaped(const FieldInfo& f, std::string text) {
  if (f.expand_like_labels) return internal::EscapeLikeExternalLabels(text);
  return f.expand ? internal::EscapeEnv(text) : text;
}

/// A value without a name is a default that cannot be written: nothing.
Node EnumNode(const FieldInfo& f, int64_t value) {
  for (const FieldInfo::Choice& c : f.choices)
    if (c.value == value) return Node::Scalar(c.name, true);
  return {};
}

/// `defaults` is the value an object would have if nothing were written; null means its type's own.
Node ValueNode(const FieldInfo& f, const TypeInfo* type, const void* value, const void* defaults,
               PrintWhat what) {
  switch (type->kind) {
    case Kind::kObject: {
      const ObjectInfo& info = type->object();
      return ObjectNode(info, value, defaults ? defaults : info.defaults.get(), what);
    }
    case Kind::kOptional: {
      Node out;
      type->each(value, [&](const std::string&, const void* v) {
        out = ValueNode(f, type->element(), v, nullptr, what);
      });
      return out;
    }
    case Kind::kList: {
      Node out = Node::List();
      type->each(value, [&](const std::string&, const void* v) {
        out.items.push_back(ValueNode(f, type->element(), v, nullptr, what));
      });
      return out;
    }
    case Kind::kMap: {
      Node out = Node::Map();
      type->each(value, [&](const std::string& k, const void* v) {
        out.Add(k, ValueNode(f, type->element(), v, nullptr, what));
      });
      return out;
    }
    case Kind::kLabels: {
      Node out = Node::Map();
      for (const auto& [name, text] : *static_cast<const Labels*>(value))
        out.Add(std::string(name), Node::Scalar(Escaped(f, std::string(text)), true));
      return out;
    }
    case Kind::kEnum:
      return EnumNode(f, type->get_enum(value));
    case Kind::kString:
    case Kind::kCustom:
      return Node::Scalar(Escaped(f, type->format(value)), true);
    case Kind::kSecret:
      return Node::Scalar(type->format(value), true);
    default:
      return Node::Scalar(type->format(value));
  }
}

Node ObjectNode(const ObjectInfo& info, const void* object, const void* defaults, PrintWhat what) {
  Node out = Node::Map();
  for (const FieldInfo& f : info.fields) {
    if (!f.type) continue;
    const void* member = static_cast<const char*>(object) + f.offset;
    const void* standard = static_cast<const char*>(defaults) + f.offset;
    Node node = ValueNode(f, f.type, member, standard, what);
    if (what == PrintWhat::kChanged && !f.required) {
      // An object prints its required settings always, so it is compared whole.
      const bool inner = f.type->kind == Kind::kObject;
      const PrintWhat whole = inner ? PrintWhat::kAll : what;
      const Node now = inner ? ValueNode(f, f.type, member, standard, whole) : node;
      if (now == ValueNode(f, f.type, standard, inner ? standard : nullptr, whole)) continue;
    }
    if (what == PrintWhat::kAll && node.IsNull()) continue;
    out.Add(f.name, std::move(node));
  }
  return out;
}

void CheckValue(const FieldInfo& f, const TypeInfo* type, const void* value, Diagnostics& sink,
                const std::string& path, bool lenient);

}  // namespace

Node ToNode(const ObjectInfo& info, const void* object, PrintWhat what) {
  return ObjectNode(info, object, info.defaults ? info.defaults.get() : object, what);
}

namespace {

void CheckInto(const ObjectInfo& info, const void* object, Diagnostics& sink,
               const std::string& path, bool lenient) {
  for (const FieldInfo& f : info.fields) {
    if (!f.type) continue;
    const void* member = static_cast<const char*>(object) + f.offset;
    const std::string here = path.empty() ? f.name : path + "." + f.name;
    CheckValue(f, f.type, member, sink, here, lenient);
    for (const auto& check : f.checks) {
      Reporter reporter(&sink, nullptr, here, lenient);
      check(member, reporter);
    }
  }
  for (const ObjectInfo::Check& c : info.checks) {
    Reporter reporter(&sink, nullptr, path, lenient);
    c.run(static_cast<const char*>(object) + c.offset, reporter);
  }
}

void CheckValue(const FieldInfo& f, const TypeInfo* type, const void* value, Diagnostics& sink,
                const std::string& path, bool lenient) {
  if (type->kind == Kind::kObject) return CheckInto(type->object(), value, sink, path, lenient);
  if (type->each) {
    size_t i = 0;
    type->each(value, [&](const std::string& key, const void* v) {
      std::string here = path;
      if (type->kind == Kind::kList) here += fmt::format("[{}]", i++);
      if (type->kind == Kind::kMap) here += "." + key;
      CheckValue(f, type->element(), v, sink, here, lenient);
    });
    return;
  }
  if (!type->number) return;
  const long double number = type->number(value);
  auto report = [&](std::string_view what, const std::string& bound) {
    Reporter(&sink, nullptr, path, lenient)
        .Error({}, fmt::format("{} is {} {}", type->format(value), what, bound));
  };
  if (f.min && number < *f.min) report("below the least value", f.min_text);
  if (f.max && number > *f.max) report("above the largest value", f.max_text);
}

}  // namespace

void CheckObject(const ObjectInfo& info, const void* object, Diagnostics& diagnostics) {
  CheckInto(info, object, diagnostics, {}, false);
}

}  // namespace picket::config
