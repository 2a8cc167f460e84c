// SPDX-License-Identifier: Apache-2.0
#include "agent/config/load.h"

#include <fmt/format.h>
#include <glob.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <iterator>

#include "agent/config/adopt.h"
#include "core/base/hash.h"

namespace picket::agent {
namespace {

namespace fs = std::filesystem;
using config::Node;

class Reader {
 public:
  Reader(const LoadOptions& options, Loaded& out) : out_(out) {
    options_.lenient = options.lenient;
    options_.env = options.env ? options.env : AgentEnv();
  }

  void Path(const std::string& path) {
    std::error_code ec;
    if (path.empty()) return;
    if (path == "-") {
      std::string text{std::istreambuf_iterator<char>(std::cin), {}};
      return Text(config::MakeSource("<stdin>", std::move(text), fs::current_path(ec).string()));
    }
    if (!fs::is_directory(path, ec)) return File(path, nullptr);
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(path, ec))
      if (const auto ext = entry.path().extension();
          (ext == ".yml" || ext == ".yaml") && !entry.path().filename().string().starts_with('.'))
        names.push_back(entry.path().string());
    if (ec) Fault(path, fmt::format("cannot be listed: {}", ec.message()));
    std::ranges::sort(names);
    for (const std::string& name : names) File(name, nullptr);
  }

  void Text(const config::SourcePtr& source) {
    out_.hash = Hash64(source->text, out_.hash);
    if (auto node = config::ParseYaml(source, out_.diagnostics))
      internal::Merge(root_, *std::move(node), out_.diagnostics);
  }

  void Finish() {
    IncludeScrapeFiles();
    const internal::Adopted adopted = internal::AdoptPrometheus(root_, out_.diagnostics);
    out_.prometheus = adopted.any;
    config::Load(root_, out_.config, out_.diagnostics, options_);
    internal::RestorePaths(adopted, out_.diagnostics);
    Settle();
  }

 private:
  void Fault(const std::string& name, std::string cause) {
    config::Diagnostic d;
    d.source = config::MakeSource(name, {});
    d.cause = std::move(cause);
    out_.diagnostics.Add(std::move(d));
  }

  /// Reads a file; `at` is the place that names it.
  void File(const std::string& path, const Node* at) {
    auto source = config::ReadSource(path);
    if (source) return Text(*source);
    if (at)
      out_.diagnostics.Error(*at, "scrape_config_files", source.error().message(), {});
    else
      Fault(path, source.error().message());
  }

  /// Their scrape_configs are appended as if they stood in the main file.
  void IncludeScrapeFiles() {
    const Node* files = root_.IsMap() ? root_.Find("scrape_config_files") : nullptr;
    if (!files || !files->IsList()) return;  // anything else is reported when it is read
    const Node list = *files;
    for (const Node& item : list.items) {
      if (!item.IsScalar()) continue;
      fs::path pattern = item.text;
      if (pattern.is_relative() && item.source)
        pattern = fs::path(item.source->directory) / pattern;
      for (const std::string& name :
           rules::alerting::ExpandGlob(pattern.lexically_normal().string()))
        ScrapeFile(name, item);
    }
  }

  void ScrapeFile(const std::string& name, const Node& at) {
    auto source = config::ReadSource(name);
    if (!source) {
      out_.diagnostics.Error(at, "scrape_config_files", source.error().message(),
                             "Remove it, or create the file.");
      return;
    }
    out_.hash = Hash64((*source)->text, out_.hash);
    auto node = config::ParseYaml(*source, out_.diagnostics);
    if (!node || node->IsNull()) return;
    if (node->IsMap())
      for (const Node::Entry& e : node->entries)
        if (e.key != "scrape_configs")
          out_.diagnostics.Add({config::Severity::kError,
                                e.source,
                                e.place,
                                {},
                                fmt::format("unknown key \"{}\"", e.key),
                                "A file of scrape_config_files holds scrape_configs only.",
                                {}});
    if (node->IsMap())
      std::erase_if(node->entries, [](const Node::Entry& e) { return e.key != "scrape_configs"; });
    internal::Merge(root_, *std::move(node), out_.diagnostics);
  }

  bool IsSet(std::string_view a, std::string_view b, std::string_view c) const {
    const Node* n = root_.Find(a);
    n = n ? n->Find(b) : nullptr;
    return n && n->Find(c) && !n->Find(c)->IsNull();
  }

  /// What one section says for another.
  void Settle() {
    RootConfig& c = out_.config;
    const auto& global = c.collectors.scrape.global;
    if (!IsSet("rules", "alerting", "evaluation_interval"))
      c.rules.alerting.evaluation_interval = global.evaluation_interval;
    if (!IsSet("rules", "alerting", "query_offset"))
      c.rules.alerting.query_offset = global.rule_query_offset;
    c.rules.reading.legacy_names =
        global.defaults.metric_name_validation_scheme == collectors::scrape::NameScheme::kLegacy;
    // A prometheus.yml that runs as it is has no series it did not ask for.
    const Node* collectors = root_.Find("collectors");
    if (out_.prometheus && !(collectors && collectors->Find("host")))
      c.collectors.host.enabled = false;
    c.prometheus.scrape_config_files.clear();
  }

  config::LoadOptions options_;
  Loaded& out_;
  Node root_;
};

bool CanWrite(const std::string& dir) {
  std::error_code ec;
  fs::create_directories(dir, ec);
  return fs::is_directory(dir, ec) && ::access(dir.c_str(), W_OK | X_OK) == 0;
}

}  // namespace

config::Env AgentEnv() {
  return [process = config::ProcessEnv()](const std::string& name) -> std::optional<std::string> {
    auto value = process(name);
    if (!value && name == "HOSTNAME") value = RootConfig{}.NodeName();
    return value;
  };
}

Loaded LoadConfig(const std::string& path, const LoadOptions& options) {
  Loaded out;
  Reader reader(options, out);
  reader.Path(path);
  reader.Finish();
  return out;
}

Loaded LoadConfig(const config::SourcePtr& source, const LoadOptions& options) {
  Loaded out;
  Reader reader(options, out);
  reader.Text(source);
  reader.Finish();
  return out;
}

Result<std::string> DataDir(const NodeConfig& node, const config::Env& env) {
  std::vector<std::string> candidates;
  if (!node.data_dir.empty()) {
    candidates.push_back(node.data_dir);
  } else {
    if (auto d = env("STATE_DIRECTORY"); d && !d->empty())
      candidates.push_back(d->substr(0, d->find(':')));
    candidates.emplace_back("/var/lib/picket");
    if (auto d = env("XDG_STATE_HOME"); d && !d->empty()) candidates.push_back(*d + "/picket");
    if (auto d = env("HOME"); d && !d->empty() && *d != "/")
      candidates.push_back(*d + "/.local/state/picket");
    candidates.push_back(fmt::format("/tmp/picket-{}", ::getuid()));
  }
  for (const std::string& dir : candidates)
    if (CanWrite(dir)) return dir;
  return Fail(Error(ErrorKind::kIo, fmt::format("no directory for state can be written: {}",
                                                fmt::join(candidates, ", ")))
                  .Remedy("Set node.data_dir to a directory that this user may write."));
}

}  // namespace picket::agent
