// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <deque>
#include <initializer_list>
#include <memory>
#include <utility>

#include "core/config/diagnostics.h"
#include "core/config/types.h"

namespace picket::config {

/// One setting, as declared. Everything that is said about it anywhere comes from here.
struct FieldInfo {
  struct Choice {
    std::string name;
    int64_t value;  ///< of an enumeration; else 0
  };
  std::string name;
  std::string sentence;
  size_t offset = 0;               ///< of the member in its object
  const TypeInfo* type = nullptr;  ///< null: a key that is only known by name
  bool required = false;
  bool expand = true;  ///< ${ENV} in the value
  bool expand_like_labels = false;
  bool null_is_empty = false;
  bool one_or_many = false;  ///< a list whose only item may stand without brackets
  bool any_case = false;
  bool non_empty = false;
  bool binary_units = false;
  bool path = false;
  bool hidden = false;
  std::string unsupported, deprecated, default_text, example;
  std::optional<long double> min, max;
  std::string min_text, max_text;
  std::vector<Choice> choices;
  std::vector<std::function<void(const void* value, Reporter&)>> checks;
};

/// The declared settings of one struct, without its type.
class ObjectInfo {
 public:
  std::string type_name;  ///< "scrape.ScrapeConfig", for schema references
  std::string sentence;
  bool extensions = false;  ///< keys that begin with x- are left alone
  std::vector<std::string> inlined;
  std::deque<FieldInfo> fields;
  struct Check {
    size_t offset;
    std::function<void(const void* object, Reporter&)> run;
  };
  std::vector<Check> checks;
  std::shared_ptr<const void> defaults;  ///< a default-constructed object

  const FieldInfo* Find(std::string_view name) const;
  FieldInfo& Add(std::string_view name, std::string_view text);
  void AddInlined(const ObjectInfo& inner, size_t offset);
};

namespace internal {
std::string TypeName(std::string_view pretty_function);
void SetBound(FieldInfo& f, bool is_min, const TypeInfo* type, const void* value);
}  // namespace internal

/// Says more about a setting just declared. M is the member's type; bounds and choices speak of
/// what is inside lists, maps and optionals.
template <class M>
class FieldRef {
 public:
  using Leaf = typename internal::LeafOf<M>::type;
  explicit FieldRef(FieldInfo& f) : f_(&f) {}

  FieldRef& Required() { return f_->required = true, *this; }
  FieldRef& Min(Leaf v) { return internal::SetBound(*f_, true, TypeOf<Leaf>(), &v), *this; }
  FieldRef& Max(Leaf v) { return internal::SetBound(*f_, false, TypeOf<Leaf>(), &v), *this; }
  /// A text, list or map that must not be empty when given.
  FieldRef& NonEmpty() { return f_->non_empty = true, *this; }
  /// The names an enumeration or a text may have.
  FieldRef& OneOf(std::initializer_list<std::pair<std::string_view, Leaf>> choices)
    requires std::is_enum_v<Leaf>
  {
    for (const auto& [name, value] : choices)
      f_->choices.push_back({std::string(name), static_cast<int64_t>(value)});
    return *this;
  }
  FieldRef& OneOf(std::initializer_list<std::string_view> choices)
    requires std::is_same_v<Leaf, std::string>
  {
    for (std::string_view name : choices) f_->choices.push_back({std::string(name), 0});
    return *this;
  }
  /// The names of OneOf in upper, lower or mixed case.
  FieldRef& AnyCase() { return f_->any_case = true, *this; }
  /// `what` is missing in Picket: giving the key is an error that names it, under --lenient a
  /// warning. A value equal to the default asks for nothing and passes.
  FieldRef& Unsupported(std::string_view what) { return f_->unsupported = what, *this; }
  /// Still read, with a warning that says what to write instead.
  FieldRef& Deprecated(std::string_view instead) { return f_->deprecated = instead, *this; }
  /// ${...} in the value is the value's own, as in a relabel replacement.
  FieldRef& NoExpand() { return f_->expand = false, *this; }
  /// Prometheus' rule for external label values: $NAME and ${NAME}, unset is empty, $$ is $.
  FieldRef& ExpandLikeExternalLabels() {
    return f_->expand = false, f_->expand_like_labels = true, *this;
  }
  /// A list of one may be written as its item.
  FieldRef& OneOrMany() { return f_->one_or_many = true, *this; }
  /// `key:` without a value is an empty text instead of "not given".
  FieldRef& NullIsEmpty() { return f_->null_is_empty = true, *this; }
  /// KB, MB, GB are powers of 1024, as Prometheus reads its size limits.
  FieldRef& BinaryUnits() { return f_->binary_units = true, *this; }
  /// A file name or glob: a relative one is taken from the directory of the file it is written in.
  FieldRef& Path() { return f_->path = true, *this; }
  /// What to show as the default when it depends on something else.
  FieldRef& DefaultText(std::string_view text) { return f_->default_text = text, *this; }
  FieldRef& Example(std::string_view text) { return f_->example = text, *this; }
  /// Not shown in the reference or the schema.
  FieldRef& Hidden() { return f_->hidden = true, *this; }
  /// Looks at the value when it is given; report with key "".
  FieldRef& Check(std::function<void(const M&, Reporter&)> check) {
    f_->checks.push_back([check = std::move(check)](const void* v, Reporter& r) {
      check(*static_cast<const M*>(v), r);
    });
    return *this;
  }

