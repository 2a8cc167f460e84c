// SPDX-License-Identifier: Apache-2.0
#include "core/config/describe.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/base/strings.h"

namespace picket::config {
namespace {

const TypeInfo* Leaf(const TypeInfo* type) {
  while (type && type->element) type = type->element();
  return type;
}

/// The object within lists, maps and optionals, if there is one.
const ObjectInfo* ObjectIn(const FieldInfo& f) {
  const TypeInfo* leaf = Leaf(f.type);
  return leaf && leaf->object ? &leaf->object() : nullptr;
}

std::string TypeTextOf(const FieldInfo& f, const TypeInfo* type) {
  if (!type) return "not supported yet";
  switch (type->kind) {
    case Kind::kOptional:
      return TypeTextOf(f, type->element());
    case Kind::kList:
      return "list of " + TypeTextOf(f, type->element());
    case Kind::kMap:
      return "mapping of name to " + TypeTextOf(f, type->element());
    case Kind::kLabels:
      return "mapping of label to value";
    case Kind::kObject:
      return "mapping";
    default:
      break;
  }
  if (!f.choices.empty()) {
    std::vector<std::string> names;
    names.reserve(f.choices.size());
    for (const FieldInfo::Choice& c : f.choices) names.push_back(c.name);
    return fmt::format("one of {}", fmt::join(names, ", "));
  }
  if (f.path && type->kind == Kind::kString) return "file name";
  return std::string(type->name);
}

/// How a path goes on below a field: "jobs[]", "signals.<name>".
std::string Below(const std::string& path, const FieldInfo& f) {
  std::string out = path.empty() ? f.name : path + "." + f.name;
  for (const TypeInfo* t = f.type; t; t = t->element ? t->element() : nullptr) {
    if (t->kind == Kind::kList) out += "[]";
    if (t->kind == Kind::kMap) out += ".<name>";
  }
  return out;
}

struct Found {
  std::string path;
  const ObjectInfo* owner;
  const FieldInfo* field;
};

/// Every field of the tree; an object within itself is entered once on a way down.
void Collect(const ObjectInfo& info, const std::string& path, std::vector<const ObjectInfo*>& way,
             std::vector<Found>& out) {
  if (std::ranges::find(way, &info) != way.end()) return;
  way.push_back(&info);
  for (const FieldInfo& f : info.fields) {
    if (f.hidden) continue;
    out.push_back({path.empty() ? f.name : path + "." + f.name, &info, &f});
    if (const ObjectInfo* inner = ObjectIn(f)) Collect(*inner, Below(path, f), way, out);
  }
  way.pop_back();
}

/// A path as people write it: without [] and list indices; <name> stands for any one step.
std::vector<std::string> Steps(std::string_view path) {
  std::vector<std::string> out;
  for (std::string_view step : Split(path, '.'))
    if (const auto name = step.substr(0, step.find('[')); !name.empty()) out.emplace_back(name);
  return out;
}

bool SamePath(const std::string& known, const std::vector<std::string>& asked) {
  const std::vector<std::string> steps = Steps(known);
  return steps.size() == asked.size() &&
         std::ranges::equal(steps, asked, [](const std::string& k, const std::string& a) {
           return k == a || k == "<name>";
         });
}

std::string FirstSentence(std::string_view text) {
  const size_t end = text.find(". ");
  return std::string(text.substr(0, end == std::string_view::npos ? end : end + 1));
}

void AppendFields(const ObjectInfo& info, std::string& out) {
  size_t width = 0;
  for (const FieldInfo& f : info.fields)
    if (!f.hidden) width = std::max(width, f.name.size());
  for (const FieldInfo& f : info.fields) {
    if (f.hidden) continue;
    const std::string text =
        f.type ? FirstSentence(f.sentence) : f.sentence + ": not supported yet.";
    out += fmt::format("  {:<{}}  {}\n", f.name, width, text);
  }
}

std::string ExplainOne(const Found& found) {
  const FieldInfo& f = *found.field;
  std::string out = found.path + "\n";
  if (!f.type) return out + fmt::format("  {}: known, not supported by Picket yet.\n", f.sentence);
  out += fmt::format("  {}\n", f.sentence);
  out += fmt::format("  type:     {}\n", TypeText(f));
  if (f.required) out += "  required: yes\n";
  if (const std::string d = DefaultText(*found.owner, f); !d.empty())
    out += fmt::format("  default:  {}\n", d);
  if (const std::string b = BoundsText(f); !b.empty()) out += fmt::format("  bounds:   {}\n", b);
  if (!f.example.empty()) out += fmt::format("  example:  {}\n", f.example);
  if (!f.deprecated.empty()) out += fmt::format("  deprecated: {}\n", f.deprecated);
  if (!f.unsupported.empty())
    out += fmt::format("  not supported by Picket yet: {}\n", f.unsupported);
  if (f.path) out += "  A relative name is taken from the directory of the configuration file.\n";
  if (const ObjectInfo* inner = ObjectIn(f)) {
    if (!inner->sentence.empty()) out += fmt::format("\n  {}\n", inner->sentence);
    out += "\n";
    AppendFields(*inner, out);
  }
  return out;
}

}  // namespace

std::string TypeText(const FieldInfo& field) { return TypeTextOf(field, field.type); }

std::string DefaultText(const ObjectInfo& owner, const FieldInfo& field) {
  if (!field.default_text.empty()) return field.default_text;
  if (field.required || !field.type || !owner.defaults) return {};
  ObjectInfo one;
  one.fields.push_back(field);
  one.defaults = owner.defaults;
  const Node node = ToNode(one, owner.defaults.get(), PrintWhat::kAll);
  const Node* value = node.Find(field.name);
  if (!value || value->IsNull()) return {};
  if (value->IsScalar()) {
    if (!value->text.empty()) return value->text;
    return field.type->kind == Kind::kSecret || field.path ? "" : "\"\"";
  }
  if (value->IsList()) return value->items.empty() ? "" : EmitJson(*value);
  return {};
}

std::string BoundsText(const FieldInfo& field) {
  if (field.min && field.max) return fmt::format("{} to {}", field.min_text, field.max_text);
  if (field.min) return "at least " + field.min_text;
  if (field.max) return "at most " + field.max_text;
  return field.non_empty ? "not empty" : "";
}

Result<std::string> Explain(const ObjectInfo& root, std::string_view key) {
  if (key.empty()) {
    std::string out = root.sentence.empty() ? "" : root.sentence + "\n\n";
    AppendFields(root, out);
    return out;
  }
  std::vector<Found> all;
  std::vector<const ObjectInfo*> way;
  Collect(root, {}, way, all);
  const std::vector<std::string> asked = Steps(key);
  std::vector<const Found*> hits;
  for (const Found& f : all)
    if (SamePath(f.path, asked)) hits.push_back(&f);
  if (hits.empty() && asked.size() == 1)
    for (const Found& f : all)
      if (f.field->name == asked[0]) hits.push_back(&f);
  // The end of a path is enough when it is clear: "queue_config.max_shards".
  if (hits.empty())
    for (const Found& f : all) {
      std::vector<std::string> steps = Steps(f.path);
      if (steps.size() <= asked.size()) continue;
      steps.erase(steps.begin(), steps.end() - static_cast<ptrdiff_t>(asked.size()));
      if (steps == asked) hits.push_back(&f);
    }
  if (!hits.empty()) {
    std::string out;
    std::set<std::pair<const ObjectInfo*, const FieldInfo*>> told;
    std::string also;
    for (const Found* f : hits) {
      if (told.insert({f->owner, f->field}).second)
        out += (out.empty() ? "" : "\n") + ExplainOne(*f);
      else
        also += "  " + f->path + "\n";
    }
    if (!also.empty()) out += "\nThe same setting also stands at\n" + also;
    return out;
  }
  std::vector<std::string> names;
  for (const Found& f : all) {
    names.push_back(f.field->name);
    names.push_back(fmt::format("{}", fmt::join(Steps(f.path), ".")));
  }
  std::string nearest = NearestName(fmt::format("{}", fmt::join(asked, ".")), names);
  if (nearest.empty()) nearest = NearestName(asked.empty() ? key : asked.back(), names);
  return Fail(Error(ErrorKind::kNotFound, fmt::format("no setting is called \"{}\"", key))
                  .Remedy(nearest.empty() ? "See the list of settings with `explain`."
                                          : fmt::format("Did you mean \"{}\"?", nearest)));
}

namespace {

std::string Cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

void AppendSection(const ObjectInfo& info, const std::string& path, int level,
                   std::set<const ObjectInfo*>& told, std::string& out) {
  out += fmt::format("\n{} {}\n\n", std::string(static_cast<size_t>(level), '#'),
                     path.empty() ? "Top level" : "`" + path + "`");
  if (!told.insert(&info).second) {
    out += "The same settings as above.\n";
    return;
  }
  if (!info.sentence.empty()) out += info.sentence + "\n\n";
  out += "| key | type | default | meaning |\n|---|---|---|---|\n";
  for (const FieldInfo& f : info.fields) {
    if (f.hidden) continue;
    std::string meaning = f.sentence;
    if (f.required) meaning += " Required.";
    if (const std::string b = BoundsText(f); !b.empty()) meaning += " Bounds: " + b + ".";
    if (!f.deprecated.empty()) meaning += " Deprecated: " + f.deprecated;
    if (!f.unsupported.empty()) meaning += f.type ? " Not supported yet." : ": not supported yet.";
    const std::string standard = DefaultText(info, f);
    out += fmt::format("| `{}` | {} | {} | {} |\n", f.name, Cell(TypeText(f)),
                       standard.empty() ? "" : "`" + Cell(standard) + "`", Cell(meaning));
  }
  for (const FieldInfo& f : info.fields)
    if (const ObjectInfo* inner = f.hidden ? nullptr : ObjectIn(f); inner && !told.contains(inner))
      AppendSection(*inner, Below(path, f), std::min(level + 1, 5), told, out);
}

}  // namespace

std::string ReferenceMarkdown(const ObjectInfo& root, std::string_view title) {
  std::string out = fmt::format("# {}\n\n{}\n", title, root.sentence);
  std::set<const ObjectInfo*> told;
  AppendSection(root, {}, 2, told, out);
  return out;
}

}  // namespace picket::config
