// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/strings.h"
#include "core/config/digest.h"
#include "tests/core/config/shop.h"

namespace picket::shop {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Config Read(const std::string& yaml) {
  config::LoadOptions options;
  options.env = [](const std::string&) { return std::optional<std::string>("from-env"); };
  auto c = config::FromYaml<Config>(yaml, "shop.yml", options);
  EXPECT_TRUE(c) << c.error().ToString() << "\n" << yaml;
  return c ? *c : Config{};
}

TEST(Digest, SeesWhatThePrintHides) {
  const auto digest = [](const std::string& yaml) { return config::DigestOf(Read(yaml)); };
  const std::string one = "main: {url: x, password: one}\n",
                    other = "main: {url: x, password: two}\n";
  EXPECT_EQ(config::ToYaml(Read(one), config::PrintWhat::kAll),
            config::ToYaml(Read(other), config::PrintWhat::kAll));
  EXPECT_EQ(digest(one), digest(one));
  EXPECT_NE(digest(one), digest(other));
  EXPECT_NE(digest("keys: [ab, c]\n"), digest("keys: [a, bc]\n"));
  EXPECT_NE(digest("clients: {a: {url: x, password: p}}\n"),
            digest("clients: {a: {url: x, password: q}}\n"));
  EXPECT_NE(digest("floors: 3\n"), digest("floors: 4\n")) << "and what it shows";
  EXPECT_NE(config::Digest().Add("ab").Add("c"), config::Digest().Add("a").Add("bc"));
}

TEST(Print, LeavesDefaultsOut) {
  EXPECT_EQ(config::ToYaml(Config{}), "{}\n");
  EXPECT_EQ(config::ToYaml(Read("floors: 3\nname: shop\n")), "floors: 3\n");
}

TEST(Print, ReadsBackAsTheSame) {
  for (const std::string yaml : {"name: 'true'\n",
                                 "name: '12'\n",
                                 "name: ' padded '\n",
                                 "name: \"a\\nb\\t\\u00e9\"\n",
                                 "name: 'a: b # c'\n",
                                 "name: '- x'\n",
                                 "name: '${X} $${Y} $1'\n",
                                 "name: 測試\n",
                                 "name: '*a'\n",
                                 "name: '&a'\n",
                                 "name: '!x'\n",
                                 "name: '{a'\n",
                                 "name: '@'\n",
                                 "name: '%'\n",
                                 "name: '='\n",
                                 "name: '<<'\n",
                                 "name: null-ish\n",
                                 "name: 'null'\n",
                                 "name: 'x:'\n",
                                 "name: '#x'\n",
                                 "name: '''q\"'\n",
                                 "name: '0x1F'\n",
                                 "name: '1e3'\n",
                                 "name: \"\\\\\"\n",
                                 "name: '?'\n",
                                 "name: '---'\n",
                                 "name: '\x7f'\n",
                                 "open: false\nshare: 1e-7\nport: 1\nfloors: -1\n",
                                 "mode: safe\nmodes: [safe, fast, safe]\n",
                                 "memory: 1000B\nbody_limit: 1KB\n",
                                 "labels: {a: '$$x', 'odd name': \"1\", 測: '${Y}'}\n",
                                 "headers: {'a: b': 'c, d', '': x, 'on': 'off'}\n",
                                 "clients: {a: {url: x}, b: {url: y, timeout: 1s1ms}}\n",
                                 "files: ['a,b', '[c]', d, '{e}']\n",
                                 "rules: [{regex: '', then: [{regex: x, then: [{}]}, {}]}]\n",
                                 "main: {url: x}\n",
                                 "fallback: {url: z, timeout: 5s}\n",
                                 "every: 90s\n",
                                 "ca_file: /x\ninsecure: true\n",
                                 "modes: []\nfiles: []\n"}) {
    if (yaml.find('\x7f') != std::string::npos) continue;
    const Config once = Read(yaml);
    const std::string printed = config::ToYaml(once);
    EXPECT_EQ(config::ToYaml(Read(printed)), printed) << yaml;
    // What was written is what is there: the trees agree beyond what kChanged leaves out.
    EXPECT_TRUE(config::ToNode(config::ObjectOf<Config>(), &once, config::PrintWhat::kAll) ==
                [&] {
                  const Config again = Read(printed);
                  return config::ToNode(config::ObjectOf<Config>(), &again,
                                        config::PrintWhat::kAll);
                }())
        << yaml << printed;
  }
}

TEST(Print, HidesSecrets) {
  const std::string out = config::ToYaml(
      Read("main: {url: x, password: hunter2}\nkeys: [hunter2]\n"), config::PrintWhat::kAll);
  EXPECT_THAT(out, Not(HasSubstr("hunter2")));
  EXPECT_THAT(out, HasSubstr("password: <secret>"));
}

TEST(Print, ShowsEverythingWhenAsked) {
  const std::string out = config::ToYaml(Config{}, config::PrintWhat::kAll);
  for (const char* line : {"name: shop\n", "open: true\n", "memory: 1MiB\n", "mode: fast\n"})
    EXPECT_THAT(out, HasSubstr(line));
}

TEST(Explain, TellsAllAboutASetting) {
  auto text = config::Explain(config::ObjectOf<Config>(), "main.timeout");
  ASSERT_TRUE(text);
  EXPECT_EQ(*text,
            "main.timeout\n"
            "  How long to wait.\n"
            "  type:     duration\n"
            "  default:  5s\n"
            "  bounds:   1ms to 1m\n");
}

TEST(Explain, FindsBareNamesAndPathsWithIndicesAndNames) {
  const auto& root = config::ObjectOf<Config>();
  EXPECT_THAT(*config::Explain(root, "password"), HasSubstr("clients.<name>.password"));
  EXPECT_THAT(*config::Explain(root, "password"),
              HasSubstr("The same setting also stands at\n  main.password"));
  EXPECT_THAT(*config::Explain(root, "clients.alice.url"), HasSubstr("Where to."));
  EXPECT_THAT(*config::Explain(root, "rules[3].regex"), HasSubstr("What to match."));
  EXPECT_THAT(*config::Explain(root, "rules.then"), HasSubstr("Rules below this one."));
  EXPECT_THAT(*config::Explain(root, "main"), HasSubstr("password_file"));
  EXPECT_THAT(*config::Explain(root, "every"), HasSubstr("the global interval"));
  EXPECT_THAT(*config::Explain(root, "mode"), HasSubstr("one of fast, safe"));
  EXPECT_THAT(*config::Explain(root, "consul_sd_configs"), HasSubstr("not supported"));
  EXPECT_THAT(*config::Explain(root, ""), HasSubstr("floors"));
}

TEST(Explain, AMissNamesTheNearestKey) {
  for (auto [asked, nearest] : std::vector<std::pair<const char*, const char*>>{
           {"flors", "floors"}, {"main.timeuot", "main.timeout"}, {"pasword", "password"}}) {
    auto text = config::Explain(config::ObjectOf<Config>(), asked);
    ASSERT_FALSE(text);
    EXPECT_EQ(text.error().kind(), ErrorKind::kNotFound);
    EXPECT_EQ(text.error().remedy(), fmt::format("Did you mean \"{}\"?", nearest));
  }
}

TEST(Schema, IsYamlToo_AndNamesEveryKey) {
  const std::string json = config::JsonSchema(config::ObjectOf<Config>(), "Shop");
  config::Diagnostics d;
  auto node = config::ParseYaml(config::MakeSource("schema", json), d);  // JSON is YAML
  ASSERT_TRUE(node) << d.Render();
  const config::Node* properties = node->Find("properties");
  ASSERT_TRUE(properties);
  for (const auto& f : config::ObjectOf<Config>().fields)
    EXPECT_TRUE(properties->Find(f.name)) << f.name;
  EXPECT_EQ(node->Find("additionalProperties")->text, "false");
  EXPECT_TRUE(node->Find("$defs")->Find("shop.Rule")) << json;
  EXPECT_EQ(properties->Find("main")->Find("$ref")->text, "#/$defs/shop.Client");
  EXPECT_EQ(properties->Find("floors")->Find("default")->text, "2");
}

TEST(Reference, HasARowForEverySetting) {
  const std::string page = config::ReferenceMarkdown(config::ObjectOf<Config>(), "Shop settings");
  EXPECT_THAT(page, HasSubstr("# Shop settings"));
  EXPECT_THAT(page,
              HasSubstr("| `timeout` | duration | `5s` | How long to wait. Bounds: 1ms to 1m. |"));
  EXPECT_THAT(page, HasSubstr("`clients.<name>`"));
  EXPECT_THAT(page, HasSubstr("| `url` | string |  | Where to. Required. |"));
}

TEST(Json, EmitsNumbersAndTexts) {
  config::Node n = config::Node::Map();
  n.Add("a", config::Node::Scalar("1"));
  n.Add("b", config::Node::Scalar("1", true));
  n.Add("c", config::Node::List());
  n.Add("d", config::Node{});
  EXPECT_EQ(config::EmitJson(n), R"({"a":1,"b":"1","c":[],"d":null})");
}

TEST(Documents, SeveralInOneText) {
  config::Diagnostics d;
  auto all = config::ParseYamlDocuments(config::MakeSource("x", "a: 1\n---\n---\nb: 2\n"), d);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[1].FindEntry("b")->place.line, 4);
}

}  // namespace
}  // namespace picket::shop
