// SPDX-License-Identifier: Apache-2.0
// Labels, JSON fields, counters, globs, configuration.
#include <filesystem>

#include "collectors/logs/glob.h"
#include "core/config/object.h"
#include "tests/collectors/logs/fixture.h"

namespace picket::collectors::logs {
namespace {

using ::testing::ElementsAre;

TEST(PathLabelsTest, KubernetesLayouts) {
  const LogsConfig config;
  const auto labels = *PathLabels::Make(config);
  EXPECT_EQ(labels.For("/var/log/pods/shop_web-5d_0f1e-22/app/0.log").ToString(),
            R"({container="app", namespace="shop", pod="web-5d", uid="0f1e-22"})");
  EXPECT_EQ(labels.For("/var/log/pods/shop_web-5d_0f1e-22/app/0.log.20260301-120000").Get("pod"),
            "web-5d");
  EXPECT_EQ(labels.For("/var/log/containers/web-5d_shop_my-app-" + std::string(64, 'a') + ".log")
                .ToString(),
            R"({container="my-app", namespace="shop", pod="web-5d"})");
  EXPECT_EQ(labels.For("/var/log/syslog").ToString(), R"({filename="/var/log/syslog"})");
  EXPECT_EQ(labels.For("/var/log/containers/short_x_y.log").Get("pod"), "");
}

TEST(PathLabelsTest, NamedGroupsAndStaticLabels) {
  LogsConfig config;
  config.path_labels = "/srv/(?P<app>[^/]+)/(?P<kind>access|error)";
  config.labels = {{"env", "dev"}, {"filename", ""}};
  EXPECT_EQ(PathLabels::Make(config)->For("/srv/shop/access.log").ToString(),
            R"({app="shop", env="dev", kind="access"})");
}

TEST(PathLabelsTest, ValuesAreValidUtf8AndTextIsQuoted) {
  const auto labels = PathLabels::Make({})->For("/x/\xff\"\\\xc3\xa9");
  EXPECT_EQ(StreamText(labels), "{filename=\"/x/\xEF\xBF\xBD\\\"\\\\\xc3\xa9\"}");
}

struct Extracted {
  bool object;
  std::vector<std::string> values;  // "-" for absent
};
Extracted Extract(const std::vector<std::string>& paths, std::string line) {
  FieldExtractor extractor(paths);
  line.reserve(line.size() + FieldExtractor::kPadding);
  FieldValues values;
  std::deque<std::string> unescaped;
  Extracted out{extractor.Extract(line, values, unescaped), {}};
  for (const auto& v : values) out.values.push_back(v.data() == nullptr ? "-" : std::string(v));
  return out;
}

TEST(Fields, OnlyTheKeysAskedFor) {
  const auto out =
      Extract({"level", "trace.id", "n", "ok", "none", "trace", "list"},
              R"({"msg":"a \"quoted\" text","trace":{"id":"ab\u00e9\n","x":[1,{"id":2}]},)"
              R"("n": -1.5e3 ,"level":"warn","ok":true,"none":null,"list":[1, "a"]})");
  EXPECT_TRUE(out.object);
  EXPECT_THAT(out.values, ElementsAre("warn", "ab\xc3\xa9\n", "-1.5e3", "true", "-",
                                      R"({"id":"ab\u00e9\n","x":[1,{"id":2}]})", R"([1, "a"])"));
}

TEST(Fields, WhatIsNotAnObject) {
  for (const char* line :
       {"", "plain", "[1]", "{", "{\"level\"", "{\"level\":", "\"level\"", "{]", "{\"level\":\"x"})
    EXPECT_THAT(Extract({"level"}, line).values, ElementsAre("-")) << line;
}

TEST(Fields, StopsBehindTheLastFieldAskedFor) {
  EXPECT_THAT(Extract({"level"}, R"({"level":"info","rest": this is not JSON})").values,
              ElementsAre("info"));
}

TEST(Glob, SegmentsAndStars) {
  EXPECT_TRUE(GlobMatches("/var/log/pods/*/*/*.log", "/var/log/pods/a_b_c/app/0.log"));
  EXPECT_FALSE(GlobMatches("/var/log/pods/*/*/*.log", "/var/log/pods/a_b_c/0.log"));
  EXPECT_TRUE(GlobMatches("/a/**/x.log", "/a/x.log"));
  EXPECT_TRUE(GlobMatches("/a/**/x.log", "/a/b/c/x.log"));
  EXPECT_TRUE(GlobMatches("/a/**", "/a/b/c"));
  EXPECT_FALSE(GlobMatches("/a/*.log", "/a/.hidden.log"));
  EXPECT_TRUE(MatchesAny("/a/b.gz", {"*.gz"}));
  EXPECT_TRUE(MatchesAny("/a/b/c.log", {"/a/*/c.log"}));
  EXPECT_FALSE(MatchesAny("/a/b/c.log", {"/a/c.log"}));
}

TEST(LogsConfigTest, ErrorsNameTheirPlace) {
  const auto good = config::FromYaml<LogsConfig>(
      "files: [/var/log/pods/*/*/*.log]\nformat: cri\njson: {fields: {level: level}, labels: "
      "[level]}\n"
      "count: [{name: app_lines_total, labels: [level], match: 'a+'}]\n");
  ASSERT_TRUE(good) << good.error().ToString();
  EXPECT_EQ(good->format, Format::kCri);
  EXPECT_EQ(config::FromYaml<LogsConfig>("files: /var/log/*.log\n")->files.at(0), "/var/log/*.log");
  EXPECT_EQ(good->count.at(0).match, "a+");
  for (const char* bad :
       {"format: cri\n", "files: [a]\nformat: docker\n", "files: [a]\npath_labels: '('\n",
        "files: [a]\npath_labels: 'x'\n", "files: [a]\njson: {labels: [level]}\n",
        "files: [a]\njson: {fields: {a-b: x}}\n", "files: [a]\ncount: [{name: 'a b'}]\n",
        "files: [a]\nmax_line_bytes: 10B\n", "files: []\n"})
    EXPECT_FALSE(config::FromYaml<LogsConfig>(bad)) << bad;
}

/// Remembers rows as a store would show them.
class Intake : public MetricIntake {
 public:
  SourceId OpenSource(std::string) override { return 1; }
  void CloseSource(SourceId) override {}
  Result<SeriesId> Intern(SourceId, const Labels& labels,
                          std::shared_ptr<const MetricMetadata>) override {
    names.push_back(labels.ToString());
    return static_cast<SeriesId>(names.size() - 1);
  }
  void Release(SourceId, SeriesId) override {}
  void Append(const SampleRow& row) override {
    for (size_t i = 0; i < row.series.size(); ++i)
      history[names[row.series[i]]].push_back(row.values[i]);
  }
  void AppendTimed(SourceId, std::span<const TimedSample>) override {}
  std::vector<std::string> names;
  std::map<std::string, std::vector<double>> history;
};

class StreamsTest : public TailerTest {};

TEST_F(StreamsTest, FieldsBecomeMetadataOrLabels) {
  config_.json.fields = {{"level", "level"}, {"trace_id", "ctx.trace"}};
  config_.json.labels = {"level"};
  config_.labels = {{"app", "shop"}, {"filename", ""}};
  Append("app.log", R"({"level":"error","ctx":{"trace":"4bf9"},"msg":"a"})"
                    "\n"
                    "not json\n"
                    R"({"ctx":{"trace":"x\ty"},"level":"error"})"
                    "\n");
  Start();
  Run();
  ASSERT_EQ(backend_->delivered.size(), 3u);
  std::map<std::string, std::vector<Backend::Entry>> by_labels;
  for (const auto& e : backend_->delivered) by_labels[e.labels].push_back(e);
  const auto& errors = by_labels[R"({app="shop", level="error"})"];
  ASSERT_EQ(errors.size(), 2u);
  EXPECT_EQ(errors[0].metadata, (std::map<std::string, std::string>{{"trace_id", "4bf9"}}));
  EXPECT_EQ(errors[1].metadata.at("trace_id"), "x\ty");
  EXPECT_EQ(by_labels[R"({app="shop"})"].at(0).line, "not json");
}

TEST_F(StreamsTest, LabelsFromFieldsAreBounded) {
  config_.json.fields = {{"id", "id"}};
  config_.json.labels = {"id"};
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "{\"id\":" + std::to_string(i) + "}\n";
  Append("app.log", text);
  Start();
  Run();
  EXPECT_EQ(backend_->delivered.size(), 1000u);
  std::set<std::string> labels;
  for (const auto& e : backend_->delivered) labels.insert(e.labels);
  EXPECT_EQ(labels.size(), StreamSplitter::kMaxVariants + 1);
}

TEST_F(StreamsTest, CountsAreSeriesThatStartAtZero) {
  Intake intake;
  intake_ = &intake;
  config_.json.fields = {{"level", "level"}};
  config_.count = {{"lines_total", "", {"filename"}, ""},
                   {"by_level_total", "", {"level"}, ""},
                   {"slow_total", "", {}, "took \\d{4,} ms"}};
  Append("app.log",
         "{\"level\":\"info\"}\n{\"level\":\"error\",\"msg\":\"took 1234 "
         "ms\"}\n{\"level\":\"info\"}\n");
  Start();
  Run();
  Append("app.log", "{\"level\":\"info\"}\n");
  Run(std::chrono::seconds(11));
  Run(std::chrono::seconds(11));
  EXPECT_THAT(intake.history["lines_total{filename=\"" + Path("app.log") + "\"}"],
              ElementsAre(0, 4, 4));
  EXPECT_THAT(intake.history["by_level_total{level=\"info\"}"], ElementsAre(0, 3, 3));
  EXPECT_THAT(intake.history["by_level_total{level=\"error\"}"], ElementsAre(0, 1, 1));
  EXPECT_THAT(intake.history["slow_total"], ElementsAre(0, 1, 1));
  tailer_.reset();
}

}  // namespace
}  // namespace picket::collectors::logs
