// SPDX-License-Identifier: Apache-2.0
// Prometheus' own configuration files: what must load loads, what must be refused is refused. One
// case a file.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "agent/config/load.h"
#include "core/base/strings.h"
#include "picket_source_dir.h"

namespace picket::agent {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kUnsupported = "not supported by Picket yet: ";

fs::path Root() {
  const char* dir = std::getenv("PICKET_CONFORMANCE");
  return fs::path(dir ? dir : PICKET_SOURCE_DIR "/../shared/conformance") / "config";
}

Loaded Read(const fs::path& file, bool lenient) {
  LoadOptions options;
  options.lenient = lenient;
  options.env = [](const std::string&) { return std::nullopt; };
  return LoadConfig(file.string(), options);
}

bool NamesUnsupported(const Loaded& l) {
  return std::ranges::any_of(l.diagnostics.all(), [](const config::Diagnostic& d) {
    return d.cause.find(kUnsupported) != std::string::npos;
  });
}

/// Empty, or why the file is not treated as it should be.
std::string MustRefuse(const fs::path& file) {
  if (Read(file, false).ok()) return "was accepted";
  const Loaded lenient = Read(file, true);
  if (lenient.ok() && !NamesUnsupported(lenient)) return "was accepted under --lenient in silence";
  return {};
}

std::string MustLoad(const fs::path& file) {
  Loaded l = Read(file, true);
  if (!l.ok()) return l.diagnostics.Render();
  const Loaded strict = Read(file, false);
  for (const config::Diagnostic& d : strict.diagnostics.all())
    if (d.severity == config::Severity::kError && d.cause.find(kUnsupported) == std::string::npos)
      return "strict: " + d.cause;
  const std::string printed = config::ToYaml(l.config);
  if (printed.find("mysecret") != std::string::npos ||
      l.diagnostics.Render().find("mysecret") != std::string::npos)
    return "shows a secret";
  Loaded again = LoadConfig(config::MakeSource("printed", printed), {.lenient = true, .env = {}});
  if (!again.ok()) return "does not read back: " + again.diagnostics.Render() + printed;
  if (config::ToYaml(again.config) != printed) return "changes when read back:\n" + printed;
  return {};
}

std::string MustFailFully(const fs::path& file) {
  Loaded l = Read(file, true);
  if (!l.ok()) return "syntax: " + l.diagnostics.Render();
  CheckFiles(l.config, l.diagnostics);
  return l.ok() ? "the full check passed" : "";
}

std::string MustPassFully(const fs::path& file) {
  Loaded l = Read(file, true);
  CheckFiles(l.config, l.diagnostics);
  return l.ok() ? "" : l.diagnostics.Render();
}

std::string WebFile(const fs::path& file) {
  auto source = config::ReadSource(file.string());
  if (!source) return source.error().ToString();
  auto web = config::FromYaml<net::WebConfig>((*source)->text, file.string());
  return web ? "" : web.error().ToString();
}

struct Case {
  std::string name;
  std::function<std::string()> run;
};

bool SkippedFile(const std::string& name) {
  // For Windows, or a rule or target file that others read.
  return name == "rules_abs_path_windows.good.yml" || name.find("rules") == 0 ||
         name.starts_with("good-sd-file") || name.starts_with("bad-sd-file") ||
         name == "prometheus-config.rules.good.yml" || name == "prometheus-rules.lint.yml" ||
         !name.ends_with("yml");
}

std::vector<Case> Cases() {
  std::vector<Case> out;
  auto add = [&](std::string_view folder, const fs::path& p,
                 std::function<std::string(const fs::path&)> check) {
    out.push_back({fmt::format("{}/{}", folder, p.filename().string()),
                   [p, check = std::move(check)] { return check(p); }});
  };
  for (const char* folder : {"testdata", "testdata/scrape_configs", "examples", "promtool"}) {
    if (!fs::exists(Root() / folder)) continue;
    for (const auto& entry : fs::directory_iterator(Root() / folder)) {
      const std::string name = entry.path().filename().string();
      const std::string stem = name.substr(0, name.find(".yml"));
      if (!entry.is_regular_file() || (SkippedFile(name) && name != "rules_abs_path.good.yml"))
        continue;
      if (name == "web-config.yml") {
        add(folder, entry.path(), WebFile);
      } else if (std::string_view(folder) == "promtool") {
        if (stem == "prometheus-config.bad")
          add(folder, entry.path(), MustRefuse);
        else if (stem.starts_with("url_in_") && stem.ends_with(".bad"))
          add(folder, entry.path(), MustRefuse);
        else if (stem == "config_with_rule_files" || stem == "config_with_tls_files" ||
                 stem == "authorization_credentials_file.bad")
          add(folder, entry.path(), MustFailFully);
        else if (stem == "config_with_service_discovery_files" ||
                 stem == "authorization_credentials_file.good")
          add(folder, entry.path(), MustPassFully);
        else
          add(folder, entry.path(), MustLoad);
      } else if (stem.ends_with(".bad") || stem.ends_with(".incompatible") ||
                 stem == "config_with_deprecated_am_api_config") {
        add(folder, entry.path(), MustRefuse);
      } else {
        add(folder, entry.path(), MustLoad);
      }
    }
  }
  std::ranges::sort(out, {}, &Case::name);
  return out;
}

/// name -> reason
std::map<std::string, std::string> KnownFailures() {
  std::map<std::string, std::string> out;
  std::ifstream in(PICKET_SOURCE_DIR "/tests/data/config/known_failures.tsv");
  for (std::string line; std::getline(in, line);)
    if (const size_t tab = line.find('\t'); tab != std::string::npos && line[0] != '#')
      out[line.substr(0, tab)] = line.substr(tab + 1);
  return out;
}

TEST(Conformance, EveryFileIsReadAsPrometheusReadsIt) {
  if (!fs::exists(Root())) GTEST_SKIP() << "no conformance files at " << Root();
  const auto known = KnownFailures();
  size_t passed = 0;
  const std::vector<Case> cases = Cases();
  for (const Case& c : cases) {
    const std::string why = c.run();
    if (why.empty()) ++passed;
    auto it = known.find(c.name);
    if (!why.empty())
      std::cout << "config: failed " << c.name << ": " << (it != known.end() ? it->second : why)
                << "\n";
    if (it == known.end())
      EXPECT_EQ(why, "") << c.name;
    else
      EXPECT_NE(why, "") << c.name << " passes now: take it off the list of known failures";
  }
  std::cout << "config: passed " << passed << " of " << cases.size() << "\n";
  EXPECT_GT(cases.size(), 100u);
}

class Facts : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(Root())) GTEST_SKIP() << "no conformance files at " << Root();
  }
  Loaded Good(const std::string& name, std::map<std::string, std::string> env = {}) {
    LoadOptions options;
    options.lenient = true;
    options.env = [env](const std::string& n) -> std::optional<std::string> {
      auto it = env.find(n);
      return it == env.end() ? std::nullopt : std::optional(it->second);
    };
    Loaded l = LoadConfig((Root() / "testdata" / name).string(), options);
    EXPECT_TRUE(l.ok()) << l.diagnostics.Render();
    return l;
  }
  static std::vector<std::string> Jobs(const Loaded& l) {
    std::vector<std::string> out;
    for (const auto& job : l.config.collectors.scrape.scrape_configs) out.push_back(job.job_name);
    return out;
  }
};

