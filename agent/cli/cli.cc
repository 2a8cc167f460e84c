// SPDX-License-Identifier: Apache-2.0
#include "agent/cli/cli.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "agent/config/load.h"
#include "agent/version.h"
#include "core/base/strings.h"
#include "core/config/describe.h"

namespace picket::agent {
namespace {

void Print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

int Check(const std::string& path, bool lenient, bool print) {
  Loaded loaded = LoadConfig(path, {lenient, {}});
  if (loaded.ok()) CheckFiles(loaded.config, loaded.diagnostics);
  const auto& d = loaded.diagnostics;
  if (!d.all().empty()) std::fprintf(stderr, "%s\n", d.Render().c_str());
  if (!loaded.ok()) return kExitUsage;
  if (print) Print(config::ToYaml(loaded.config));
  std::printf(
      "%s is good: %zu scrape jobs, %zu log entries, %zu rule patterns, %zu objectives files, %zu "
      "canaries\n",
      path.empty() ? "the empty configuration" : path.c_str(),
      loaded.config.collectors.scrape.scrape_configs.size(), loaded.config.collectors.logs.size(),
      loaded.config.rules.files.size(), loaded.config.rules.slos.size(),
      loaded.config.rules.canaries.size());
  return d.warnings() > 0 ? kExitLint : kExitOk;
}

int Explain(const std::string& key) {
  auto text = config::Explain(config::ObjectOf<RootConfig>(), key);
  if (!text) {
    std::fprintf(stderr, "%s\n", text.error().ToString().c_str());
    return kExitUsage;
  }
  Print(*text);
  return kExitOk;
}

/// CLI11 has no suggestions of its own.
int UsageError(const CLI::App& app, const CLI::ParseError& e, int argc, char** argv) {
  const int code = app.exit(e);
  if (code == 0) return kExitOk;
  std::vector<std::string> names;
  for (const CLI::App* sub : app.get_subcommands({})) names.push_back(sub->get_name());
  if (argc > 1)
    if (const std::string near = NearestName(argv[1], names); !near.empty() && near != argv[1])
      std::fprintf(stderr, "Did you mean \"picket %s\"?\n", near.c_str());
  return kExitUsage;
}

}  // namespace

int RunCli(int argc, char** argv) {
  CLI::App app{
      "Picket watches a node: it scrapes metrics, follows logs, takes traces, decides on them and "
      "forwards them.\n"
      "Without a configuration it watches the host it stands on and shows its page on "
      "127.0.0.1:9510."};
  app.name("picket");
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string("picket ") + kVersion);
  app.footer(
      "Exit codes: 0 ok, 1 failed while running, 2 wrong usage or configuration, 3 warnings only.");
  std::string path, key;
  bool lenient = false, print = false, markdown = false;

  auto* run = app.add_subcommand("run", "Run the agent until it is told to stop");
  run->add_option(
      "config", path,
      "Configuration: a YAML file, a folder of them, or a prometheus.yml; - is standard input");
  run->add_flag("--lenient", lenient, "Warn of what Picket cannot do yet instead of refusing it");
  auto* check = app.add_subcommand("check", "Check a configuration and the files it names");
  check->add_option("config", path, "Configuration")->required();
  check->add_flag("--lenient", lenient, "Warn of what Picket cannot do yet instead of refusing it");
  check->add_flag("--print", print, "Print what was read, without defaults and secrets");
  auto* explain =
      app.add_subcommand("explain", "Say what a setting means, its type, default and bounds");
  explain->add_option(
      "key", key,
      "Setting, as in collectors.scrape.scrape_configs.honor_labels; none lists the top");
  auto* schema = app.add_subcommand("schema", "Print the JSON Schema of the configuration");
  schema->add_flag("--markdown", markdown, "Print the reference page instead");
  app.add_subcommand("version", "Print the version");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return UsageError(app, e, argc, argv);
  }
  if (*run) return RunAgent(path.c_str(), lenient);
  if (*check) return Check(path, lenient, print);
  if (*explain) return Explain(key);
  if (*schema) {
    Print(markdown ? config::ReferenceMarkdown(config::ObjectOf<RootConfig>(), "Picket settings")
                   : config::JsonSchema(config::ObjectOf<RootConfig>(), "Picket"));
    return kExitOk;
  }
  std::printf("picket %s\n", kVersion);
  return kExitOk;
}

}  // namespace picket::agent
