// SPDX-License-Identifier: Apache-2.0
#include "rules/alerting/template/template.h"

#include <gtest/gtest.h>

#include <cmath>

namespace picket::rules::alerting {
namespace {

std::string Expand(std::string_view text, double value = 0.1234,
                   Labels labels = {{"instance", "db1.example.com:9100"}, {"job", "db"}}) {
  auto t = Template::Parse(text);
  if (!t) return "PARSE: " + t.error().message();
  const Labels external{{"cluster", "eu"}};
  TemplateContext c{&labels,
                    &external,
                    "http://picket.example/x",
                    value,
                    1'700'000'000'500,
                    [](const std::string& q) -> Result<std::vector<std::pair<Labels, double>>> {
                      if (q == "fail") return Fail(ErrorKind::kInvalidArgument, "no such thing");
                      if (q == "none") return std::vector<std::pair<Labels, double>>{};
                      return std::vector<std::pair<Labels, double>>{{Labels{{"i", "b"}}, 2},
                                                                    {Labels{{"i", "a"}}, 1.5}};
                    }};
  return t->Expand(c);
}

struct Case {
  const char* text;
  const char* want;
};

TEST(AlertTemplate, ExpandsWhatRuleFilesUse) {
  for (const Case& c : {
           Case{"plain", "plain"},
           {"{{ printf \"%+d|% d|%#x|%U|%v|%d\" 5 5 255 65 nil nil }}",
            "+5| 5|0xff|U+0041|<nil>|%!d(<nil>)"},
           {"{{ toUpper \"aé\\xffz\" | toLower }}{{ toUpper \"äб\" }}", "aé\xffzÄБ"},
           {"{{ index \"abc\" 1 }} {{ 1_000 }}", "98 1000"},
           {"{{ range query \"x\" | sortByLabel \"i\" }}{{ . }}{{ end }}",
            "{map[i:a] 1.5}{map[i:b] 2}"},
           {"{{ $labels.job }} at {{ $value }}", "db at 0.1234"},
           {"{{.Labels.job}} {{.Value}} {{$externalLabels.cluster}} {{$externalURL}}",
            "db 0.1234 eu http://picket.example/x"},
           {"{{ $labels.missing }}|", "|"},
           {"{{ $value | humanizePercentage }}", "12.34%"},
           {"{{ printf \"%.1f\" $value }}", "0.1"},
           {"{{ printf \"%6.2f|%-4s|%04d|%q|%x|%%\" $value \"ab\" 7 \"x\" 255 }}",
            "  0.12|ab  |0007|\"x\"|ff|%"},
           {"{{ if gt $value 0.1 }}high{{ else }}low{{ end }}", "high"},
           {"{{ if eq $labels.job \"web\" }}a{{ else if eq $labels.job \"db\" }}b{{ else }}c{{ end "
            "}}",
            "b"},
           {"{{ range query \"x\" }}[{{ .Labels.i }}={{ .Value }}]{{ end }}", "[b=2][a=1.5]"},
           {"{{ range $i, $e := query \"x\" | sortByLabel \"i\" }}{{ $i }}{{ $e | label \"i\" }} "
            "{{ end }}",
            "0a 1b "},
           {"{{ range query \"none\" }}x{{ else }}nothing{{ end }}", "nothing"},
           {"{{ with query \"x\" }}{{ . | first | value | humanize }}{{ end }}", "2"},
           {"{{ $x := 3 }}{{ if true }}{{ $x = 4 }}{{ end }}{{ $x }}", "4"},
           {"a {{- \" b \" -}} c", "a b c"},
           {"{{/* note */}}x", "x"},
           {"{{ define \"t\" }}<{{ .arg0 }}>{{ end }}{{ template \"t\" args \"q\" }}{{ tmpl \"t\" "
            "(args 5) }}",
            "<q><5>"},
           {"{{ reReplaceAll \"(.*):.*\" \"$1!\" $labels.instance }}", "db1.example.com!"},
           {"{{ match \"db[0-9]\" $labels.instance }} {{ $labels.job | toUpper | title }}",
            "true DB"},
           {"{{ stripPort $labels.instance }} {{ stripDomain $labels.instance }}",
            "db1.example.com db1:9100"},
           {"{{ and 1 0 }} {{ or 0 \"x\" }} {{ not 0 }} {{ len \"abc\" }}", "0 x true 3"},
           {"{{ index $labels \"job\" }} {{ slice \"abcdef\" 1 3 }}", "db bc"},
           {"{{ \"1h30m\" | parseDuration | humanizeDuration }}", "1h 30m 0s"},
           {"{{ 1435065584.5 | humanizeTimestamp }}", "2015-06-23 13:19:44.5 +0000 UTC"},
           {"{{ range $k, $v := $labels }}{{ $k }}={{ $v }};{{ end }}",
            "instance=db1.example.com:9100;job=db;"},
           {"{{ range query \"x\" }}{{ if eq .Labels.i \"a\" }}{{ continue }}{{ end }}{{ .Labels.i "
            "}}{{ break }}{{ end }}",
            "b"},
           {"{{ \"a&b c\" | urlQueryEscape }} {{ pathPrefix }}", "a%26b+c /x"},
           {"{{ (query \"x\" | first).Value }}", "2"},
       })
    EXPECT_EQ(Expand(c.text), c.want) << c.text;
}

TEST(AlertTemplate, HumanizesAsPrometheusDoes) {
  struct N {
    double v;
    const char* h;
    const char* h1024;
    const char* d;
  };
  for (const N& n : {N{0, "0", "0", "0s"},
                     {1, "1", "1", "1s"},
                     {1234567, "1.235M", "1.177Mi", "14d 6h 56m 7s"},
                     {0.12, "120m", "0.12", "120ms"},
                     {-86400, "-86.4k", "-84.38ki", "-1d 0h 0m 0s"},
                     {1048576, "1.049M", "1Mi", "12d 3h 16m 16s"},
                     {INFINITY, "+Inf", "+Inf", "+Inf"}}) {
    EXPECT_EQ(Expand("{{ $value | humanize }}", n.v), n.h);
    EXPECT_EQ(Expand("{{ $value | humanize1024 }}", n.v), n.h1024);
    EXPECT_EQ(Expand("{{ $value | humanizeDuration }}", n.v), n.d);
  }
}

TEST(AlertTemplate, ValuesPrintAsGoPrintsThem) {
  EXPECT_EQ(Expand("{{ $value }}", 1e21), "1e+21");
  EXPECT_EQ(Expand("{{ $value }}", 1e-5), "1e-05");
  EXPECT_EQ(Expand("{{ $value }}", 12345678), "1.2345678e+07");
  EXPECT_EQ(Expand("{{ $value }}", NAN), "NaN");
}

TEST(AlertTemplate, RefusesAtLoadWhatCannotWork) {
  for (const char* bad :
       {"{{ $label.job }}", "{{ nosuch 1 }}", "{{ if }}x{{ end }}", "{{ if 1 }}x", "{{ end }}",
        "{{ \"open }}", "{{ (1 }}", "{{ 1 |", "{{ 1 | 2 }}", "{{ 1 | . }}", "{{ break }}"})
    EXPECT_TRUE(Expand(bad).starts_with("PARSE: ")) << bad << " -> " << Expand(bad);
}

TEST(AlertTemplate, AFailureWhileExpandingIsTheText) {
  EXPECT_EQ(Expand("x {{ query \"fail\" }}"), "<error expanding template: no such thing>");
  EXPECT_TRUE(Expand("{{ query \"none\" | first }}")
                  .starts_with("<error expanding template: error calling first"));
  EXPECT_TRUE(
      Expand("{{ .Nosuch }}").starts_with("<error expanding template: can't evaluate field"));
  EXPECT_TRUE(
      Expand("{{ range $labels }}{{ range 9999 }}{{ range 9999 }}{{ end }}{{ end }}{{ end }}")
          .starts_with("<error expanding template: the template takes more"));
  EXPECT_TRUE(Expand("{{ define \"a\" }}{{ template \"a\" }}{{ end }}{{ template \"a\" }}")
                  .starts_with("<error expanding template:"));
}

}  // namespace
}  // namespace picket::rules::alerting
