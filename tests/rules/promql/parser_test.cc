// SPDX-License-Identifier: Apache-2.0
#include "rules/promql/parser.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace picket::rules::promql {
namespace {

std::string Printed(std::string_view text,
                    const ParseOptions& options = ParseOptions::Everything()) {
  auto expression = Parse(text, options);
  return expression ? Print(**expression) : expression.error().ToString();
}

struct Case {
  const char* text;
  const char* printed;  // or the error
};

TEST(Parser, PrintsTheNormalForm) {
  for (const Case& c : std::to_array<Case>({
           {"SUM(rate(x[5m])) BY (job)", "sum by (job) (rate(x[5m]))"},
           {"-1^2", "-1 ^ 2"},
           {"1 + 2*3", "1 + 2 * 3"},
           {"a and on(x) b or c", "a and on (x) b or c"},
           {"a / on (x) group_left (y) b", "a / on (x) group_left (y) b"},
           {"a == bool 1", "a == bool 1"},
           {"x{b='1',a=~\"2\"} @ start() offset -5m", "x{b=\"1\",a=~\"2\"} @ start() offset -5m"},
           {"x offset 5m @ 10", "x @ 10.000 offset 5m"},
           {"max_over_time(rate(x[1m])[1h:5m])", "max_over_time(rate(x[1m])[1h:5m])"},
           {"x[1h:]", "x[1h:]"},
           {"x[1800]", "x[30m]"},
           {"x[step() * (2 + 1m)]", "x[step() * (2 + 1m)]"},
           {"{\"a.b\", \"c.d\"=\"e\"}", "{\"a.b\",\"c.d\"=\"e\"}"},
           {"rate(x[5m] anchored)", "rate(x[5m] anchored)"},
           {"a + on () fill (0) b", "a + on () fill (0) b"},
           {"topk(3, x) without (y)", "topk without (y) (3, x)"},
           {"sum", "sum"},
           {"{\"NaN\", a=\"1\"} + {\"on\"}", "{\"NaN\",a=\"1\"} + {\"on\"}"},
           {"0x1F + 1e3 + .5 + inf + 1_000", "31 + 1000 + 0.5 + +Inf + 1000"},
           {"\"a\\n\\x41\" # comment", "\"a\\nA\""},
           {"label_replace(x, \"a\", `$1`, 'b', \"(.*)\")",
            "label_replace(x, \"a\", \"$1\", \"b\", \"(.*)\")"},
       })) {
    const std::string once = Printed(c.text);
    EXPECT_EQ(once, c.printed) << c.text;
    EXPECT_EQ(Printed(once), once) << "does not print itself again";
  }
}

TEST(Parser, ErrorsNameLineColumnAndCause) {
  for (const Case& c : std::to_array<Case>({
           {"", "1:1: parse error: no expression found in input"},
           {"sum(", "1:5: parse error: unclosed left parenthesis"},
           {"1 +", "1:4: parse error: unexpected end of input"},
           {"a\n  + * b", "2:5: parse error: unexpected <op:*>"},
           {"foo{a=1}", "1:7: parse error: unexpected character inside braces: '1'"},
           {"foo{a}",
            "1:6: parse error: unexpected \"}\" in label matching, expected label matching "
            "operator"},
           {"{}", "1:1: parse error: vector selector must contain at least one non-empty matcher"},
           {"{x=\"\"}",
            "1:1: parse error: vector selector must contain at least one non-empty matcher"},
           {"nope(x)", "1:1: parse error: unknown function with name \"nope\""},
           {"rate(x)",
            "1:6: parse error: expected type range vector in call to function \"rate\", got "
            "instant vector"},
           {"rate(x[5m], 1)",
            "1:1: parse error: expected 1 argument(s) in call to \"rate\", got 2"},
           {"1 == 1", "1:3: parse error: comparisons between scalars must use BOOL modifier"},
           {"1 and x",
            "1:1: parse error: set operator \"and\" not allowed in binary scalar expression"},
           {"a + bool b",
            "1:5: parse error: bool modifier can only be used on comparison operators"},
           {"a and on (x) group_left b",
            "1:14: parse error: no grouping allowed for \"and\" operation"},
           {"x[5m] offset 1m offset 2m", "1:17: parse error: offset may not be set multiple times"},
           {"x[0s]", "1:3: parse error: duration must be greater than 0"},
           {"x[5z]", "1:3: parse error: bad number or duration syntax: \"5z\""},
           {"(x)[5m]", "1:4: parse error: ranges only allowed for vector selectors"},
           {"sum(1)",
            "1:5: parse error: expected type instant vector in aggregation expression, got scalar"},
           {"topk(x)",
            "1:1: parse error: wrong number of arguments for aggregate expression provided, "
            "expected 2, got 1"},
           {"x{a=~\"(\"}", "1:3: parse error: "},
           {"\"\\q\"",
            "1:1: parse error: error unquoting string \"\\\"\\\\q\\\"\": unknown escape sequence"},
           {"'open", "1:1: parse error: unterminated quoted string"},
           {"a @ b", "1:5: parse error: unexpected identifier \"b\" in @, expected timestamp"},
           {"a offset b", "1:10: parse error: unexpected identifier \"b\""},
           {"x{a=\"b\"} {c=\"d\"}", "1:10: parse error: unexpected \"{\""},
           {"-\"a\"",
            "1:1: parse error: unary expression only allowed on expressions of type scalar or "
            "instant vector"},
       }))
    EXPECT_TRUE(Printed(c.text).starts_with(c.printed))
        << c.text << "\n  " << Printed(c.text) << "\n  " << c.printed;
}

TEST(Parser, ExperimentalPartsAreClosedUnlessOpened) {
  const ParseOptions stable;
  EXPECT_EQ(Printed("mad_over_time(x[5m])", stable),
            "1:1: parse error: function \"mad_over_time\" is not enabled");
  EXPECT_TRUE(Printed("limitk(2, x)", stable).find("experimental") != std::string::npos);
  EXPECT_TRUE(Printed("rate(x[5m] smoothed)", stable).find("not enabled") != std::string::npos);
  EXPECT_TRUE(Printed("a + fill(0) b", stable).find("not enabled") != std::string::npos);
  EXPECT_EQ(Printed("x[5m*2]", stable), "x[5m * 2]") << "duration expressions are on since 3.14";
}

TEST(Parser, NestingIsBounded) {
  const std::string deep = std::string(100'000, '(') + "1" + std::string(100'000, ')');
  EXPECT_NE(Printed(deep).find("nested more than"), std::string::npos);
  std::string chain = "a";
  for (int i = 0; i < 5'000; ++i) chain += " + a";
  EXPECT_NE(Printed(chain).find("nested more than"), std::string::npos);
  EXPECT_NE(Printed(std::string(50'000, '-') + "x").find("nested more than"), std::string::npos);
}

TEST(Parser, TellsWhatAnExpressionReads) {
  auto e = Parse("sum(rate(a_total{x=\"1\"}[5m] offset 1h)) / on() {__name__=\"b\"} > absent(c)");
  ASSERT_TRUE(e);
  const auto uses = Selectors(**e);
  ASSERT_EQ(uses.size(), 3u);
  EXPECT_EQ(uses[0].metric_name, "a_total");
  EXPECT_EQ(uses[0].matchers.size(), 2u);
  EXPECT_EQ(uses[1].metric_name, "b");
  EXPECT_EQ(uses[2].metric_name, "c");
  constexpr auto kAbsent = std::to_array<std::string_view>({"absent", "absent_over_time"});
  constexpr auto kTime = std::to_array<std::string_view>({"time"});
  EXPECT_TRUE(Calls(**e, kAbsent));
  EXPECT_FALSE(Calls(**e, kTime));
}

TEST(Parser, TellsHowFarBackAnExpressionLooks) {
  const auto reach = [](std::string_view text) { return Reach(**Parse(text)).count() / 1000; };
  EXPECT_EQ(reach("x"), 300);
  EXPECT_EQ(reach("x offset 1h"), 3900);
  EXPECT_EQ(reach("rate(x[10m] offset -1m)"), 540);
  EXPECT_EQ(reach("max_over_time(rate(x[5m])[1h:1m] offset 1m)"), 3960);
  EXPECT_EQ(reach("x @ 5 + y"), 300);
  EXPECT_EQ(reach("1"), 0);
}

TEST(Parser, SelectorsOfTheApi) {
  auto matchers = ParseSelector("up{job=~\"a|b\"}");
  ASSERT_TRUE(matchers);
  EXPECT_EQ(matchers->size(), 2u);
  EXPECT_FALSE(ParseSelector("up[5m]"));
  EXPECT_FALSE(ParseSelector("{}"));
  EXPECT_FALSE(ParseSelector("1"));
}

}  // namespace
}  // namespace picket::rules::promql
