// SPDX-License-Identifier: Apache-2.0
#include "collectors/scrape/target.h"

#include <gtest/gtest.h>

#include "collectors/scrape/resolver.h"
#include "collectors/scrape/schedule.h"
#include "collectors/scrape/scraper.h"
#include "collectors/scrape/status.h"

namespace picket::collectors::scrape {
namespace {

using std::chrono_literals::operator""s;

ScrapeConfig Job(const std::string& yaml) {
  auto job = config::FromYaml<ScrapeConfig>("job_name: shop\n" + yaml);
  EXPECT_TRUE(job) << job.error().ToString();
  return *job;
}

Result<std::optional<Target>> Make(const std::string& yaml, const Labels& labels) {
  const ScrapeConfig job = Job(yaml);
  return MakeTarget(DiscoveredLabels(labels, Labels({{"env", "dev"}}), job, Resolve(job, {})), job);
}

const Labels kPlain({{"__address__", "h:1"}});

TEST(Target, HasTheJobsAndItsOwnLabels) {
  const auto target = Make("", kPlain);
  ASSERT_TRUE(target && *target);
  EXPECT_EQ((*target)->labels.ToString(), R"({env="dev", instance="h:1", job="shop"})");
  EXPECT_EQ((*target)->url, "http://h:1/metrics");
  EXPECT_EQ((*target)->interval, 60s);
  EXPECT_EQ((*target)->timeout, 10s);
  EXPECT_EQ((*target)->discovered.Get("__scrape_interval__"), "1m");
}

TEST(Target, RelabellingMayChangeEverything) {
  const auto target = Make(R"(
metrics_path: /m
scheme: https
params: {module: [http_2xx, x], "a b": [c&d]}
relabel_configs:
  - {source_labels: [__address__], target_label: __param_target}
  - {target_label: __address__, replacement: "prober:9115"}
  - {target_label: __scrape_interval__, replacement: 5s}
  - {target_label: __scrape_timeout__, replacement: 2s}
  - {target_label: job, replacement: other}
  - {target_label: __tmp, replacement: gone}
)",
                           kPlain);
  ASSERT_TRUE(target && *target);
  EXPECT_EQ((*target)->url,
            "https://prober:9115/m?a%20b=c%26d&module=http_2xx&module=x&target=h%3A1");
  EXPECT_EQ((*target)->labels.ToString(), R"({env="dev", instance="prober:9115", job="other"})");
  EXPECT_EQ((*target)->interval, 5s);
}

TEST(Target, MayBeDroppedOrWrong) {
  EXPECT_EQ(
      Make("relabel_configs: [{source_labels: [env], regex: dev, action: drop}]", kPlain).value(),
      std::nullopt);
  EXPECT_FALSE(Make("", Labels()));
  EXPECT_FALSE(
      Make("relabel_configs: [{target_label: __address__, replacement: 'http://x'}]", kPlain));
  EXPECT_FALSE(
      Make("relabel_configs: [{target_label: __scrape_timeout__, replacement: 2m}]", kPlain));
  EXPECT_FALSE(
      Make("relabel_configs: [{target_label: __scrape_interval__, replacement: soon}]", kPlain));
}

TEST(Target, IdentityIsLabelsAndUrl) {
  const uint64_t hash = (*Make("", kPlain))->hash;
  EXPECT_EQ((*Make("scrape_interval: 7s\nscrape_timeout: 1s", kPlain))->hash, hash);
  EXPECT_NE((*Make("metrics_path: /m", kPlain))->hash, hash);
  EXPECT_NE((*Make("relabel_configs: [{target_label: zone, replacement: a}]", kPlain))->hash, hash);
}

TEST(Target, KnowsItsOwnMachine) {
  const LocalAddresses local = LocalAddresses::Read();
  for (const char* address :
       {"localhost:1", "127.0.0.1:9100", "127.3.2.1:80", "[::1]:9100", "localhost"})
    EXPECT_TRUE(local.Contains(address)) << address;
  for (const char* address : {"192.0.2.1:9100", "example.org:80", "[2001:db8::1]:80"})
    EXPECT_FALSE(local.Contains(address)) << address;
}

/// The final labels of a text line.
std::string Final(std::string_view line, const Labels& target, SampleRules rules = {}) {
  Parser parser(line, Format::kText);
  EXPECT_EQ(parser.Next(), Parser::Entry::kSeries);
  const auto labels = SampleLabels(parser.series(), parser.type(), target, rules);
  if (!labels) return "error: " + labels.error().message();
  return *labels ? (*labels)->ToString() : "dropped";
}

TEST(SampleLabels, ExposedLabelsMakeWay) {
  const Labels target({{"job", "shop"}, {"instance", "h:1"}});
  EXPECT_EQ(Final("a 1\n", target), R"(a{instance="h:1", job="shop"})");
  EXPECT_EQ(Final("a{job=\"x\",exported_job=\"y\"} 1\n", target),
            R"(a{exported_exported_job="x", exported_job="y", instance="h:1", job="shop"})");
  EXPECT_EQ(Final("a{job=\"x\",instance=\"\"} 1\n", target, {.honor_labels = true}),
            R"(a{job="x"})");
}

TEST(SampleLabels, MetricRelabellingAndLimits) {
  const Labels target({{"job", "shop"}});
  SampleRules rules;
  rules.relabel = Job("metric_relabel_configs: [{source_labels: [__name__], regex: go_.*, action: "
                      "drop}, {regex: pod, action: labeldrop}]")
                      .metric_relabel_configs;
  EXPECT_EQ(Final("go_x 1\n", target, rules), "dropped");
  EXPECT_EQ(Final("a{pod=\"p\"} 1\n", target, rules), R"(a{job="shop"})");
  EXPECT_TRUE(Final("a{b=\"c\"} 1\n", target, {.label_limit = 2})
                  .starts_with("error: 3 labels exceed the label_limit of 2"));
  EXPECT_TRUE(Final("a{bcdefghij=\"c\"} 1\n", target, {.label_name_length_limit = 8})
                  .starts_with("error: label name \"bcdefghij\""));
  EXPECT_TRUE(Final("a{b=\"cdefg\"} 1\n", target, {.label_value_length_limit = 4})
                  .starts_with("error: the value of label \"b\""));
  EXPECT_TRUE(Final("{\"a.b\"} 1\n", target, {.legacy_names = true})
                  .starts_with("error: invalid metric name"));
}

TEST(Schedule, IsStableAndCountsWhatItMissed) {
  const Schedule schedule(10s, 12'345'678);
  const UnixMs first = schedule.After(1'700'000'000'000);
  EXPECT_GT(first, 1'700'000'000'000);
  EXPECT_LE(first, 1'700'000'010'000);
  EXPECT_EQ(schedule.After(first), first + 10'000);
  EXPECT_EQ(schedule.After(first - 1), first);
  EXPECT_EQ(Schedule(10s, 12'345'678).After(first + 5), first + 10'000);
  EXPECT_EQ(schedule.Missed(first, first + 10'000), 0);
  EXPECT_EQ(schedule.Missed(first, first + 40'000), 3);
  EXPECT_EQ(schedule.Timestamp(first, first + 90), first);
  EXPECT_EQ(schedule.Timestamp(first, first + 900), first + 900);
}

TEST(Schedule, SpreadsTargetsOverTheInterval) {
  int early = 0;
  for (int i = 0; i < 1000; ++i) {
    const auto target = Make("", Labels({{"__address__", "h:" + std::to_string(i)}}));
    early += Schedule(10s, (*target)->hash).After(1'700'000'000'000) < 1'700'000'005'000;
  }
  EXPECT_GT(early, 400);
  EXPECT_LT(early, 600);
}

TEST(Formats, AreAskedForAndRecognised) {
  EXPECT_EQ(AcceptHeader(Resolve(ScrapeConfig{}, {}).protocols, "allow-utf-8"),
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/"
            "openmetrics-text;version=0.0.1;q=0.4,"
            "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/"
            "*;q=0.1");
  EXPECT_EQ(FormatOf("text/plain; version=0.0.4; charset=utf-8", {}).value(), Format::kText);
  EXPECT_EQ(FormatOf("Application/OpenMetrics-Text; version=1.0.0", {}).value(),
            Format::kOpenMetrics);
  EXPECT_FALSE(FormatOf("", {}));
  EXPECT_FALSE(FormatOf("text/html", {}));
  EXPECT_FALSE(FormatOf("application/vnd.google.protobuf; encoding=delimited", {}));
  EXPECT_EQ(FormatOf("", Protocol::kText_0_0_4).value(), Format::kText);
  EXPECT_EQ(FormatOf("text/html", Protocol::kOpenMetrics_1_0_0).value(), Format::kOpenMetrics);
}

TEST(Config, InheritsAndChecks) {
  const auto config = config::FromYaml<Config>(R"(
global: {scrape_interval: 15s, sample_limit: 5, body_size_limit: 1MB}
scrape_configs:
  - job_name: a
  - {job_name: b, scrape_interval: 5s, sample_limit: 7}
)");
  ASSERT_TRUE(config) << config.error().ToString();
  const JobSettings a = Resolve(config->scrape_configs[0], config->global);
  EXPECT_EQ(a.interval, 15s);
  EXPECT_EQ(a.timeout, 10s);
  EXPECT_EQ(a.sample_limit, 5u);
  EXPECT_EQ(a.body_size_limit, 1u << 20);
  const JobSettings b = Resolve(config->scrape_configs[1], config->global);
  EXPECT_EQ(b.timeout, 5s);
  EXPECT_EQ(b.sample_limit, 7u);

  const char* const bad[] = {
      "scrape_configs: [{}]",
      "scrape_configs: [{job_name: ''}]",
      "scrape_configs: [{job_name: a}, {job_name: a}]",
      "scrape_configs: [{job_name: a, scrape_timeout: 2m}]",
      "scrape_configs: [{job_name: a, scheme: ftp}]",
      "scrape_configs: [{job_name: a, scrape_protocols: [PrometheusProto]}]",
      "scrape_configs: [{job_name: a, scrape_native_histograms: true}]",
      "scrape_configs: [{job_name: a, consul_sd_configs: [{}]}]",
      "scrape_configs: [{job_name: a, scrape_protocols: [OpenMetricsText1.0.0, "
      "OpenMetricsText1.0.0]}]",
      "scrape_configs: [{job_name: a, no_such_key: 1}]",
      "global: {scrape_interval: 5s, scrape_timeout: 6s}",
  };
  for (const char* text : bad) EXPECT_FALSE(config::FromYaml<Config>(text)) << text;
}

TEST(Status, IsPrometheusShape) {
  std::string out;
  TargetStatus status;
  status.job = "shop";
  status.labels = Labels({{"job", "shop"}});
  status.url = "http://h:1/metrics";
  status.health = TargetStatus::Health::kDown;
  status.last_error = "no \"luck\"";
  status.last_scrape_ms = 1'700'000'000'123;
  status.interval = 15s;
  status.timeout = 10s;
  AppendTargetJson(out, status);
  EXPECT_EQ(
      out,
      R"({"discoveredLabels":{},"labels":{"job":"shop"},"scrapePool":"shop","scrapeUrl":"http://h:1/metrics",)"
      R"("globalUrl":"http://h:1/metrics","lastError":"no \"luck\"","lastScrape":"2023-11-14T22:13:20.123Z",)"
      R"("lastScrapeDuration":0,"health":"down","scrapeInterval":"15s","scrapeTimeout":"10s","samples":0,"series":0,"bodyBytes":0})");
}

TEST(Config, AnAddressWithASlashIsRefusedOnlyWhereRelabellingLeavesIt) {
  const std::string job = "job_name: j\nstatic_configs: [{targets: ['http://a']}]\n";
  const auto refused = config::FromYaml<ScrapeConfig>(job);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("http://a"), std::string::npos);
  EXPECT_TRUE(config::FromYaml<ScrapeConfig>(
      job + "relabel_configs: [{target_label: __address__, replacement: good}]\n"));
  EXPECT_TRUE(
      config::FromYaml<ScrapeConfig>(job + "relabel_configs: [{action: drop, regex: '.*'}]\n"))
      << "what is dropped needs no address";
}

}  // namespace
}  // namespace picket::collectors::scrape
