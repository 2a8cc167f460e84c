// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <map>

#include "core/base/strings.h"
#include "core/config/describe.h"

namespace picket::config {
namespace {

constexpr std::string_view kReference = R"(\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\})";

class SchemaWriter {
 public:
  std::string Write(const ObjectInfo& root, std::string_view title) {
    Node out = Node::Map();
    out.Add("$schema", Text("https://json-schema.org/draft/2020-12/schema"));
    out.Add("title", Text(title));
    Node body = Object(root);
    for (Node::Entry& e : body.entries) out.entries.push_back(std::move(e));
    Node defs = Node::Map();
    // Objects name further objects while they are written.
    while (!waiting_.empty()) {
      const auto [name, info] = *waiting_.begin();
      waiting_.erase(waiting_.begin());
      defs.Add(name, Object(*info));
    }
    out.Add("$defs", std::move(defs));
    return EmitJson(out) + "\n";
  }

 private:
  static Node Text(std::string_view s) { return Node::Scalar(std::string(s), true); }

  Node Object(const ObjectInfo& info) {
    Node out = Node::Map();
    if (!info.sentence.empty()) out.Add("description", Text(info.sentence));
    // An empty section is a null, which reads as its defaults.
    Node types = Node::List();
    types.items = {Text("object"), Text("null")};
    out.Add("type", std::move(types));
    Node properties = Node::Map();
    Node required = Node::List();
    for (const FieldInfo& f : info.fields) {
      if (f.hidden) continue;
      properties.Add(f.name, Field(info, f));
      if (f.required) required.items.push_back(Text(f.name));
    }
    out.Add("properties", std::move(properties));
    if (!required.items.empty()) out.Add("required", std::move(required));
    if (info.extensions) {
      Node patterns = Node::Map();
      patterns.Add("^x-", Node::Map());
      out.Add("patternProperties", std::move(patterns));
    }
    out.Add("additionalProperties", Node::Scalar("false"));
    return out;
  }

  Node Field(const ObjectInfo& info, const FieldInfo& f) {
    Node out = f.type ? Type(f, f.type) : Node::Map();
    std::string description = f.sentence;
    if (!f.type) description += ": not supported by Picket yet.";
    if (const std::string b = BoundsText(f); !b.empty()) description += " Bounds: " + b + ".";
    out.Add("description", Text(description));
    if (!f.deprecated.empty() || !f.type) out.Add("deprecated", Node::Scalar("true"));
    if (f.type && f.type->kind != Kind::kList && f.type->kind != Kind::kObject &&
        f.default_text.empty())
      if (const std::string d = DefaultText(info, f); !d.empty() && d != "\"\"")
        out.Add("default", Node::Scalar(d, !IsPlainKind(f.type->kind)));
    return out;
  }

  static bool IsPlainKind(Kind kind) {
    return kind == Kind::kBool || kind == Kind::kInteger || kind == Kind::kFloat;
  }

  Node Type(const FieldInfo& f, const TypeInfo* type) {
    Node out = Node::Map();
    switch (type->kind) {
      case Kind::kOptional:
        return Type(f, type->element());
      case Kind::kObject: {
        const ObjectInfo& info = type->object();
        if (seen_.emplace(info.type_name, &info).second) waiting_.emplace(info.type_name, &info);
        out.Add("$ref", Text("#/$defs/" + info.type_name));
        return out;
      }
      case Kind::kList:
        if (f.one_or_many) {
          Node many = Node::Map();
          many.Add("type", Text("array"));
          many.Add("items", Type(f, type->element()));
          Node forms = Node::List();
          forms.items.push_back(Type(f, type->element()));
          forms.items.push_back(std::move(many));
          out.Add("anyOf", std::move(forms));
          return out;
        }
        out.Add("type", Text("array"));
        out.Add("items", Type(f, type->element()));
        return out;
      case Kind::kMap:
        out.Add("type", Text("object"));
        out.Add("additionalProperties", Type(f, type->element()));
        return out;
      case Kind::kLabels: {
        out.Add("type", Text("object"));
        Node value = Node::Map();
        value.Add("type", Types({"string", "number", "boolean"}));
        out.Add("additionalProperties", std::move(value));
        return out;
      }
      default:
        return Scalar(f, type);
    }
  }

  static Node Types(std::initializer_list<std::string_view> names) {
    Node out = Node::List();
    for (std::string_view n : names) out.items.push_back(Text(n));
    return out;
  }

  /// A value that is a plain scalar or a ${REFERENCE}.
  static Node OrReference(Node plain) {
    Node reference = Node::Map();
    reference.Add("type", Text("string"));
    reference.Add("pattern", Text(kReference));
    Node out = Node::Map();
    Node any = Node::List();
    any.items.push_back(std::move(plain));
    any.items.push_back(std::move(reference));
    out.Add("anyOf", std::move(any));
    return out;
  }

  static Node Scalar(const FieldInfo& f, const TypeInfo* type) {
    Node out = Node::Map();
    if (!f.choices.empty()) {
      Node names = Node::List();
      for (const FieldInfo::Choice& c : f.choices) names.items.push_back(Text(c.name));
      out.Add("enum", std::move(names));
      return OrReference(std::move(out));
    }
    switch (type->kind) {
      case Kind::kBool:
        out.Add("type", Text("boolean"));
        return OrReference(std::move(out));
      case Kind::kInteger:
      case Kind::kFloat:
        out.Add("type", Text(type->kind == Kind::kInteger ? "integer" : "number"));
        if (f.min) out.Add("minimum", Node::Scalar(f.min_text));
        if (f.max) out.Add("maximum", Node::Scalar(f.max_text));
        return OrReference(std::move(out));
      case Kind::kDuration:
        out.Add("type", Text("string"));
        out.Add("pattern", Text(fmt::format("^(0|([0-9]+(ms|[ywdhms]))+)$|{}", kReference)));
        return out;
      case Kind::kBytes:
        out.Add("type", Types({"string", "integer"}));
        out.Add("pattern", Text(fmt::format("^[0-9.]+([KMGTPE]?i?B?)$|{}", kReference)));
        return out;
      default:
        out.Add("type", Types({"string", "number", "boolean"}));
        return out;
    }
  }

  std::map<std::string, const ObjectInfo*> seen_, waiting_;
};

}  // namespace

std::string JsonSchema(const ObjectInfo& root, std::string_view title) {
  return SchemaWriter().Write(root, title);
}

}  // namespace picket::config
