// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "collectors/discovery/discoverer.h"
#include "collectors/discovery/file.h"
#include "tests/collectors/discovery/harness.h"

namespace picket::collectors::discovery {
namespace {

/// A folder of target files and a discoverer on it.
class Folder {
 public:
  Folder() {
    char name[] = "/tmp/picket-sd-XXXXXX";
    path_ = mkdtemp(name);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  /// Replaces a file in one step, as tools that write target files do.
  void Write(const std::string& file, const std::string& text) {
    std::ofstream(path_ + "/tmp") << text;
    std::filesystem::rename(path_ + "/tmp", path_ + "/" + file);
  }
  void Remove(const std::string& file) { std::filesystem::remove(path_ + "/" + file); }
  std::string operator/(const std::string& file) const { return path_ + "/" + file; }

 private:
  std::string path_;
};

TEST(Static, GivesItsGroupsOnce) {
  DiscoveryConfig config;
  config.static_configs = {{{"a:1", "b:2"}, Labels({{"env", "dev"}})}, {{"c:3"}, {}}};
  net::Runtime runtime(1);
  Telemetry telemetry;
  const Environment environment{runtime, SystemClock::Get(), telemetry, "shop"};
  auto discoverers = MakeDiscoverers(config, environment);
  ASSERT_EQ(discoverers.size(), 1u);
  EXPECT_TRUE(discoverers[0]->Poll());
  EXPECT_FALSE(discoverers[0]->Poll());
  EXPECT_EQ(Addresses(*discoverers[0]), (Names{"a:1", "b:2", "c:3"}));
  EXPECT_EQ(discoverers[0]->groups()[0].labels.Get("env"), "dev");
}

TEST(Files, FollowsWhatTheyHold) {
  Folder folder;
  ManualClock clock;
  FileDiscoverer d({{folder / "*.yml", folder / "x.json"}, std::chrono::minutes(5)}, clock);
  EXPECT_TRUE(d.Poll());
  EXPECT_TRUE(d.groups().empty());
  EXPECT_FALSE(d.Poll());

  folder.Write("a.yml", "- targets: ['h:1', 'h:2']\n  labels: {env: dev}\n");
  folder.Write("x.json", R"([{"targets": ["j:1"], "labels": {"zone": "eu \"1\""}}])");
  EXPECT_TRUE(d.Poll());
  EXPECT_EQ(Addresses(d), (Names{"h:1", "h:2", "j:1"}));
  EXPECT_EQ(d.groups()[0].labels.Get("__meta_filepath"), folder / "a.yml");
  EXPECT_EQ(d.groups()[1].labels.Get("zone"), "eu \"1\"");

  folder.Write("a.yml", "- targets: ['h:3']\n");
  EXPECT_TRUE(d.Poll());
  EXPECT_EQ(Addresses(d), (Names{"h:3", "j:1"}));
  folder.Remove("x.json");
  EXPECT_TRUE(d.Poll());
  EXPECT_EQ(Addresses(d), (Names{"h:3"}));
}

TEST(Files, ABadFileKeepsItsGroupsAndSaysWhere) {
  Folder folder;
  ManualClock clock;
  folder.Write("a.yml", "- targets: ['h:1']\n");
  FileDiscoverer d({{folder / "a.yml"}, std::chrono::minutes(5)}, clock);
  EXPECT_TRUE(d.Poll());
  folder.Write("a.yml", "- targets: ['h:2']\n- target: [h:3]\n");
  EXPECT_FALSE(d.Poll());
  EXPECT_EQ(Addresses(d), (Names{"h:1"}));
  ASSERT_EQ(d.errors().size(), 1u);
  EXPECT_NE(d.errors()[0].find("a.yml:2:"), std::string::npos) << d.errors()[0];
  EXPECT_NE(d.errors()[0].find("targets"), std::string::npos) << d.errors()[0];
  folder.Write("a.yml", "- targets: ['h:2']\n");
  EXPECT_TRUE(d.Poll());
  EXPECT_TRUE(d.errors().empty());
  EXPECT_EQ(Addresses(d), (Names{"h:2"}));
}

TEST(Files, ReadsAgainAfterTheRefreshInterval) {
  Folder folder;
  ManualClock clock;
  folder.Write("a.yml", "- targets: ['h:1']\n");
  FileDiscoverer d({{folder / "a.yml"}, std::chrono::minutes(5)}, clock);
  EXPECT_TRUE(d.Poll());
  EXPECT_EQ(d.poll_interval(), Milliseconds(1000));
  clock.Advance(std::chrono::minutes(6));
  EXPECT_FALSE(d.Poll());  // read, and nothing is different
}

TEST(Files, RefusesWhatIsNoListOfTargets) {
  const char* const bad[] = {"targets: [a]",
                             "- targets: a/b",
                             "- {targets: [a], labels: [b]}",
                             "- [",
                             "- 5",
                             "- {targets: [a], labels: {x: 1}, more: 1}"};
  for (const char* text : bad) EXPECT_FALSE(ParseTargetFile("f.yml", text)) << text;
  EXPECT_TRUE(ParseTargetFile("f.yml", ""));
  EXPECT_TRUE(ParseTargetFile("f.json", "[]"));
}

TEST(Files, VariablesAreNotReplaced) {
  const auto groups = ParseTargetFile("f.yml", "- targets: ['h:1']\n  labels: {a: '${HOME}'}\n");
  ASSERT_TRUE(groups);
  EXPECT_EQ((*groups)[0].labels.Get("a"), "${HOME}");
}

TEST(Config, ChecksPatterns) {
  EXPECT_TRUE(config::FromYaml<DiscoveryConfig>("file_sd_configs: [{files: [a/*.yml, b.json]}]"));
  EXPECT_FALSE(config::FromYaml<DiscoveryConfig>("file_sd_configs: [{files: ['a/*/b.yml']}]"));
  EXPECT_FALSE(config::FromYaml<DiscoveryConfig>("file_sd_configs: [{files: [a.txt]}]"));
  EXPECT_FALSE(config::FromYaml<DiscoveryConfig>("file_sd_configs: [{}]"));
  const auto nomad = config::FromYaml<DiscoveryConfig>("nomad_sd_configs: [{server: a}]");
  ASSERT_FALSE(nomad);
  EXPECT_NE(nomad.error().message().find("nomad"), std::string::npos);
}

}  // namespace
}  // namespace picket::collectors::discovery
