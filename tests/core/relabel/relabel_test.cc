// SPDX-License-Identifier: Apache-2.0
#include "core/relabel/relabel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace picket::relabel {

struct Steps {
  std::vector<Config> steps;
};
static void Declare(config::Object<Steps>& o) {
  o.Field("relabel_configs", &Steps::steps, "In order.");
}

namespace {

using ::testing::HasSubstr;

Result<Steps> Parse(const std::string& list) {
  std::string yaml = "relabel_configs:\n" + list;
  return config::FromYaml<Steps>(yaml, "relabel.yml");
}

struct Case {
  std::string name;
  Labels in;
  std::string steps;  // YAML
  std::string out;    // "" is dropped
};
void PrintTo(const Case& c, std::ostream* os) { *os << c.name; }

class Relabel : public ::testing::TestWithParam<Case> {};

TEST_P(Relabel, GivesWhatPrometheusGives) {
  auto steps = Parse(GetParam().steps);
  ASSERT_TRUE(steps) << steps.error().ToString();
  LabelsBuilder b(GetParam().in);
  const bool kept = Process(steps->steps, b);
  EXPECT_EQ(kept ? b.Build().ToString() : "", GetParam().out);
}

const Labels kAbc{{"a", "foo"}, {"b", "bar"}, {"c", "baz"}};

INSTANTIATE_TEST_SUITE_P(
    Cases, Relabel,
    ::testing::Values(
        Case{"replace_twice", kAbc,
             "- {source_labels: [a], regex: f(.*), target_label: d, replacement: 'ch${1}-ch${1}'}",
             R"({a="foo", b="bar", c="baz", d="choo-choo"})"},
        Case{"replace_chain", kAbc,
             "- {source_labels: [a, b], regex: 'f(.*);(.*)r', target_label: a, replacement: "
             "'b${1}${2}m'}\n"
             "- {source_labels: [c, a], regex: '(b).*b(.*)ba(.*)', target_label: d, replacement: "
             "$1$2$2$3}",
             R"({a="boobam", b="bar", c="baz", d="boooom"})"},
        Case{"drop_stops", kAbc,
             "- {source_labels: [a], regex: .*o.*, action: drop}\n"
             "- {source_labels: [a], target_label: d}",
             ""},
        Case{"drop_misses", kAbc, "- {source_labels: [a], regex: no-match, action: drop}",
             R"({a="foo", b="bar", c="baz"})"},
        Case{"anchored_alternation", kAbc, "- {source_labels: [a], regex: f|o, action: drop}",
             R"({a="foo", b="bar", c="baz"})"},
        Case{"keep_misses", kAbc, "- {source_labels: [a], regex: no-match, action: keep}", ""},
        Case{"keep_hits", kAbc, "- {source_labels: [a], regex: f.*, action: keep}",
             R"({a="foo", b="bar", c="baz"})"},
        Case{"keep_list", kAbc, "- {source_labels: [b], regex: foo|bar, action: keep}",
             R"({a="foo", b="bar", c="baz"})"},
        Case{"keep_list_in_group", kAbc,
             "- {source_labels: [b], regex: (foo|bar), target_label: d}",
             R"({a="foo", b="bar", c="baz", d="bar"})"},
        Case{"no_match_no_change", Labels{{"a", "boo"}},
             "- {source_labels: [a], regex: f, target_label: b, replacement: bar}", R"({a="boo"})"},
        Case{"middle_group", Labels{{"a", "abc"}},
             "- {source_labels: [a], regex: .*(b).*, target_label: d, replacement: $1}",
             R"({a="abc", d="b"})"},
        Case{"hashmod", kAbc,
             "- {source_labels: [c], target_label: d, action: hashmod, modulus: 1000}",
             R"({a="foo", b="bar", c="baz", d="976"})"},
        Case{"hashmod_line_end", Labels{{"a", "foo\nbar"}},
             "- {source_labels: [a], target_label: b, action: hashmod, modulus: 1000}",
             R"({a="foo\nbar", b="734"})"},
        Case{"labelmap", Labels{{"a", "foo"}, {"b1", "bar"}, {"b2", "baz"}},
             "- {regex: (b.*), replacement: 'bar_${1}', action: labelmap}",
             R"({a="foo", b1="bar", b2="baz", bar_b1="bar", bar_b2="baz"})"},
        Case{"labelmap_default",
             Labels{{"__meta_k8s_label_app", "x"}, {"__meta_k8s_label_", "y"}, {"z", "1"}},
             "- {regex: __meta_k8s_label_(.+), action: labelmap}",
             R"({__meta_k8s_label_="y", __meta_k8s_label_app="x", app="x", z="1"})"},
        Case{"labelmap_does_not_look_at_its_own", Labels{{"b", "1"}},
             "- {regex: b(.*), replacement: 'b${1}x', action: labelmap}", R"({b="1", bx="1"})"},
        Case{"target_template", Labels{{"a", "some-name-value"}},
             "- {source_labels: [a], regex: 'some-([^-]+)-([^,]+)', replacement: '${2}', "
             "target_label: '${1}'}",
             R"({a="some-name-value", name="value"})"},
        Case{"empty_replacement_deletes", Labels{{"a", "some-name-value"}, {"name", "old"}},
             "- {source_labels: [a], regex: 'some-([^-]+)-([^,]+)', replacement: '${3}', "
             "target_label: '${1}'}",
             R"({a="some-name-value"})"},
        Case{"empty_target_changes_nothing", Labels{{"a", "some-name-0"}},
             "- {source_labels: [a], regex: 'some-([^-]+)-([^,]+)', replacement: '${1}', "
             "target_label: '${3}'}",
             R"({a="some-name-0"})"},
        Case{
            "tags", Labels{{"t", "path:/secret,job:some-job,label:foo=bar"}},
            "- {source_labels: [t], regex: '(?:.+,|^)path:(/[^,]+).*', target_label: "
            "__metrics_path__}\n"
            "- {source_labels: [t], regex: '(?:.+,|^)job:([^,]+).*', target_label: job}\n"
            "- {source_labels: [t], regex: '(?:.+,|^)label:([^=]+)=([^,]+).*', replacement: "
            "'${2}', target_label: '${1}'}",
            R"({__metrics_path__="/secret", foo="bar", job="some-job", t="path:/secret,job:some-job,label:foo=bar"})"},
        Case{"drop_then_set_again", Labels{{"port", "foo"}, {"annotation", "9091"}},
             "- {regex: ^port$, action: labeldrop}\n"
             "- {source_labels: [annotation], regex: (.+), replacement: metrics, target_label: "
             "port}\n"
             "- {source_labels: [port], regex: ^metrics$, action: keep}",
             R"({annotation="9091", port="metrics"})"},
        Case{"labelkeep", Labels{{"a", "foo"}, {"b1", "bar"}, {"b2", "baz"}},
             "- {regex: (b.*), action: labelkeep}", R"({b1="bar", b2="baz"})"},
        Case{"labeldrop", Labels{{"a", "foo"}, {"b1", "bar"}, {"b2", "baz"}},
             "- {regex: (b.*), action: labeldrop}", R"({a="foo"})"},
        Case{"upper_and_lower", Labels{{"foo", "bAr123Foo"}},
             "- {source_labels: [foo], action: uppercase, target_label: up}\n"
             "- {source_labels: [foo], action: lowercase, target_label: low}",
             R"({foo="bAr123Foo", low="bar123foo", up="BAR123FOO"})"},
        Case{"upper_beyond_ascii", Labels{{"foo", "grüße Ж"}},
             "- {source_labels: [foo], action: uppercase, target_label: up}\n"
             "- {source_labels: [foo], action: lowercase, target_label: low}",
             R"({foo="grüße Ж", low="grüße ж", up="GRÜßE Ж"})"},
        Case{"keepequal_hit", Labels{{"t", "1234"}, {"p1", "1234"}},
             "- {source_labels: [t], action: keepequal, target_label: p1}",
             R"({p1="1234", t="1234"})"},
        Case{"keepequal_miss", Labels{{"t", "1234"}, {"p2", "5678"}},
             "- {source_labels: [t], action: keepequal, target_label: p2}", ""},
        Case{"dropequal_hit", Labels{{"t", "1234"}, {"p1", "1234"}},
             "- {source_labels: [t], action: dropequal, target_label: p1}", ""},
        Case{"dropequal_miss", Labels{{"t", "1234"}, {"p2", "5678"}},
             "- {source_labels: [t], action: dropequal, target_label: p2}",
             R"({p2="5678", t="1234"})"},
        Case{"keepequal_joined", Labels{{"a", "1"}, {"b", "2"}, {"c", "1;2"}},
             "- {source_labels: [a, b], action: keepequal, target_label: c}",
             R"({a="1", b="2", c="1;2"})"},
        Case{"static", Labels{{"a", "1"}}, "- {target_label: b, replacement: static}",
             R"({a="1", b="static"})"},
        Case{"static_with_empty_regex", Labels{{"a", "1"}},
             "- {regex: , target_label: b, replacement: static}", R"({a="1", b="static"})"},
        Case{"delete", Labels{{"a", "1"}, {"b", "2"}}, "- {target_label: b, replacement: ''}",
             R"({a="1"})"},
        Case{"missing_source_is_empty", Labels{{"a", "1"}},
             "- {source_labels: [a, nope, a], separator: '/', target_label: b}",
             R"({a="1", b="1//1"})"},
        Case{"dot_matches_line_ends", Labels{{"a", "x\ny"}},
             "- {source_labels: [a], regex: x.y, target_label: b, replacement: hit}",
             R"({a="x\ny", b="hit"})"},
        Case{"named_groups", Labels{{"a", "web-7"}},
             "- {source_labels: [a], regex: '(?P<n>[a-z]+)-(?<i>\\d)', target_label: b, "
             "replacement: '${i}/${n}/$i'}",
             R"({a="web-7", b="7/web/7"})"},
        Case{"names_are_greedy", Labels{{"a", "x"}},
             "- {source_labels: [a], target_label: b, replacement: "
             "'[$1_total|${1}_total|$$1|$|$x|${|$10]'}",
             R"({a="x", b="[|x_total|$1|$||${|]"})"},
        Case{"utf8_target", Labels{{"a", "x"}},
             "- {source_labels: [a], target_label: 'http.méthode'}",
             R"({a="x", "http.méthode"="x"})"},
        Case{"any_case_action", kAbc, "- {source_labels: [a], regex: foo, action: DROP}", ""},
        Case{"metric_name", Labels{{"__name__", "go_gc"}, {"x", "1"}},
             "- {source_labels: [__name__], regex: go_.*, action: drop}", ""},
        Case{"address", Labels{{"__address__", "10.0.0.1:80"}, {"port", "9100"}},
             "- {source_labels: [__address__, port], regex: '([^:]+)(?::\\d+)?;(\\d+)', "
             "replacement: $1:$2, target_label: __address__}",
             R"({__address__="10.0.0.1:9100", port="9100"})"}),
    [](const auto& i) { return i.param.name; });

struct Bad {
  std::string name, step, says;
};
void PrintTo(const Bad& b, std::ostream* os) { *os << b.name; }
class Refused : public ::testing::TestWithParam<Bad> {};

TEST_P(Refused, WithTheReason) {
  auto steps = Parse("- " + GetParam().step);
  ASSERT_FALSE(steps);
  EXPECT_THAT(steps.error().ToString(), HasSubstr(GetParam().says));
}

INSTANTIATE_TEST_SUITE_P(
    Cases, Refused,
    ::testing::Values(
        Bad{"no_target", "{source_labels: [a]}", "replace needs a target_label"},
        Bad{"hashmod_no_target", "{source_labels: [a], action: hashmod, modulus: 8}",
            "hashmod needs a target_label"},
        Bad{"hashmod_no_modulus", "{source_labels: [a], action: hashmod, target_label: x}",
            "modulus above 0"},
        Bad{"regex", "{source_labels: [a], regex: 'a(b', target_label: x}",
            "\"a(b\" is not a regular expression: missing )"},
        Bad{"backreference", "{source_labels: [a], regex: '(a)\\1', target_label: x}",
            "not a regular expression"},
        Bad{"action", "{action: replce, target_label: x}", "did you mean \"replace\""},
        Bad{"no_action", "{action: , target_label: x}", "has no value"},
        Bad{"labeldrop_source", "{action: labeldrop, regex: a, source_labels: [a]}",
            "labeldrop does not use \"source_labels\""},
        Bad{"labelkeep_target", "{action: labelkeep, regex: a, target_label: x}",
            "labelkeep does not use \"target_label\""},
        Bad{"labelkeep_modulus", "{action: labelkeep, regex: a, modulus: 8}", "\"modulus\""},
        Bad{"labeldrop_separator", "{action: labeldrop, regex: a, separator: ','}",
            "\"separator\""},
        Bad{"labeldrop_replacement", "{action: labeldrop, regex: a, replacement: x}",
            "\"replacement\""},
        Bad{"keepequal_regex",
            "{action: keepequal, source_labels: [a], target_label: b, regex: (.*)}",
            "keepequal does not use \"regex\""},
        Bad{"dropequal_no_target", "{action: dropequal, source_labels: [a]}",
            "needs a target_label"},
        Bad{"lowercase_replacement",
            "{action: lowercase, source_labels: [a], target_label: b, replacement: x}",
            "lowercase does not use \"replacement\""},
        Bad{"empty_source", "{source_labels: [''], target_label: b}", "not a label name"},
        Bad{"null_source", "{source_labels: [~], target_label: b}", "the list item is empty"},
        Bad{"unknown_key", "{source_label: [a], target_label: b}",
            "did you mean \"source_labels\""}),
    [](const auto& i) { return i.param.name; });

TEST(RegexTest, PlainPatternsNeedNoAutomatonAndAgreeWithOne) {
  const std::vector<std::string> direct = {"",        "foo",         "(.*)",  ".*",    ".+",
                                           "(.+)",    "__meta_(.+)", "go_.*", "a|b|c", "(a|bc)",
                                           "(?:a|b)", ".*foo.*",     "(foo)", "a|",    "foo(.*)"};
  const std::vector<std::string> texts = {"",           "a",   "b",      "bc",   "foo",
                                          "xfoox",      "go_", "f",      "go_x", "__meta_",
                                          "__meta_abc", "fo",  "foo\nx", "|"};
  for (const std::string& pattern : direct) {
    auto fast = Regex::Compile(pattern);
    // The same pattern in a group that is not recognised.
    auto slow = Regex::Compile("(?:" + pattern + "){1}");
    ASSERT_TRUE(fast && slow) << pattern;
    EXPECT_TRUE(fast->IsDirect()) << pattern;
    EXPECT_FALSE(slow->IsDirect()) << pattern;
    for (const std::string& text : texts) {
      Groups a{}, b{};
      EXPECT_EQ(fast->Match(text, a), slow->Match(text, b)) << pattern << " on " << text;
      EXPECT_EQ(fast->Matches(text), slow->Matches(text));
      EXPECT_EQ(a, b) << pattern << " on " << text;
    }
  }
}

TEST(RegexTest, MoreGroupsThanFitAreRefused) {
  std::string many;
  for (int i = 0; i < 40; ++i) many += "(a)";
  EXPECT_FALSE(Regex::Compile(many));
}

TEST(ExplainTest, ShowsEachStepUntilTheDrop) {
  auto steps = Parse(
      "- {target_label: b, replacement: x}\n- {source_labels: [b], regex: x, action: drop}\n"
      "- {target_label: c, replacement: y}");
  ASSERT_TRUE(steps);
  auto told = Explain(steps->steps, Labels{{"a", "1"}});
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(told[0].after.ToString(), R"({a="1", b="x"})");
  EXPECT_FALSE(told[1].kept);
}

TEST(PrintTest, RoundTripKeepsDollars) {
  auto steps =
      Parse("- {source_labels: [a], regex: '${x}(.*)', target_label: '${1}', replacement: a$1}");
  ASSERT_TRUE(steps) << steps.error().ToString();
  const std::string printed = config::ToYaml(*steps);
  auto again = config::FromYaml<Steps>(printed);
  ASSERT_TRUE(again) << printed;
  EXPECT_EQ(config::ToYaml(*again), printed);
  EXPECT_EQ(again->steps[0].regex.pattern(), "${x}(.*)");
}

}  // namespace
}  // namespace picket::relabel
