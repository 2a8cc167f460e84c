// SPDX-License-Identifier: Apache-2.0
// From a tree to a struct: every fault is reported and the rest goes on.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "core/base/strings.h"
#include "core/config/env.h"
#include "core/config/excerpt.h"
#include "core/config/object.h"

namespace picket::config {
namespace {

std::string Join(const std::string& path, std::string_view key) {
  return path.empty() ? std::string(key) : path + "." + std::string(key);
}

const TypeInfo* Leaf(const TypeInfo* type) {
  while (type && type->element) type = type->element();
  return type;
}

std::string ChoiceList(const std::vector<FieldInfo::Choice>& choices) {
  std::string out;
  for (const auto& c : choices) out += (out.empty() ? "" : ", ") + c.name;
  return out;
}

class Loader {
 public:
  Loader(Diagnostics& diagnostics, const LoadOptions& options)
      : diagnostics_(diagnostics), options_(options) {}

  void Object(const ObjectInfo& info, const Node& node, void* out, const std::string& path);

 private:
  // All return whether the value itself (not an object within it) was read.
  bool Entry(const ObjectInfo& info, const Node::Entry& entry, void* out, const std::string& path);
  bool Value(const FieldInfo& f, const TypeInfo* type, const Node& node, void* out,
             const std::string& path);
  bool Scalar(const FieldInfo& f, const TypeInfo* type, const Node& node, void* out,
              const std::string& path);
  bool Choice(const FieldInfo& f, const TypeInfo* type, const Node& node, const std::string& text,
              void* out, const std::string& path);
  bool List(const FieldInfo& f, const TypeInfo* type, const Node& node, void* out,
            const std::string& path);
  bool Map(const FieldInfo& f, const TypeInfo* type, const Node& node, void* out,
           const std::string& path);
  bool LabelSet(const FieldInfo& f, const Node& node, void* out, const std::string& path);
  bool Text(const FieldInfo& f, const Node& node, const std::string& path, std::string& out);
  void MaskByName(const Node& node);
  void Unknown(const ObjectInfo& info, const Node::Entry& entry, const std::string& path);
  void KeyError(const Node::Entry& entry, const std::string& path, std::string cause,
                std::string remedy, std::string nearest = {});