 private:
  FieldInfo* f_;
};

/// The table of a struct's settings; its owner fills it in `void Declare(config::Object<T>&)`, once
/// per program.
///
///   void Declare(config::Object<ProbeConfig>& o) {
///     o.Doc("Probes targets from outside.");
///     o.Field("interval", &ProbeConfig::interval, "How often a target is probed.").Min(1ms);
///     o.Field("module", &ProbeConfig::module, "What to speak.").OneOf({{"http", Module::kHttp}});
///     o.Inline(&ProbeConfig::http);  // the keys of another struct stand among these
///     o.Check([](const ProbeConfig& c, config::Reporter& r) {
///       if (c.timeout > c.interval) r.Error("timeout", "is above the interval", "Make it
///       shorter.");
///     });
///   }
///
/// Shape: T is default-constructible and its default values are the settings' defaults. Threads:
/// built once, then read-only.
template <class T>
class Object {
 public:
  explicit Object(ObjectInfo& info) : info_(info) {
    auto defaults = std::make_shared<T>();
    object_ = defaults.get();
    info_.defaults = std::move(defaults);
  }

  /// One sentence on the whole.
  Object& Doc(std::string_view sentence) { return info_.sentence = sentence, *this; }

  template <class M, class B>
  FieldRef<M> Field(std::string_view name, M B::* member, std::string_view sentence) {
    FieldInfo& f = info_.Add(name, sentence);
    f.offset = OffsetOf(member);
    f.type = TypeOf<M>();
    return FieldRef<M>(f);
  }
  /// The settings of a member struct stand among those of this one.
  template <class M, class B>
  void Inline(M B::* member) {
    info_.AddInlined(ObjectOf<M>(), OffsetOf(member));
  }
  /// A key known only by name, whose contents are not looked at.
  void Unsupported(std::string_view name, std::string_view what) {
    info_.Add(name, what).unsupported = what;
  }
  /// Runs after all fields were read without an error in them.
  void Check(std::function<void(const T&, Reporter&)> check) {
    info_.checks.push_back({0, [check = std::move(check)](const void* o, Reporter& r) {
                              check(*static_cast<const T*>(o), r);
                            }});
  }
  /// Keys that begin with x- are left alone, a place for anchors.
  void AllowExtensions() { info_.extensions = true; }

 private:
  template <class M, class B>
  size_t OffsetOf(M B::* member) const {
    return static_cast<size_t>(reinterpret_cast<const char*>(&(object_->*member)) -
                               reinterpret_cast<const char*>(object_));
  }
  ObjectInfo& info_;
  T* object_;
};

template <class T>
const ObjectInfo& ObjectOf() {
  static_assert(Declared<T>,
                "void Declare(config::Object<T>&) is to be declared beside the struct");
  static const ObjectInfo info = [](std::string_view function) {
    ObjectInfo made;
    made.type_name = internal::TypeName(function);
    Object<T> object(made);
    Declare(object);
    return made;
  }(__PRETTY_FUNCTION__);
  return info;
}

using Env = std::function<std::optional<std::string>(const std::string& name)>;
/// The environment of the process.
Env ProcessEnv();

struct LoadOptions {
  bool lenient = false;  ///< what Picket cannot do yet is a warning
  Env env = ProcessEnv();
};

/// Type-erased halves of the templates below.
bool LoadObject(const ObjectInfo& info, const Node& node, void* out, Diagnostics& diagnostics,
                const LoadOptions& options);
void CheckObject(const ObjectInfo& info, const void* object, Diagnostics& diagnostics);
enum class PrintWhat : uint8_t { kChanged, kAll };
Node ToNode(const ObjectInfo& info, const void* object, PrintWhat what);

/// Reads a tree into a struct: unknown keys, wrong types, bounds and checks are reported together.
/// Returns whether there was no error; `out` holds what could be read either way. A null node
/// leaves the defaults.
template <class T>
bool Load(const Node& node, T& out, Diagnostics& diagnostics, const LoadOptions& options = {}) {
  return LoadObject(ObjectOf<T>(), node, &out, diagnostics, options);
}
/// Reads a text; the error names every finding.
template <class T>
Result<T> FromYaml(std::string text, std::string name = "<text>", const LoadOptions& options = {}) {
  Diagnostics diagnostics;
  T out;
  if (auto node = ParseYaml(MakeSource(std::move(name), std::move(text)), diagnostics))
    Load(*node, out, diagnostics, options);
  if (diagnostics.HasErrors()) return Fail(diagnostics.ToError());
  return out;
}
/// Prints a struct as YAML that reads back as the same; secrets show as <secret>. kChanged leaves
/// defaults out.
template <class T>
std::string ToYaml(const T& value, PrintWhat what = PrintWhat::kChanged) {
  return EmitYaml(ToNode(ObjectOf<T>(), &value, what));
}
/// Runs the checks of a struct made by a program.
template <class T>
Status Validate(const T& value) {
  Diagnostics diagnostics;
  CheckObject(ObjectOf<T>(), &value, diagnostics);
  if (diagnostics.HasErrors()) return Fail(diagnostics.ToError());
  return {};
}

/// A secret given inline or as a file, read when it is used so that a rotated file is noticed; the
/// file's last line end does not count. Errors: kIo, kNotFound with the path; both empty is an
/// empty secret.
Result<Secret> SecretOrFile(const Secret& inline_value, const std::string& file);

}  // namespace picket::config
