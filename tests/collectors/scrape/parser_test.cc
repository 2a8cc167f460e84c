// SPDX-License-Identifier: Apache-2.0
#include "collectors/scrape/parser.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "collectors/scrape/exposed_labels.h"
#include "collectors/scrape/number.h"
#include "core/base/strings.h"

namespace picket::collectors::scrape {
namespace {

/// Every entry as one line: "type name text", "labels value [@ts]", "error: ...".
std::vector<std::string> Read(std::string_view body, Format format) {
  std::vector<std::string> out;
  Parser parser(body, format);
  while (true) {
    switch (parser.Next()) {
      case Parser::Entry::kEnd:
        return out;
      case Parser::Entry::kError:
        out.push_back("error: " + parser.error().message());
        return out;
      case Parser::Entry::kComment:
        break;
      case Parser::Entry::kHelp:
        out.push_back("help " + std::string(parser.family()) + "|" + std::string(parser.text()));
        break;
      case Parser::Entry::kType:
        out.push_back("type " + std::string(parser.family()) + "|" + std::string(parser.text()));
        break;
      case Parser::Entry::kUnit:
        out.push_back("unit " + std::string(parser.family()) + "|" + std::string(parser.text()));
        break;
      case Parser::Entry::kSeries: {
        auto labels = ExposedLabels(parser.series(), parser.type(), false);
        std::string line =
            labels ? labels->Build().ToString() : "error: " + labels.error().message();
        line += " " + FormatFloat(parser.value());
        if (parser.has_timestamp()) line += "@" + std::to_string(parser.timestamp_ms());
        if (parser.has_exemplar()) line += " exemplar";
        out.push_back(std::move(line));
      }
    }
  }
}
using Lines = std::vector<std::string>;

TEST(TextParser, ReadsWhatExportersWrite) {
  EXPECT_EQ(Read("# HELP a The a.\n# TYPE a counter\na 1\na{x=\"y\"} 2 1700000000000\n\n# free "
                 "words\nb\t3",
                 Format::kText),
            (Lines{"help a|The a.", "type a|counter", "a 1", "a{x=\"y\"} 2@1700000000000", "b 3"}));
}

TEST(TextParser, KeepsTheOdditiesPrometheusKeeps) {
  struct Case {
    const char* body;
    Lines lines;
  };
  const Case cases[] = {
      {"a{x=\"1\",} 1\n", {"a{x=\"1\"} 1"}},
      {"a{x=\"1\" y=\"2\"} 1\n", {"a{x=\"1\", y=\"2\"} 1"}},
      {"a { x = \"1\" , y = \"2\" }1\n", {"a{x=\"1\", y=\"2\"} 1"}},
      {"a{} 1\n", {"a 1"}},
      {"a{x=\"q\\\"b\\\\s\\nn\\z\"} 1\n", {"a{x=\"q\\\"b\\\\s\\nn\\\\z\"} 1"}},
      {"a{x=\"two\nlines\"} 1\n", {"a{x=\"two\\nlines\"} 1"}},
      {"{\"my.dotted\",x=\"1\"} 1\n", {"{\"my.dotted\", x=\"1\"} 1"}},
      {"{x=\"1\",\"b\"} 1\n", {"b{x=\"1\"} 1"}},
      {"a{\"my label\"=\"1\"} 1\n", {"a{\"my label\"=\"1\"} 1"}},
      {"a{x=\"\"} 1\n", {"a 1"}},
      {"  a  1  \n", {"a 1"}},
      {"a +Inf\na -inf\na NaN\na 1e3\na .5\na 5.\na 0x\n",
       {"a +Inf", "a -Inf", "a NaN", "a 1000", "a 0.5", "a 5",
        "error: line 7, column 3: expected a number, got \"0x\", in \"a 0x\""}},
      {"#\n#HELP a b\n# HELP\n# TYPE\n# HELP a \n", {"help a|"}},
      {"# HELP \"x.y\" z\n", {"help x.y|z"}},
  };
  for (const Case& c : cases) EXPECT_EQ(Read(c.body, Format::kText), c.lines) << c.body;
}

TEST(TextParser, RefusesAndSaysWhere) {
  struct Case {
    const char* body;
    const char* message;
  };
  const Case cases[] = {
      {"a 1\nb{x=y} 2\n",
       "line 2, column 5: expected a quoted label value, got \"y} 2\", in \"b{x=y} 2\""},
      {"a\n", "line 1, column 2: expected a value, got the end of the line, in \"a\""},
      {"a 1 2 3\n", "line 1, column 7: expected the line to end, got \"3\", in \"a 1 2 3\""},
      {"a 1 -5\n",
       "line 1, column 5: expected a timestamp or the line to end, got \"-5\", in \"a 1 -5\""},
      {"# TYPE a countr\n",
       "line 1, column 9: expected a metric type, got \" countr\", in \"# TYPE a countr\""},
      {"a{x=\"1\n", "line 2, column 1: expected a closing quote, got the end of the body, in \"\""},
      {"a{\"n\"} 1\n",
       "line 1, column 6: expected one metric name, got \"} 1\", in \"a{\\\"n\\\"} 1\""},
      {"{x=\"1\"} 1\n",
       "line 1, column 8: expected a metric name in the braces, got \" 1\", in \"{x=\\\"1\\\"} "
       "1\""},
      {"a 1e999\n", "line 1, column 3: expected a number, got \"1e999\", in \"a 1e999\""},
      {"a 0x1p4\n", "line 1, column 3: expected a number, got \"0x1p4\", in \"a 0x1p4\""},
      {"a 1_000\n", "line 1, column 3: expected a number, got \"1_000\", in \"a 1_000\""},
      {"a 1\r\n", "line 1, column 3: expected a number, got \"1\\r\", in \"a 1\\r\""},
      {"\xef\xbb\xbf"
       "a 1\n",
       nullptr},
      {"a{x=\"\xff\"} 1\n", nullptr},
      {"a,b 1\n", nullptr},
      {"a{,} 1\n", nullptr},
      {"a{x=\"1\",,} 1\n", nullptr},
      {"1a 1\n", nullptr},
  };
  for (const Case& c : cases) {
    const Lines lines = Read(c.body, Format::kText);
    ASSERT_FALSE(lines.empty()) << c.body;
    ASSERT_TRUE(lines.back().starts_with("error: ")) << c.body << " gave " << lines.back();
    if (!c.message) continue;
    EXPECT_EQ(lines.back(), std::string("error: ") + c.message);
  }
}

TEST(OpenMetricsParser, ReadsMetadataTimestampsAndExemplars) {
  EXPECT_EQ(Read("# TYPE a_seconds counter\n# UNIT a_seconds seconds\n# HELP a_seconds Help.\n"
                 "a_seconds_total{x=\"1\"} 1.0 1700000000.5 # {trace_id=\"ab\"} 0.5 1700000000\n"
                 "a_seconds_created 2\n# EOF\n",
                 Format::kOpenMetrics),
            (Lines{"type a_seconds|counter", "unit a_seconds|seconds", "help a_seconds|Help.",
                   "a_seconds_total{x=\"1\"} 1@1700000000500 exemplar", "a_seconds_created 2"}));
}

TEST(OpenMetricsParser, IsStrictAboutLines) {
  const char* const bad[] = {
      "a 1\n",
      "a 1\n# EOF\nb 1\n",
      "a  1\n# EOF\n",
      "a 1 \n# EOF\n",
      "\na 1\n# EOF\n",
      "a 1",
      "a\t1\n# EOF\n",
      "# free words\n# EOF\n",
      "a{x=\"1\" y=\"2\"} 1\n# EOF\n",
      "a {x=\"1\"} 1\n# EOF\n",
      "a{x=\"1\n\"} 1\n# EOF\n",
      "a 1 NaN\n# EOF\n",
      "a 1 # {x=\"1\"}\n# EOF\n",
      "a 1 # {x=\"1\"} 1 Inf\n# EOF\n",
      "# UNIT a seconds\n# EOF\n",
      "# TYPE a foo\n# EOF\n",
      "# HELP a\n# EOF\n",
      "",
  };
  for (const char* body : bad) {
    const Lines lines = Read(body, Format::kOpenMetrics);
    ASSERT_FALSE(lines.empty()) << body;
    EXPECT_TRUE(lines.back().starts_with("error: ")) << body;
  }
  EXPECT_EQ(Read("a{x=\"1\",} 1\n# EOF", Format::kOpenMetrics), (Lines{"a{x=\"1\"} 1"}));
}

TEST(ExposedLabels, BringsBoundsIntoOneForm) {
  EXPECT_EQ(Read("# TYPE a histogram\na_bucket{le=\"1\"} 1\na_bucket{le=\"1e6\"} "
                 "1\na_bucket{le=\"+Inf\"} 1\n"
                 "# TYPE b summary\nb{quantile=\"0.50\"} 1\n# TYPE c gauge\nc{le=\"1\"} 1\n",
                 Format::kText),
            (Lines{"type a|histogram", "a_bucket{le=\"1.0\"} 1", "a_bucket{le=\"1e+06\"} 1",
                   "a_bucket{le=\"+Inf\"} 1", "type b|summary", "b{quantile=\"0.5\"} 1",
                   "type c|gauge", "c{le=\"1\"} 1"}));
}

TEST(Numbers, PlainPathAgreesWithTheFullOne) {
  std::mt19937_64 random(7);
  const char* const forms[] = {"{}", "{:e}", "{:.3f}", "{:.15g}", "{:.17g}", "{:.6e}", "{:g}"};
  for (int i = 0; i < 200'000; ++i) {
    double v = 0;
    switch (i % 4) {
      case 0:
        v = static_cast<double>(static_cast<int64_t>(random())) / 3;
        break;
      case 1:
        v = std::bit_cast<double>(random());
        break;
      case 2:
        v = static_cast<double>(random() % 1'000'000);
        break;
      default:
        v = static_cast<double>(random() % 100'000'000) / 1e5;
    }
    if (!std::isfinite(v)) continue;
    const std::string text = fmt::format(fmt::runtime(forms[i % 7]), v) + "\n";
    double plain = 0;
    const char* stop = ParsePlainNumber(text.data(), text.data() + text.size(), plain);
    const double truth = std::strtod(text.c_str(), nullptr);
    if (stop) {
      EXPECT_EQ(*stop, '\n') << text;
      EXPECT_EQ(std::bit_cast<uint64_t>(plain), std::bit_cast<uint64_t>(truth)) << text;
    }
    const auto full = ParseFloat(Trim(text));
    if (std::isinf(truth)) continue;
    ASSERT_TRUE(full) << text;
    EXPECT_EQ(std::bit_cast<uint64_t>(*full), std::bit_cast<uint64_t>(truth)) << text;
  }
}

TEST(Numbers, TooSmallIsZeroAndTooLargeIsNot) {
  EXPECT_EQ(ParseFloat("1e-400"), 0.0);
  EXPECT_EQ(ParseFloat("4.9e-324"), 4.9e-324);
  EXPECT_FALSE(ParseFloat("1e400"));
  EXPECT_FALSE(ParseFloat("-1e400"));
  EXPECT_FALSE(ParseFloat("nan(1)"));
  EXPECT_FALSE(ParseFloat("+nan"));
  EXPECT_FALSE(ParseFloat("1e"));
  EXPECT_FALSE(ParseFloat("."));
  EXPECT_FALSE(ParseFloat("--1"));
  EXPECT_EQ(ParseFloat("+Infinity"), HUGE_VAL);
  EXPECT_EQ(std::bit_cast<uint64_t>(*ParseFloat("nan")), kNormalNanBits);
}

}  // namespace
}  // namespace picket::collectors::scrape