  Diagnostics& diagnostics_;
  const LoadOptions& options_;
};

void Loader::KeyError(const Node::Entry& entry, const std::string& path, std::string cause,
                      std::string remedy, std::string nearest) {
  diagnostics_.Add({Severity::kError, entry.source, entry.place, path, std::move(cause),
                    std::move(remedy), std::move(nearest)});
}

void Loader::Object(const ObjectInfo& info, const Node& node, void* out, const std::string& path) {
  if (!node.IsMap() && !node.IsNull()) {
    std::string known;
    for (const FieldInfo& f : info.fields)
      if (known.size() < 60 && !f.hidden) known += (known.empty() ? "" : ", ") + f.name;
    diagnostics_.Error(node, path, fmt::format("expected a mapping, found {}", node.KindName()),
                       known.empty() ? "" : "Known keys: " + known + " ...");
    return;
  }
  bool good = true;
  for (const Node::Entry& e : node.entries) good = Entry(info, e, out, path) && good;
  for (const FieldInfo& f : info.fields) {
    const Node* given = f.required ? node.Find(f.name) : nullptr;
    if (!f.required || (given && !given->IsNull())) continue;
    diagnostics_.Error(given ? *given : node, path, fmt::format("\"{}\" is missing", f.name),
                       fmt::format("Add `{}:`. {}", f.name, f.sentence));
    good = false;
  }
  if (!good) return;
  for (const ObjectInfo::Check& c : info.checks) {
    Reporter reporter(&diagnostics_, &node, path, options_.lenient);
    c.run(static_cast<const char*>(out) + c.offset, reporter);
  }
}

void Loader::Unknown(const ObjectInfo& info, const Node::Entry& entry, const std::string& path) {
  std::vector<std::string> names;
  for (const FieldInfo& f : info.fields)
    if (!f.hidden) names.push_back(f.name);
  const std::string nearest = NearestName(entry.key, names);
  // A misspelt password is still a password.
  if (const FieldInfo* f = info.Find(nearest); f && f->type && Leaf(f->type)->kind == Kind::kSecret)
    diagnostics_.Mask(entry.value);
  else
    MaskByName(entry.value);
  std::string remedy = "Remove it.";
  if (!nearest.empty())
    remedy = fmt::format("Write \"{}\", or remove it.", nearest);
  else if (names.size() <= 12 && !names.empty())
    remedy = fmt::format("Known keys here: {}.", fmt::join(names, ", "));
  KeyError(entry, path, fmt::format("unknown key \"{}\"", entry.key), std::move(remedy), nearest);
}

/// Of a part that is not declared only the names tell what is secret.
void Loader::MaskByName(const Node& node) {
  for (const Node& n : node.items) MaskByName(n);
  for (const Node::Entry& e : node.entries)
    if (internal::LooksSecret(e.key))
      diagnostics_.Mask(e.value);
    else
      MaskByName(e.value);
}

bool Loader::Entry(const ObjectInfo& info, const Node::Entry& entry, void* out,
                   const std::string& path) {
  const FieldInfo* f = info.Find(entry.key);
  if (!f) {
    if (!(info.extensions && entry.key.starts_with("x-"))) Unknown(info, entry, path);
    return true;
  }
  const std::string here = Join(path, entry.key);
  auto unsupported = [&] {
    Node at;
    at.place = entry.place;
    at.source = entry.source;
    Reporter(&diagnostics_, &at, here, options_.lenient).Unsupported({}, f->unsupported);
  };
  if (!f->type) {
    MaskByName(entry.value);
    unsupported();
    return true;
  }
  if (!f->deprecated.empty())
    diagnostics_.Add({Severity::kWarning,
                      entry.source,
                      entry.place,
                      here,
                      fmt::format("\"{}\" is deprecated", f->name),
                      f->deprecated,
                      {}});
  void* member = static_cast<char*>(out) + f->offset;
  const TypeInfo* leaf = Leaf(f->type);
  if (leaf->kind == Kind::kSecret) diagnostics_.Mask(entry.value);
  if (entry.value.IsNull() && !f->null_is_empty) {
    if (!f->choices.empty()) {
      KeyError(entry, here, "has no value",
               fmt::format("Write one of {}, or remove the key.", ChoiceList(f->choices)));
      return false;
    }
    if (leaf->kind == Kind::kObject && f->type->kind != Kind::kList && !f->required)
      diagnostics_.Add({Severity::kWarning,
                        entry.source,
                        entry.place,
                        here,
                        "has no value and is taken as left out",
                        "Write {} for its defaults, or remove the key.",
                        {}});
    return true;
  }
  bool good = Value(*f, f->type, entry.value, member, here);
  if (!good) return false;
  if (f->non_empty) {
    const bool empty = f->type->size ? f->type->size(member) == 0
                                     : f->type->format && f->type->format(member).empty();
    if (empty) {
      KeyError(entry, here, "is empty", "Give it a value, or remove the key.");
      return false;
    }
  }
  if (!f->unsupported.empty()) {
    const void* standard = static_cast<const char*>(info.defaults.get()) + f->offset;
    // Both printed: types have no equality of their own.
    ObjectInfo one;
    one.fields.push_back(*f);
    one.fields.back().offset = 0;
    if (!(ToNode(one, member, PrintWhat::kAll) == ToNode(one, standard, PrintWhat::kAll)))
      unsupported();
  }
  const size_t before = diagnostics_.errors();
  for (const auto& check : f->checks) {
    Reporter reporter(&diagnostics_, &entry.value, here, options_.lenient);
    check(member, reporter);
  }
  return diagnostics_.errors() == before;
}

bool Loader::Value(const FieldInfo& f, const TypeInfo* type, const Node& node, void* out,
                   const std::string& path) {
  switch (type->kind) {
    case Kind::kObject:
      Object(type->object(), node, out, path);
      return true;
    case Kind::kOptional:
      type->clear(out);
      return Value(f, type->element(), node, type->append(out), path);
    case Kind::kList:
      return List(f, type, node, out, path);
    case Kind::kMap:
      return Map(f, type, node, out, path);
    case Kind::kLabels:
      return LabelSet(f, node, out, path);
    default:
      return Scalar(f, type, node, out, path);
  }
}

bool Loader::List(const FieldInfo& f, const TypeInfo* type, const Node& node, void* out,
                  const std::string& path) {
  if (f.one_or_many && node.IsScalar()) {
    type->clear(out);
    return Value(f, type->element(), node, type->append(out), path);
  }
  if (!node.IsList()) {
    diagnostics_.Error(
        node, path, fmt::format("expected a list, found {}", node.KindName()),
        node.IsScalar() ? "Write the value in brackets: [...]." : "Begin each item with \"- \".");
    return false;
  }
  type->clear(out);
  bool good = true;
  for (size_t i = 0; i < node.items.size(); ++i) {
    const std::string here = fmt::format("{}[{}]", path, i);
    if (node.items[i].IsNull()) {
      diagnostics_.Error(node.items[i], here, "the list item is empty",
                         "Give it a value, or remove the dash.");
      good = false;
      continue;
    }
    good = Value(f, type->element(), node.items[i], type->append(out), here) && good;
  }
  return good;
}

bool Loader::Map(const FieldInfo& f, const TypeInfo* type, const Node& node, void* out,
                 const std::string& path) {
  if (!node.IsMap()) {
    diagnostics_.Error(node, path, fmt::format("expected a mapping, found {}", node.KindName()),
                       "Write `name: value` lines.");
    return false;
  }
  type->clear(out);
  bool good = true;
  for (const Node::Entry& e : node.entries) {
    void* value = type->insert(out, e.key);
    if (e.value.IsNull()) continue;
    good = Value(f, type->element(), e.value, value, Join(path, e.key)) && good;
  }
  return good;
}

bool Loader::LabelSet(const FieldInfo& f, const Node& node, void* out, const std::string& path) {
  if (!node.IsMap()) {
    diagnostics_.Error(node, path, fmt::format("expected labels, found {}", node.KindName()),
                       "Write `name: value` lines.");
    return false;
  }
  bool good = true;
  LabelsBuilder labels;
  for (const Node::Entry& e : node.entries) {
    const std::string here = Join(path, e.key);
    if (e.key.empty() || !IsValidUtf8(e.key)) {
      KeyError(e, path, "the label name is not valid", "A label name is UTF-8 and not empty.");
      good = false;
      continue;
    }
    std::string text;
    if (!e.value.IsNull() && !Text(f, e.value, here, text)) {
      good = false;
      continue;
    }
    if (!IsValidUtf8(text)) {
      KeyError(e, here, "the label value is not UTF-8", "Save the file as UTF-8.");
      good = false;
      continue;
    }
    labels.Set(e.key, text);
  }
  *static_cast<Labels*>(out) = labels.Build();
  return good;
}

/// The scalar's text with the environment put in.
bool Loader::Text(const FieldInfo& f, const Node& node, const std::string& path, std::string& out) {
  if (node.IsNull()) {
    out.clear();
    return true;
  }
  if (!node.IsScalar()) {
    const TypeInfo* leaf = f.type ? Leaf(f.type) : nullptr;
    diagnostics_.Error(
        node, path,
        fmt::format("expected a {}, found {}",
                    !leaf || leaf->kind == Kind::kLabels ? "string" : leaf->name, node.KindName()),
        "Write a single value.");
    return false;
  }
  if (f.expand_like_labels) {
    out = internal::ExpandLikeExternalLabels(node.text, options_.env);
    return true;
  }
  if (!f.expand || node.text.find("${") == std::string::npos) {
    out = node.text;
    return true;
  }
  std::vector<std::string> missing;
  out = internal::ExpandEnv(node.text, options_.env, missing);
  for (const std::string& name : missing)
    diagnostics_.Error(
        node, path, fmt::format("the environment variable {} is not set", name),
        fmt::format(
            "Set it, give a default with ${{{}:-value}}, or write $${{{}}} for the text itself.",
            name, name));
  return missing.empty();
}

bool Loader::Choice(const FieldInfo& f, const TypeInfo* type, const Node& node,
                    const std::string& text, void* out, const std::string& path) {
  std::vector<std::string> names;
  auto same = [&](const std::string& name) {
    return f.any_case ? std::ranges::equal(name, text, {}, ::tolower, ::tolower) : name == text;
  };
  for (const FieldInfo::Choice& c : f.choices) {
    if (same(c.name)) {
      if (type->kind == Kind::kEnum)
        type->set_enum(out, c.value);
      else
        type->parse(text, out);
      return true;
    }
    names.push_back(c.name);
  }
  diagnostics_.Add({Severity::kError, node.source, node.place, path,
                    fmt::format("\"{}\" is not one of {}", text, ChoiceList(f.choices)),
                    f.any_case ? "Write one of these names."
                               : "Write one of these names; upper and lower case matter.",
                    NearestName(text, names)});
  return false;
}

bool Loader::Scalar(const FieldInfo& f, const TypeInfo* type, const Node& node, void* out,
                    const std::string& path) {
  std::string text;
  if (!Text(f, node, path, text)) return false;
  if (!f.choices.empty()) return Choice(f, type, node, text, out, path);
  if (f.path && type->kind == Kind::kString && !text.empty() && text[0] != '/' && node.source &&
      !node.source->directory.empty())
    text = (std::filesystem::path(node.source->directory) / text).lexically_normal().string();
  std::string wrong;
  if (type->kind == Kind::kBytes && f.binary_units) {
    if (auto r = internal::ParseBinaryBytes(text))
      *static_cast<Bytes*>(out) = *r;
    else
      wrong = r.error().message();
  } else {
    wrong = type->parse(text, out);
  }
  if (!wrong.empty()) {
    diagnostics_.Error(node, path, std::move(wrong),
                       fmt::format("Expected {} {}{}.", type->name.starts_with('i') ? "an" : "a",
                                   type->name, f.example.empty() ? "" : " like " + f.example));
    return false;
  }
  if (!type->number) return true;
  const long double value = type->number(out);
  if (f.min && value < *f.min) {
    diagnostics_.Error(node, path, fmt::format("{} is below the least value {}", text, f.min_text),
                       fmt::format("Use {} or more.", f.min_text));
    return false;
  }
  if (f.max && value > *f.max) {
    diagnostics_.Error(node, path,
                       fmt::format("{} is above the largest value {}", text, f.max_text),
                       fmt::format("Use {} or less.", f.max_text));
    return false;
  }
  return true;
}

}  // namespace

bool LoadObject(const ObjectInfo& info, const Node& node, void* out, Diagnostics& diagnostics,
                const LoadOptions& options) {
  const size_t before = diagnostics.errors();
  Loader(diagnostics, options).Object(info, node, out, {});
  return diagnostics.errors() == before;
}

}  // namespace picket::config