TEST_F(Facts, ExternalLabelsTakeTheEnvironment) {
  EXPECT_EQ(Good("external_labels.good.yml").config.ExternalLabels().ToString(),
            R"({bar="foo", baz="foobar", qux="foo${TEST}", xyz="foo$bar"})");
  EXPECT_EQ(
      Good("external_labels.good.yml", {{"TEST", "TestValue"}}).config.ExternalLabels().ToString(),
      R"({bar="foo", baz="fooTestValuebar", foo="TestValue", qux="foo${TEST}", xyz="foo$bar"})");
}

TEST_F(Facts, ScrapeConfigFilesAreMergedInOrderWithTheirOwnDirectory) {
  EXPECT_THAT(Jobs(Good("scrape_config_files_combined.good.yml")),
              ::testing::ElementsAre("node", "prometheus", "alertmanager"));
  const Loaded only = Good("scrape_config_files_only.good.yml");
  EXPECT_FALSE(Jobs(only).empty());
  const Loaded glob = Good("scrape_config_files_glob.good.yml");
  ASSERT_FALSE(Jobs(glob).empty());
  bool own_directory = false;
  for (const auto& job : glob.config.collectors.scrape.scrape_configs)
    for (const std::string& file : {job.http.tls_config.cert_file})
      own_directory |= file.find("/testdata/scrape_configs/") != std::string::npos;
  EXPECT_TRUE(own_directory);
}

TEST_F(Facts, RulePathsAreRelativeToTheFile) {
  const auto files = Good("rules_abs_path.good.yml").config.rules.files;
  ASSERT_FALSE(files.empty());
  for (const std::string& f : files) EXPECT_TRUE(f.starts_with('/')) << f;
  EXPECT_EQ(files[0], (Root() / "testdata/first.rules").lexically_normal().string());
}

TEST_F(Facts, TheBigOneKeepsItsValues) {
  const Loaded l = Good("conf.good.yml");
  const RootConfig& c = l.config;
  EXPECT_EQ(c.rules.alerting.evaluation_interval, Milliseconds(30'000));
  EXPECT_EQ(c.limits.retention, Milliseconds(86'400'000));
  EXPECT_EQ(c.limits.store, 1_GiB);
  EXPECT_EQ(c.rules.files.size(), 2u);
  const auto& jobs = c.collectors.scrape.scrape_configs;
  ASSERT_GT(jobs.size(), 10u);
  EXPECT_EQ(jobs[0].relabel_configs.size(), 6u);
  EXPECT_EQ(jobs[0].relabel_configs[3].regex.pattern(), "");
  const auto s = collectors::scrape::Resolve(jobs[1], c.collectors.scrape.global);
  EXPECT_EQ(s.interval, Milliseconds(50'000));
  EXPECT_EQ(s.body_size_limit, 10u << 20);
  // Every kind of discovery that is asked for and missing is named.
  for (const char* kind :
       {"consul",    "kuma",     "marathon", "nomad",        "ec2",         "lightsail",
        "azure",     "nerve",    "triton",   "digitalocean", "dockerswarm", "oci",
        "openstack", "puppetdb", "hetzner",  "eureka",       "ovhcloud",    "scaleway",
        "linode",    "stackit",  "uyuni",    "ionos",        "vultr",       "outscale"})
    EXPECT_TRUE(std::ranges::any_of(l.diagnostics.all(), [&](const config::Diagnostic& d) {
      return d.path.find(std::string(kind) + "_sd_configs") != std::string::npos;
    })) << kind;
}

}  // namespace
}  // namespace picket::agent
