// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "tests/core/config/shop.h"

namespace picket::shop {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

config::LoadOptions WithEnv(std::map<std::string, std::string> env, bool lenient = false) {
  config::LoadOptions o;
  o.lenient = lenient;
  o.env = [env = std::move(env)](const std::string& name) -> std::optional<std::string> {
    auto it = env.find(name);
    return it == env.end() ? std::nullopt : std::optional(it->second);
  };
  return o;
}

struct Loaded {
  Config config;
  config::Diagnostics diagnostics;
  std::string Text() const { return diagnostics.Render(); }
};

Loaded Read(std::string text, config::LoadOptions options = WithEnv({}), std::string dir = {}) {
  Loaded l;
  auto source = config::MakeSource("shop.yml", std::move(text), std::move(dir));
  if (auto node = config::ParseYaml(source, l.diagnostics))
    config::Load(*node, l.config, l.diagnostics, options);
  return l;
}

TEST(Load, ReadsEveryKindOfSetting) {
  Loaded l = Read(R"(
name: "corner \"1\""
open: no
floors: -1
port: 8080
share: 0.25
mode: safe
modes: [safe, fast]
memory: 64MiB
body_limit: 1.5MB
labels: {b: 2, a: x}
headers: {X-One: 1}
clients:
  alice: {url: http://a, timeout: 1m}
files: [a.yml, /b.yml]
rules:
  - regex:
    then: [{regex: inner}]
main: {url: http://m, password: s3cret}
every: 1h30m
fallback: {url: http://f}
ca_file: ca.pem
keys: [k1, k2]
x-mine: [anything, {at: all}]
)",
                  WithEnv({}), "/etc/shop");
  ASSERT_EQ(l.Text(), "");
  const Config& c = l.config;
  EXPECT_EQ(c.name, "corner \"1\"");
  EXPECT_FALSE(c.open);
  EXPECT_EQ(c.floors, -1);
  EXPECT_EQ(c.port, 8080);
  EXPECT_EQ(c.share, 0.25);
  EXPECT_EQ(c.mode, Mode::kSafe);
  EXPECT_THAT(c.modes, ElementsAre(Mode::kSafe, Mode::kFast));
  EXPECT_EQ(c.memory, 64_MiB);
  EXPECT_EQ(c.body, Bytes(3 << 19));
  EXPECT_EQ(c.labels.ToString(), R"({a="x", b="2"})");
  EXPECT_EQ(c.headers.at("X-One"), "1");
  EXPECT_EQ(c.clients.at("alice").timeout, Milliseconds(60'000));
  EXPECT_THAT(c.files, ElementsAre("/etc/shop/a.yml", "/b.yml"));
  ASSERT_EQ(c.rules.size(), 1u);
  EXPECT_EQ(c.rules[0].regex, "");
  EXPECT_EQ(c.rules[0].then.at(0).regex, "inner");
  EXPECT_EQ(c.main->password.Reveal(), "s3cret");
  EXPECT_EQ(c.every, Milliseconds(5'400'000));
  EXPECT_EQ(c.fallback.url, "http://f");
  EXPECT_EQ(c.tls.ca_file, "/etc/shop/ca.pem");
  EXPECT_EQ(c.keys.size(), 2u);
}

TEST(Load, AnEmptyTextLeavesTheDefaults) {
  for (const char* text : {"", "\n", "# only a comment\n", "---\n", "{}"}) {
    Loaded l = Read(text);
    EXPECT_EQ(l.Text(), "") << text;
    EXPECT_EQ(l.config.name, "shop");
  }
}

struct Fault {
  std::string name, yaml;
  std::vector<std::string> says;
};
void PrintTo(const Fault& f, std::ostream* os) { *os << f.name; }

class Faults : public ::testing::TestWithParam<Fault> {};

TEST_P(Faults, AreToldWithPlaceCauseAndRemedy) {
  Loaded l = Read(GetParam().yaml);
  EXPECT_TRUE(l.diagnostics.HasErrors());
  for (const std::string& s : GetParam().says) EXPECT_THAT(l.Text(), HasSubstr(s));
}

INSTANTIATE_TEST_SUITE_P(
    All, Faults,
    ::testing::Values(
        Fault{"unknown_key",
              "flors: 3\n",
              {"shop.yml:1:1: error: unknown key \"flors\"", "did you mean: floors"}},
        Fault{
            "unknown_far", "elephant: 3\n", {"1:1: error: unknown key \"elephant\"", "Remove it."}},
        Fault{"nested_unknown",
              "main:\n  url: x\n  timeuot: 3s\n",
              {"3:3: error: main: unknown key \"timeuot\"", "did you mean: timeout"}},
        Fault{"not_a_number",
              "floors: many\n",
              {"1:9: error: floors: \"many\" is not a whole number"}},
        Fault{"too_large",
              "floors: 101\n",
              {"1:9", "above the largest value 100", "Use 100 or less."}},
        Fault{"too_small", "floors: -2\n", {"below the least value -1"}},
        Fault{"out_of_type", "port: 65536\n", {"65536 is out of range"}},
        Fault{"negative", "port: -1\n", {"-1 is negative"}},
        Fault{"duration", "every: 5 minutes\n", {"1:8", "duration"}},
        Fault{"duration_bound",
              "main: {url: x, timeout: 2m}\n",
              {"2m is above the largest value 1m"}},
        Fault{"size", "memory: lots\n", {"\"lots\" is not a size", "like 64MiB"}},
        Fault{"bool", "open: maybe\n", {"\"maybe\" is neither true nor false"}},
        Fault{"choice", "mode: saef\n", {"not one of fast, safe", "did you mean: safe"}},
        Fault{"choice_case", "mode: Fast\n", {"\"Fast\" is not one of"}},
        Fault{"choice_null", "mode:\n", {"mode: has no value", "Write one of fast, safe"}},
        Fault{"missing", "main: {timeout: 1s}\n", {"1:7", "\"url\" is missing", "Add `url:`"}},
        Fault{"null_item", "rules:\n  - regex: a\n  -\n", {"rules[1]: the list item is empty"}},
        Fault{"list_for_text", "name: [a]\n", {"expected a string, found a list"}},
        Fault{
            "text_for_list", "files: a.yml\n", {"expected a list, found a single value", "[...]"}},
        Fault{"text_for_map",
              "main: x\n",
              {"expected a mapping, found a single value", "Known keys: url"}},
        Fault{"top_level_list", "- a\n", {"1:1: error: expected a mapping, found a list"}},
        Fault{"empty_text", "name: ''\n", {"name: is empty"}},
        Fault{"unsupported",
              "consul_sd_configs: [{server: x}]\n",
              {"not supported by Picket yet: Consul discovery", "--lenient"}},
        Fault{"unsupported_value",
              "http2: false\n",
              {"not supported by Picket yet: HTTP/1.1 only mode"}},
        Fault{"check", "name: x\nfloors: 13\n", {"2:9: error: floors: brings bad luck", "Say 14."}},
        Fault{"check_path",
              "rules:\n- regex: a\n- regex: bad\n",
              {"3:10: error: rules[1].regex: is bad"}},
        Fault{"check_inner",
              "main: {url: x, password: a, password_file: b}\n",
              {"main.password_file: stands beside password"}},
        Fault{"label_name", "labels: {? !!binary \"/w==\" : x}\n", {"label name is not valid"}},
        Fault{"env",
              "name: a${NOPE}b\n",
              {"1:7: error: name: the environment variable NOPE is not set", "${NOPE:-value}"}},
        Fault{"repeated",
              "name: a\nopen: true\nname: b\n",
              {"3:1: error: the key \"name\" is written twice, first on line 1"}},
        Fault{"repeated_deep",
              "clients:\n  a: {url: x, url: y}\n",
              {"2:15", "\"url\" is written twice"}},
        Fault{"second_document", "name: a\n---\nname: b\n", {"3:1", "a second document follows"}},
        Fault{"syntax", "name: [a, b\nopen: true\n", {"YAML syntax"}},
        Fault{"stray_comma", ", \n", {"YAML syntax: this cannot stand here"}},
        Fault{"tab", "main:\n\turl: x\n", {"YAML syntax"}},
        Fault{"control", std::string("name: a\x01\n"), {"1:8", "control character (0x01)"}},
        Fault{"not_utf8", "name: a\xff\n", {"not UTF-8"}},
        Fault{"unknown_alias", "name: *nope\n", {"YAML syntax"}},
        Fault{"alias_in_itself", "rules: &a [*a]\n", {"inside its own anchor"}},
        Fault{"merge_scalar", "<<: 3\n", {"<< merges mappings, not a single value"}},
        Fault{"merge_twice", "x-a: &a {name: x}\n<<: *a\n<<: *a\n", {"\"<<\" is written twice"}},
        Fault{"binary", "name: !!binary \"/w==$1\"\n", {"not base64"}},
        Fault{"tag", "name: !shop a\n", {"the tag !shop is unknown"}}),
    [](const auto& i) { return i.param.name; });

TEST(Load, AllFaultsComeInOnePassInTheOrderOfTheText) {
  Loaded l = Read("floors: many\nnmae: x\nmain: {timeout: 9h}\nopen: true\nopen: false\n");
  ASSERT_EQ(l.diagnostics.errors(), 5u) << l.Text();
  std::vector<int> lines;
  for (const auto& d : l.diagnostics.all()) lines.push_back(d.place.line);
  EXPECT_THAT(lines, ElementsAre(1, 2, 3, 3, 5));
  EXPECT_THAT(l.Text(), HasSubstr("5 errors, 0 warnings"));
}

TEST(Load, AFaultShowsThreeLinesAndACaret) {
  Loaded l = Read("name: x\nfloors: many\nopen: true\n");
  EXPECT_EQ(l.Text(),
            "shop.yml:2:9: error: floors: \"many\" is not a whole number\n"
            "   1 | name: x\n"
            "   2 | floors: many\n"
            "     |         ^\n"
            "   3 | open: true\n"
            "  remedy: Expected an integer.\n"
            "1 error, 0 warnings\n");
}

TEST(Load, AFaultFarInALongLineIsInView) {
  std::string line = "{labels: {a: '" + std::string(400, 'x') + "'}, floors: many, open: true}";
  Loaded l = Read(line + "\n");
  const std::string text = l.Text();
  const size_t shown = text.find("   1 | ..."), caret = text.find('^');
  ASSERT_NE(shown, text.npos) << text;
  ASSERT_NE(caret, text.npos);
  const size_t below = caret - text.rfind('\n', caret) - 1;
  const std::string_view row = std::string_view(text).substr(shown);
  EXPECT_TRUE(row.substr(below).starts_with("many,")) << text;
}

TEST(Load, LenientTurnsWhatIsMissingIntoWarningsThatNameIt) {
  Loaded l = Read("consul_sd_configs: []\nhttp2: false\n", WithEnv({}, true));
  EXPECT_FALSE(l.diagnostics.HasErrors());
  EXPECT_EQ(l.diagnostics.warnings(), 2u);
  EXPECT_THAT(l.Text(), HasSubstr("Consul discovery"));
  EXPECT_EQ(Read("http2: true\n").Text(), "") << "the default asks for nothing";
}

TEST(Load, ASectionWithoutAValueIsLeftOutWithAWarning) {
  Loaded l = Read("main:\nevery:\n");
  EXPECT_FALSE(l.config.main.has_value());
  EXPECT_THAT(l.Text(), HasSubstr("main: has no value and is taken as left out"));
  EXPECT_EQ(l.diagnostics.warnings(), 1u);
}

TEST(Load, AnchorsAliasesAndMerges) {
  Loaded l = Read(R"(
x-base: &base {url: http://base, timeout: 1s}
x-slow: &slow {timeout: 30s, password: p}
clients:
  one: *base
  two: {<<: *base, url: http://two}
  three:
    url: http://three
    <<: [*base, *slow]
  four: {"url": "<<"}
)");
  ASSERT_EQ(l.Text(), "");
  const auto& c = l.config.clients;
  EXPECT_EQ(c.at("one").url, "http://base");
  EXPECT_EQ(c.at("two").url, "http://two");
  EXPECT_EQ(c.at("two").timeout, Milliseconds(1000));
  EXPECT_EQ(c.at("three").url, "http://three");
  EXPECT_EQ(c.at("three").timeout, Milliseconds(1000)) << "the earlier mapping wins";
  EXPECT_EQ(c.at("three").password.Reveal(), "p");
}

TEST(Load, DepthAndAliasesAreBounded) {
  EXPECT_THAT(Read(std::string(5000, '[') + std::string(5000, ']')).Text(), HasSubstr("error"));
  std::string bomb = "x-a: &a [x,x,x,x,x,x,x,x,x,x]\n";
  for (char c = 'b'; c < 'k'; ++c) {
    bomb += fmt::format("x-{}: &{} [", c, c);
    for (int i = 0; i < 10; ++i) bomb += fmt::format("*{},", static_cast<char>(c - 1));
    bomb += "]\n";
  }
  EXPECT_THAT(Read(bomb).Text(), HasSubstr("grows too large when its aliases are resolved"));
  std::string wide = "x-a: &a \"" + std::string(1 << 20, 'y') + "\"\nx-b: [";
  for (int i = 0; i < 100; ++i) wide += "*a,";
  EXPECT_THAT(Read(wide + "]\n").Text(), HasSubstr("grows too large"));
}

TEST(Env, ValuesTakeFromTheEnvironment) {
  const auto env = WithEnv({{"HOST", "node1"}, {"N", "7"}, {"EMPTY", ""}});
  struct Case {
    std::string yaml, name;
  };
  for (const Case& c : std::vector<Case>{{"${HOST}", "node1"},
                                         {"a-${HOST}-b", "a-node1-b"},
                                         {"$${HOST}", "${HOST}"},
                                         {"$HOST $1 $$ ${1} ${} ${", "$HOST $1 $$ ${1} ${} ${"},
                                         {"${NOPE:-dflt}", "dflt"},
                                         {"${NOPE:-}x", "x"},
                                         {"${EMPTY:-d}", "d"},
                                         {"${EMPTY}x", "x"},
                                         {"${HOST:-d}", "node1"}}) {
    Loaded l = Read("name: '" + c.yaml + "'\n", env);
    EXPECT_EQ(l.Text(), "") << c.yaml;
    EXPECT_EQ(l.config.name, c.name) << c.yaml;
  }
  EXPECT_EQ(Read("floors: ${N}\n", env).config.floors, 7);
  EXPECT_EQ(Read("rules: [{regex: '${HOST}', replacement: '${1}'}]\n", env).config.rules[0].regex,
            "${HOST}")
      << "patterns keep their dollars";
}

TEST(Env, LabelsFollowPrometheus) {
  const std::string yaml =
      "labels: {bar: foo, foo: '${TEST}', baz: 'foo${TEST}bar', qux: 'foo$${TEST}', "
      "xyz: 'foo$$bar', v: '$TEST.x', end: 'a$'}\n";
  EXPECT_EQ(Read(yaml).config.labels.ToString(),
            R"({bar="foo", baz="foobar", end="a$", qux="foo${TEST}", v=".x", xyz="foo$bar"})");
  EXPECT_EQ(
      Read(yaml, WithEnv({{"TEST", "V"}})).config.labels.ToString(),
      R"({bar="foo", baz="fooVbar", end="a$", foo="V", qux="foo${TEST}", v="V.x", xyz="foo$bar"})");
}

TEST(Secrets, NeverShowInFindings) {
  for (const std::string yaml :
       {"main:\n  url: x\n  password: hunter2\n  timeuot: 1s\n",
        "main:\n  url: x\n  pasword: hunter2\n", "main: {url: x, password: hunter2, foo: 1}\n",
        "keys:\n- hunter2\nfoo: 1\n",
        "main:\n  url: x\n  password: |\n    hunter2\n    hunter2 again\n  foo: 1\n",
        "main:\n  url: x\n  password: \"multi\n    hunter2\"\n  foo: 1\n",
        "main:\n  foo: 1\n  url: http://me:hunter2@host/x\n",
        "consul_sd_configs: [{token: hunter2}]\n", "other:\n- token: hunter2\n",
        "name: [a\npassword: hunter2\n", "headers:\n  Authorization: Bearer hunter2\n  - x\n",
        "password: hunter2: x\nopen: [\n"}) {
    Loaded l = Read(yaml);
    EXPECT_TRUE(l.diagnostics.HasErrors()) << yaml;
    EXPECT_THAT(l.Text(), Not(HasSubstr("hunter2"))) << yaml;
    EXPECT_THAT(l.diagnostics.ToError().ToString(), Not(HasSubstr("hunter2"))) << yaml;
  }
}

TEST(Secrets, FromAFileAtTheTimeOfUse) {
  const auto path = std::filesystem::temp_directory_path() /
                    fmt::format("picket-secret-{}", static_cast<long>(::getpid()));
  std::ofstream(path) << "from file\r\n";
  EXPECT_EQ(config::SecretOrFile(Secret("inline"), "")->Reveal(), "inline");
  EXPECT_EQ(config::SecretOrFile(Secret(), path.string())->Reveal(), "from file");
  std::filesystem::remove(path);
  auto gone = config::SecretOrFile(Secret(), path.string());
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().kind(), ErrorKind::kNotFound);
  EXPECT_THAT(gone.error().ToString(), HasSubstr(path.string()));
}

TEST(Source, AFileThatCannotBeReadIsAnErrorWithItsName) {
  auto missing = config::ReadSource("/nonexistent/picket.yml");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind(), ErrorKind::kNotFound);
  EXPECT_THAT(missing.error().ToString(), HasSubstr("/nonexistent/picket.yml"));
  EXPECT_FALSE(config::ReadSource("/tmp"));
}

TEST(FromYaml, GivesOneErrorThatNamesEverything) {
  auto bad = config::FromYaml<Config>("floors: x\nnmae: y\n", "a.yml", WithEnv({}));
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().position().line, 1);
  EXPECT_THAT(bad.error().ToString(), HasSubstr("a.yml:2:1: unknown key \"nmae\""));
  EXPECT_THAT(bad.error().ToString(), HasSubstr("did you mean \"name\"?"));
}

TEST(Validate, ChecksStructsThatWereNeverText) {
  Config c;
  c.main = Client{.url = "x", .password = Secret("a"), .password_file = "b", .timeout = {}};
  c.floors = 1000;
  auto s = config::Validate(c);
  ASSERT_FALSE(s);
  EXPECT_THAT(s.error().ToString(), HasSubstr("floors: 1000 is above the largest value 100"));
  EXPECT_THAT(s.error().ToString(), HasSubstr("main.password_file: stands beside"));
}

}  // namespace
}  // namespace picket::shop
