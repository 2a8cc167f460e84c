// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "agent/config/load.h"
#include "core/config/describe.h"

namespace picket::agent {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Loaded Read(std::string text, bool lenient = false) {
  return LoadConfig(config::MakeSource("picket.yml", std::move(text), "/etc/picket"),
                    {.lenient = lenient, .env = {}});
}

class Folder {
 public:
  Folder() : path_(fs::temp_directory_path() / fmt::format("picket-config-{}", ::getpid())) {
    fs::remove_all(path_);
    fs::create_directories(path_);
  }
  ~Folder() { fs::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string Write(const std::string& name, const std::string& text) {
    fs::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name) << text;
    return (path_ / name).string();
  }
  std::string path() const { return path_.string(); }

 private:
  fs::path path_;
};

TEST(Root, AnEmptyFileHasTheDefaultsOfTheDesign) {
  for (const Loaded& l : {Read(""), LoadConfig("")}) {
    EXPECT_TRUE(l.ok()) << l.diagnostics.Render();
    EXPECT_EQ(l.config.node.listen, "127.0.0.1:9510");
    EXPECT_EQ(l.config.limits.memory, 128_MiB);
    EXPECT_EQ(l.config.limits.disk, 2_GiB);
    EXPECT_EQ(l.config.limits.retention, Milliseconds(2 * 3'600'000));
    EXPECT_FALSE(l.config.NodeName().empty());
    EXPECT_TRUE(l.config.collectors.scrape.scrape_configs.empty());
    EXPECT_FALSE(l.config.collectors.otlp.has_value());
    EXPECT_TRUE(l.config.collectors.host.enabled);
  }
}

TEST(Root, ReadsItsOwnForm) {
  Loaded l = Read(R"(
node: {name: "n-${HOSTNAME}", labels: {env: dev}, data_dir: state, listen: "0.0.0.0:9510"}
limits: {memory: 64MiB, disk: 1GiB}
collectors:
  scrape:
    global: {scrape_interval: 15s, external_labels: {region: eu}}
    scrape_configs:
    - job_name: shop
      static_configs: [{targets: [localhost:9100]}]
  logs: [{files: [/var/log/pods/*/*/*.log], format: cri}]
  otlp: {}
rules:
  files: [rules/*.yml]
  slos: [slo/*.yml]
)");
  ASSERT_TRUE(l.ok()) << l.diagnostics.Render();
  const RootConfig& c = l.config;
  EXPECT_EQ(c.node.name, "n-" + RootConfig{}.NodeName());
  EXPECT_EQ(c.node.data_dir, "/etc/picket/state");
  EXPECT_EQ(c.ExternalLabels().ToString(), R"({env="dev", region="eu"})");
  EXPECT_EQ(c.collectors.scrape.scrape_configs.at(0).job_name, "shop");
  EXPECT_EQ(c.collectors.logs.at(0).files.at(0), "/var/log/pods/*/*/*.log");
  EXPECT_EQ(c.collectors.otlp->grpc, "127.0.0.1:4317");
  EXPECT_THAT(c.rules.files, ElementsAre("/etc/picket/rules/*.yml"));
  EXPECT_FALSE(l.prometheus);
}

TEST(Root, APrometheusFileFillsTheSameComponents) {
  Loaded l = Read(R"(
global: {scrape_interval: 15s, evaluation_interval: 20s, rule_query_offset: 7s, external_labels: {region: eu}}
scrape_configs:
- job_name: shop
  static_configs: [{targets: [localhost:9100]}]
rule_files: [rules.yml]
storage: {tsdb: {retention: {time: 6h, size: 1GB}}}
)");
  ASSERT_TRUE(l.ok()) << l.diagnostics.Render();
  EXPECT_TRUE(l.prometheus);
  EXPECT_FALSE(l.config.collectors.host.enabled) << "no series that were not asked for";
  EXPECT_TRUE(Read("global: {}\ncollectors: {host: {}}\n").config.collectors.host.enabled);
  EXPECT_EQ(l.config.collectors.scrape.scrape_configs.at(0).job_name, "shop");
  EXPECT_EQ(l.config.rules.alerting.evaluation_interval, Milliseconds(20'000));
  EXPECT_EQ(l.config.rules.alerting.query_offset, Milliseconds(7'000));
  EXPECT_THAT(l.config.rules.files, ElementsAre("/etc/picket/rules.yml"));
  EXPECT_EQ(l.config.limits.retention, Milliseconds(6 * 3'600'000));
  EXPECT_EQ(l.config.limits.store, 1_GiB);
}

TEST(Root, FindingsOfAPrometheusFileUseItsNames) {
  Loaded l = Read("scrape_configs:\n- job_name: a\n  scrape_intervall: 1s\n");
  EXPECT_THAT(
      l.diagnostics.Render(),
      HasSubstr("picket.yml:3:3: error: scrape_configs[0]: unknown key \"scrape_intervall\""));
  l = Read("collectors: {scrape: {scrape_configs: [{job_name: a, x: 1}]}}\n");
  EXPECT_THAT(l.diagnostics.Render(),
              HasSubstr("error: collectors.scrape.scrape_configs[0]: unknown key \"x\""));
}

TEST(Root, BothFormsMayStandTogetherButNotTwice) {
  Loaded l = Read(
      "scrape_configs: [{job_name: a}]\n"
      "collectors: {scrape: {scrape_configs: [{job_name: b}], global: {scrape_interval: 1s}}}\n");
  EXPECT_TRUE(l.ok()) << l.diagnostics.Render();
  EXPECT_EQ(l.config.collectors.scrape.scrape_configs.size(), 2u);
  l = Read(
      "global: {scrape_interval: 1s}\n"
      "collectors: {scrape: {global: {scrape_interval: 2s}}}\n");
  EXPECT_THAT(l.diagnostics.Render(), HasSubstr("is set twice, first at picket.yml:2"));
  l = Read("scrape_configs: [{job_name: a}, {job_name: a}]\n");
  EXPECT_THAT(l.diagnostics.Render(), HasSubstr("another job's name already"));
}

TEST(Root, WhatIsMissingIsNamedAndNeverIgnored) {
  const std::string text =
      "remote_read: [{url: http://x}]\ntracing: {endpoint: x}\nruntime: {gogc: 42}\n"
      "storage: {tsdb: {out_of_order_time_window: 30m}}\n"
      "otlp: {promote_scope_metadata: true}\n"
      "scrape_configs: [{job_name: a, consul_sd_configs: [{server: x, token: hunter2}]}]\n";
  Loaded strict = Read(text);
  EXPECT_EQ(strict.diagnostics.errors(), 6u) << strict.diagnostics.Render();
  Loaded lenient = Read(text, true);
  EXPECT_TRUE(lenient.ok()) << lenient.diagnostics.Render();
  EXPECT_EQ(lenient.diagnostics.warnings(), 6u);
  for (const char* what : {"remote read", "tracing of the agent itself", "Go garbage collector",
                           "out of order", "OTLP metrics", "consul"})
    EXPECT_THAT(lenient.diagnostics.Render(), HasSubstr(what));
}

TEST(Root, MisspeltKeysFindTheirNearest) {
  EXPECT_THAT(Read("colectors: {}\n").diagnostics.Render(), HasSubstr("did you mean: collectors"));
  EXPECT_THAT(Read("scrape_config: []\n").diagnostics.Render(),
              HasSubstr("did you mean: scrape_configs"));
  EXPECT_THAT(Read("limits: {memmory: 1GiB}\n").diagnostics.Render(),
              HasSubstr("did you mean: memory"));
}

TEST(Root, BadAddressesAreRefused) {
  for (const char* bad : {"9510", "localhost", "::1:80", "a:b", "a:70000", "a:"})
    EXPECT_THAT(Read(fmt::format("node: {{listen: '{}'}}\n", bad)).diagnostics.Render(),
                HasSubstr("not an address and a port"))
        << bad;
  for (const char* good : {":9510", "0.0.0.0:0", "[::1]:9510", "localhost:80"})
    EXPECT_TRUE(Read(fmt::format("node: {{listen: '{}'}}\n", good)).ok()) << good;
}

TEST(Directory, FilesAreOneConfigurationInTheOrderOfTheirNames) {
  Folder f;
  f.Write("20-more.yml",
          "collectors: {scrape: {scrape_configs: [{job_name: b}]}}\nrules: {files: [r2.yml]}\n");
  f.Write("10-base.yaml",
          "node: {name: x}\ncollectors: {scrape: {scrape_configs: [{job_name: a}]}}\nrules: "
          "{files: [r1.yml]}\n");
  f.Write(".hidden.yml", "nonsense: 1\n");
  f.Write("notes.txt", "nonsense: 1\n");
  Loaded l = LoadConfig(f.path());
  ASSERT_TRUE(l.ok()) << l.diagnostics.Render();
  EXPECT_EQ(l.config.node.name, "x");
  EXPECT_EQ(l.config.collectors.scrape.scrape_configs.at(1).job_name, "b");
  EXPECT_THAT(l.config.rules.files, ElementsAre(f.path() + "/r1.yml", f.path() + "/r2.yml"));
  const uint64_t before = l.hash;
  f.Write("30-clash.yml", "node: {name: y}\n");
  l = LoadConfig(f.path());
  EXPECT_NE(l.hash, before);
  EXPECT_THAT(
      l.diagnostics.Render(),
      HasSubstr(fmt::format(
          "{0}/30-clash.yml:1:8: error: node.name: is set twice, first at {0}/10-base.yaml:1",
          f.path())));
}

TEST(Directory, AMissingFileIsAnErrorWithItsName) {
  Loaded l = LoadConfig("/nonexistent/picket.yml");
  EXPECT_FALSE(l.ok());
  EXPECT_THAT(l.diagnostics.Render(), HasSubstr("/nonexistent/picket.yml"));
}

TEST(ScrapeConfigFiles, AreReadFromTheirOwnDirectory) {
  Folder f;
  f.Write("jobs/one.yml",
          "scrape_configs:\n- job_name: one\n  tls_config: {ca_file: ca.pem}\n  file_sd_configs: "
          "[{files: [t.yml]}]\n");
  const std::string main = f.Write(
      "prometheus.yml", "scrape_config_files: [jobs/*.yml]\nscrape_configs: [{job_name: zero}]\n");
  Loaded l = LoadConfig(main);
  ASSERT_TRUE(l.ok()) << l.diagnostics.Render();
  const auto& jobs = l.config.collectors.scrape.scrape_configs;
  ASSERT_EQ(jobs.size(), 2u);
  EXPECT_EQ(jobs[1].http.tls_config.ca_file, f.path() + "/jobs/ca.pem");
  EXPECT_EQ(jobs[1].discovery.file_sd_configs[0].files[0], f.path() + "/jobs/t.yml");
  f.Write("jobs/two.yml", "scrape_configs: [{job_name: zero}]\nglobal: {}\n");
  l = LoadConfig(main);
  EXPECT_THAT(l.diagnostics.Render(), HasSubstr("jobs/two.yml:1:"));
  EXPECT_THAT(l.diagnostics.Render(), HasSubstr("holds scrape_configs only"));
}

TEST(Files, TheFullCheckLooksAtWhatIsNamed) {
  Folder f;
  const std::string main =
      f.Write("picket.yml",
              "rule_files: [good.yml, bad.yml, gone.yml, none*.yml]\n"
              "scrape_configs:\n- job_name: a\n  authorization: {credentials_file: token}\n"
              "  file_sd_configs: [{files: [later.yml]}]\n");
  f.Write("good.yml", "groups: [{name: g, rules: [{record: a:b, expr: up}]}]\n");
  f.Write("bad.yml", "groups: [{name: g, rules: [{record: a:b, expr: 'up +'}]}]\n");
  Loaded l = LoadConfig(main);
  ASSERT_TRUE(l.ok()) << l.diagnostics.Render();
  CheckFiles(l.config, l.diagnostics);
  const std::string text = l.diagnostics.Render();
  EXPECT_EQ(l.diagnostics.errors(), 3u) << text;
  for (const char* s : {"bad.yml:1:", "gone.yml", "/token: No such file", "none*.yml names no file",
                        "later.yml does not exist yet"})
    EXPECT_THAT(text, HasSubstr(s));
}

TEST(Files, ADefaultPathThatIsNotThereIsNoFinding) {
  Folder f;
  Loaded l = LoadConfig(f.Write("picket.yml", "node: {name: a}\n"));
  ASSERT_TRUE(l.ok()) << l.diagnostics.Render();
  CheckFiles(l.config, l.diagnostics);
  EXPECT_EQ(l.diagnostics.warnings(), 0u) << l.diagnostics.Render();
  l.config.collectors.host.udev_data = f.path() + "/none";
  CheckFiles(l.config, l.diagnostics);
  EXPECT_EQ(l.diagnostics.warnings(), 1u) << l.diagnostics.Render();
}

TEST(Files, RuleFilesAreLinted) {
  Folder f;
  const std::string main = f.Write("prometheus.yml", "rule_files: [rules.yml]\n");
  f.Write(
      "rules.yml",
      "groups:\n- name: g\n  rules:\n  - {record: a:b, expr: up}\n  - {record: a:b, expr: up}\n");
  Loaded l = LoadConfig(main);
  CheckFiles(l.config, l.diagnostics);
  ASSERT_TRUE(l.ok()) << l.diagnostics.Render();
  EXPECT_EQ(l.diagnostics.warnings(), 1u);
  EXPECT_THAT(l.diagnostics.Render(), HasSubstr("rules.yml:5:"));
}

TEST(Files, LegacyNamesHoldForRulesToo) {
  Folder f;
  f.Write("rules.yml", "groups: [{name: g, rules: [{record: a.b, expr: up}]}]\n");
  for (const bool legacy : {false, true}) {
    Loaded l = LoadConfig(
        f.Write("prometheus.yml", fmt::format("global: {{metric_name_validation_scheme: {}}}\n"
                                              "rule_files: [rules.yml]\n",
                                              legacy ? "legacy" : "utf8")));
    ASSERT_TRUE(l.ok()) << l.diagnostics.Render();
    CheckFiles(l.config, l.diagnostics);
    EXPECT_EQ(l.ok(), !legacy) << l.diagnostics.Render();
  }
}

TEST(DataDir, IsTheFirstThatCanBeWritten) {
  Folder f;
  NodeConfig node;
  node.data_dir = f.path() + "/a/b";
  EXPECT_EQ(DataDir(node).value(), node.data_dir);
  EXPECT_TRUE(fs::is_directory(node.data_dir));
  const std::string file = f.Write("file", "x");
  node.data_dir = file + "/below";
  auto failed = DataDir(node);
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().ToString(), HasSubstr("no directory for state can be written"));
  node.data_dir.clear();
  auto env = [&](const std::string& name) -> std::optional<std::string> {
    if (name == "STATE_DIRECTORY") return f.path() + "/state:/other";
    return std::nullopt;
  };
  EXPECT_EQ(DataDir(node, env).value(), f.path() + "/state");
}

TEST(Describe, EverythingIsExplained) {
  const auto& root = config::ObjectOf<RootConfig>();
  EXPECT_THAT(*config::Explain(root, "limits.memory"), HasSubstr("default:  128MiB"));
  EXPECT_THAT(*config::Explain(root, "scrape_interval"),
              HasSubstr("How often a target is scraped."));
  EXPECT_THAT(*config::Explain(root, "modulus"), HasSubstr("relabel_configs[].modulus"));
  EXPECT_FALSE(config::Explain(root, "limits.memmory"));
  const std::string schema = config::JsonSchema(root, "Picket");
  config::Diagnostics d;
  EXPECT_TRUE(config::ParseYaml(config::MakeSource("schema", schema), d)) << d.Render();
  EXPECT_THAT(config::ReferenceMarkdown(root, "Settings"),
              HasSubstr("| `memory` | size | `128MiB` |"));
}

}  // namespace
}  // namespace picket::agent
