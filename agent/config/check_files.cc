// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "agent/config/load.h"
#include "rules/slo/config.h"

namespace picket::agent {
namespace {

/// Follows the declarations through a configuration and visits every file name in it.
class FileVisitor {
 public:
  explicit FileVisitor(config::Diagnostics& d) : diagnostics_(d) {}

  void Object(const config::ObjectInfo& info, const void* object, const std::string& path) {
    for (const config::FieldInfo& f : info.fields) {
      if (!f.type || IsDefault(info, f, object)) continue;
      const std::string here = path.empty() ? f.name : path + "." + f.name;
      Value(f, f.type, static_cast<const char*>(object) + f.offset, here);
    }
  }

 private:
  /// A file that nobody named may be absent: what reads it knows.
  static bool IsDefault(const config::ObjectInfo& info, const config::FieldInfo& f,
                        const void* object) {
    if (!f.path || f.type->kind != config::Kind::kString || !info.defaults) return false;
    const auto text = [&](const void* o) -> const std::string& {
      return *reinterpret_cast<const std::string*>(static_cast<const char*>(o) + f.offset);
    };
    return text(object) == text(info.defaults.get());
  }

  void Value(const config::FieldInfo& f, const config::TypeInfo* type, const void* value,
             const std::string& path) {
    if (type->kind == config::Kind::kObject) return Object(type->object(), value, path);
    if (type->each) {
      size_t i = 0;
      type->each(value, [&](const std::string& key, const void* v) {
        std::string here = path;
        if (type->kind == config::Kind::kList) here += fmt::format("[{}]", i++);
        if (type->kind == config::Kind::kMap) here += "." + key;
        Value(f, type->element(), v, here);
      });
      return;
    }
    if (f.path && type->kind == config::Kind::kString)
      File(f, *static_cast<const std::string*>(value), path);
  }

  /// Keys called *_file name one file that must be there; lists of files are watched and may come
  /// later.
  void File(const config::FieldInfo& f, const std::string& name, const std::string& path) {
    if (name.empty() || f.name == "data_dir" || path.starts_with("rules.")) return;
    const bool must = f.name.ends_with("_file");
    const std::vector<std::string> all = rules::alerting::ExpandGlob(name);
    if (all.empty() ||
        (!must && ::access(name.c_str(), F_OK) != 0 && all.size() == 1 && all[0] == name))
      return Add(config::Severity::kWarning, path, fmt::format("{} does not exist yet", name), {});
    for (const std::string& one : all)
      if (::access(one.c_str(), R_OK) != 0)
        Add(must ? config::Severity::kError : config::Severity::kWarning, path,
            fmt::format("{}: {}", one, std::strerror(errno)),
            "Create the file and let the user Picket runs as read it.");
  }

  void Add(config::Severity severity, const std::string& path, std::string cause,
           std::string remedy) {
    diagnostics_.Add({severity, nullptr, {}, path, std::move(cause), std::move(remedy), {}});
  }

  config::Diagnostics& diagnostics_;
};

void CheckRuleFiles(const RootConfig& c, config::Diagnostics& diagnostics) {
  for (size_t i = 0; i < c.rules.files.size(); ++i) {
    const std::string path = fmt::format("rules.files[{}]", i);
    const auto all = rules::alerting::ExpandGlob(c.rules.files[i]);
    if (all.empty())
      diagnostics.Add({config::Severity::kWarning,
                       nullptr,
                       {},
                       path,
                       fmt::format("{} names no file", c.rules.files[i]),
                       {},
                       {}});
    for (const std::string& file : all)
      if (auto groups = rules::alerting::LoadRuleFile(file, diagnostics, c.rules.reading); !groups)
        diagnostics.Add({config::Severity::kError,
                         nullptr,
                         {},
                         path,
                         groups.error().message(),
                         "Create the file, or remove it from the list.",
                         {}});
  }
}

void CheckSloFiles(const RootConfig& c, config::Diagnostics& diagnostics) {
  for (size_t i = 0; i < c.rules.slos.size(); ++i)
    for (const std::string& file : rules::alerting::ExpandGlob(c.rules.slos[i]))
      if (auto slos = rules::slo::LoadSloFile(file, diagnostics); !slos)
        diagnostics.Add({config::Severity::kError,
                         nullptr,
                         {},
                         fmt::format("rules.slos[{}]", i),
                         slos.error().message(),
                         "Create the file, or remove it from the list.",
                         {}});
}

}  // namespace

void CheckFiles(const RootConfig& config, config::Diagnostics& diagnostics) {
  FileVisitor(diagnostics).Object(config::ObjectOf<RootConfig>(), &config, {});
  CheckRuleFiles(config, diagnostics);
  CheckSloFiles(config, diagnostics);
}

}  // namespace picket::agent
