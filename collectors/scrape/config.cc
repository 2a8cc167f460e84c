// SPDX-License-Identifier: Apache-2.0
#include "collectors/scrape/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "collectors/scrape/target.h"
#include "core/base/strings.h"
#include "core/relabel/relabel.h"

namespace picket::collectors::scrape {
namespace {

constexpr std::string_view kNative = "native histograms";

/// The keys that `global` and a job share.
void DeclareDefaults(config::Object<Defaults>& o) {
  o.Field("scrape_interval", &Defaults::scrape_interval, "How often a target is scraped.")
      .Min(Milliseconds(1))
      .DefaultText("1m");
  o.Field("scrape_timeout", &Defaults::scrape_timeout,
          "How long a scrape may take; not longer than the interval.")
      .Min(Milliseconds(1))
      .DefaultText("10s, or the interval if that is shorter");
  o.Field("scrape_protocols", &Defaults::scrape_protocols,
          "Formats to ask for, the liked ones first.")
      .OneOf({{"PrometheusProto", Protocol::kPrometheusProto},
              {"PrometheusText0.0.4", Protocol::kText_0_0_4},
              {"PrometheusText1.0.0", Protocol::kText_1_0_0},
              {"OpenMetricsText0.0.1", Protocol::kOpenMetrics_0_0_1},
              {"OpenMetricsText1.0.0", Protocol::kOpenMetrics_1_0_0}})
      .NonEmpty()
      .DefaultText(
          "[OpenMetricsText1.0.0, OpenMetricsText0.0.1, PrometheusText1.0.0, PrometheusText0.0.4]");
  o.Field("body_size_limit", &Defaults::body_size_limit,
          "Largest body, inflated, that is read; 0 is no limit.")
      .BinaryUnits()
      .DefaultText("0");
  o.Field("sample_limit", &Defaults::sample_limit,
          "Most samples after relabelling; a scrape with more fails. 0 is no limit.")
      .DefaultText("0");
  o.Field("target_limit", &Defaults::target_limit,
          "Most targets of a job; with more all of them fail. 0 is no limit.")
      .DefaultText("0");
  o.Field("label_limit", &Defaults::label_limit,
          "Most labels of a sample; a scrape with more fails. 0 is no limit.")
      .DefaultText("0");
  o.Field("label_name_length_limit", &Defaults::label_name_length_limit,
          "Longest label name in bytes. 0 is no limit.")
      .DefaultText("0");
  o.Field("label_value_length_limit", &Defaults::label_value_length_limit,
          "Longest label value in bytes. 0 is no limit.")
      .DefaultText("0");
  o.Field("keep_dropped_targets", &Defaults::keep_dropped_targets,
          "How many targets dropped by relabelling are remembered. 0 is all.")
      .DefaultText("0");
  o.Field("metric_name_validation_scheme", &Defaults::metric_name_validation_scheme,
          "Which names are valid.")
      .OneOf({{"utf8", NameScheme::kUtf8}, {"legacy", NameScheme::kLegacy}})
      .DefaultText("utf8");
  o.Field("metric_name_escaping_scheme", &Defaults::metric_name_escaping_scheme,
          "How a target is asked to write names that are not legacy ones.")
      .OneOf({"allow-utf-8", "underscores", "dots", "values"})
      .DefaultText("allow-utf-8");
  o.Field("extra_scrape_metrics", &Defaults::extra_scrape_metrics,
          "Reports timeout, sample limit and body size of each scrape as series too.")
      .DefaultText("false");
  o.Field("scrape_native_histograms", &Defaults::scrape_native_histograms,
          "Scrapes native histograms.")
      .Unsupported(kNative);
  o.Field("always_scrape_classic_histograms", &Defaults::always_scrape_classic_histograms,
          "Scrapes the classic form of a histogram beside the native one; without native ones it "
          "always is.");
  o.Field("convert_classic_histograms_to_nhcb", &Defaults::convert_classic_histograms_to_nhcb,
          "Turns classic histograms into native ones.")
      .Unsupported(kNative);
  o.Field("scrape_failure_log_file", &Defaults::scrape_failure_log_file,
          "Where failed scrapes are written.")
      .Unsupported("a log file for failed scrapes");
}

void CheckProtocols(const Defaults& d, config::Reporter& r) {
  if (!d.scrape_protocols) return;
  std::set<Protocol> seen;
  for (size_t i = 0; i < d.scrape_protocols->size(); ++i) {
    const Protocol p = (*d.scrape_protocols)[i];
    const std::string key = fmt::format("scrape_protocols[{}]", i);
    if (p == Protocol::kPrometheusProto) r.Unsupported(key, "scraping protobuf");
    if (!seen.insert(p).second) r.Error(key, "is in the list twice", "Remove one of them.");
  }
}

/// An address with a slash is none, unless relabelling makes one of it.
void CheckTargets(const ScrapeConfig& c, config::Reporter& r) {
  for (size_t i = 0; i < c.discovery.static_configs.size(); ++i) {
    const auto& group = c.discovery.static_configs[i];
    for (size_t k = 0; k < group.targets.size(); ++k) {
      if (group.targets[k].find('/') == std::string::npos) continue;
      LabelsBuilder labels(DiscoveredLabels(Labels({{"__address__", group.targets[k]}}),
                                            group.labels, c, Resolve(c, {})));
      if (!relabel::Process(c.relabel_configs, labels)) continue;
      const std::string address(labels.Get("__address__"));
      if (address.find('/') != std::string::npos)
        r.Error(fmt::format("static_configs[{}].targets[{}]", i, k),
                fmt::format("{} is not host:port", JsonQuote(address)),
                "Leave out scheme and path; they are the job's scheme and metrics_path.");
    }
  }
}

void CheckJob(const ScrapeConfig& c, config::Reporter& r) {
  CheckTargets(c, r);
  CheckProtocols(c.own, r);
  if (c.fallback_scrape_protocol == Protocol::kPrometheusProto)
    r.Unsupported("fallback_scrape_protocol", "scraping protobuf");
  if (c.own.scrape_interval && c.own.scrape_timeout &&
      *c.own.scrape_timeout > *c.own.scrape_interval) {
    r.Error("scrape_timeout", "is longer than scrape_interval", "Make it at most as long.");
  }
  if (c.own.metric_name_validation_scheme == NameScheme::kLegacy &&
      c.own.metric_name_escaping_scheme == "allow-utf-8") {
    r.Error("metric_name_escaping_scheme",
            "allows UTF-8 where metric_name_validation_scheme does not",
            "Choose underscores, dots or values.");
  }
}

void CheckWhole(const Config& c, config::Reporter& r) {
  std::set<std::string> jobs;
  for (size_t i = 0; i < c.scrape_configs.size(); ++i) {
    const ScrapeConfig& job = c.scrape_configs[i];
    if (!jobs.insert(job.job_name).second) {
      r.Error(fmt::format("scrape_configs[{}].job_name", i),
              fmt::format("\"{}\" is another job's name already", job.job_name),
              "Give each job its own name.");
    }
    const JobSettings s = Resolve(job, c.global);
    if (s.timeout > s.interval) {
      r.Error(fmt::format("scrape_configs[{}].scrape_timeout", i),
              fmt::format("is longer than the interval of {}", FormatDuration(s.interval)),
              "Make it at most as long.");
    }
  }
}

}  // namespace

JobSettings Resolve(const ScrapeConfig& job, const GlobalConfig& global) {
  const Defaults& own = job.own;
  const Defaults& all = global.defaults;
  const auto pick = [](const auto& a, const auto& b, auto fallback) {
    return a ? *a : b ? *b : fallback;
  };
  const auto limit = [](const std::optional<uint64_t>& a, const std::optional<uint64_t>& b) {
    return a && *a != 0 ? *a : b ? *b : uint64_t{0};  // as Prometheus: 0 in a job is "as in global"
  };
  JobSettings s;
  s.interval = pick(own.scrape_interval, all.scrape_interval, s.interval);
  s.timeout = own.scrape_timeout ? *own.scrape_timeout
                                 : std::min(s.interval, all.scrape_timeout.value_or(s.timeout));
  s.protocols =
      pick(own.scrape_protocols, all.scrape_protocols,
           std::vector<Protocol>{Protocol::kOpenMetrics_1_0_0, Protocol::kOpenMetrics_0_0_1,
                                 Protocol::kText_1_0_0, Protocol::kText_0_0_4});
  s.body_size_limit = own.body_size_limit && own.body_size_limit->value != 0
                          ? own.body_size_limit->value
                          : all.body_size_limit.value_or(Bytes(0)).value;
  s.sample_limit = limit(own.sample_limit, all.sample_limit);
  s.target_limit = limit(own.target_limit, all.target_limit);
  s.label_limit = limit(own.label_limit, all.label_limit);
  s.label_name_length_limit = limit(own.label_name_length_limit, all.label_name_length_limit);
  s.label_value_length_limit = limit(own.label_value_length_limit, all.label_value_length_limit);
  s.keep_dropped_targets = limit(own.keep_dropped_targets, all.keep_dropped_targets);
  s.legacy_names = pick(own.metric_name_validation_scheme, all.metric_name_validation_scheme,
                        NameScheme::kUtf8) == NameScheme::kLegacy;
  s.extra_metrics = pick(own.extra_scrape_metrics, all.extra_scrape_metrics, false);
  return s;
}

void Declare(config::Object<Defaults>& o) { DeclareDefaults(o); }

void Declare(config::Object<GlobalConfig>& o) {
  o.Doc("Defaults of every scrape job, and what concerns all of the configuration.");
  o.Inline(&GlobalConfig::defaults);
  o.Field("evaluation_interval", &GlobalConfig::evaluation_interval,
          "How often rules are evaluated.")
      .Min(Milliseconds(1));
  o.Field("rule_query_offset", &GlobalConfig::rule_query_offset,
          "How far in the past rules look, for samples that come late.");
  o.Field("external_labels", &GlobalConfig::external_labels,
          "Labels added to samples and alerts that leave.")
      .ExpandLikeExternalLabels();
  o.Unsupported("query_log_file", "a log of queries");
  o.Unsupported("runtime", "settings of the Go runtime");
  o.Check([](const GlobalConfig& c, config::Reporter& r) {
    const Defaults& d = c.defaults;
    CheckProtocols(d, r);
    if (d.scrape_timeout &&
        *d.scrape_timeout > d.scrape_interval.value_or(std::chrono::minutes(1))) {
      r.Error("scrape_timeout", "is longer than scrape_interval", "Make it at most as long.");
    }
  });
}

void Declare(config::Object<ScrapeConfig>& o) {
  o.Doc("One job: targets that are scraped in the same way.");
  o.Field("job_name", &ScrapeConfig::job_name, "The job's name, and the label `job` of its series.")
      .Required()
      .NonEmpty();
  o.Inline(&ScrapeConfig::own);
  o.Field("metrics_path", &ScrapeConfig::metrics_path, "The path that is asked for.");
  o.Field("scheme", &ScrapeConfig::scheme, "How targets are spoken to.").OneOf({"http", "https"});
  o.Field("params", &ScrapeConfig::params, "Query parameters.").Example("{module: [http_2xx]}");
  o.Field("honor_labels", &ScrapeConfig::honor_labels,
          "Keeps a target's own labels where they meet the job's; otherwise they are renamed to "
          "exported_*.");
  o.Field("honor_timestamps", &ScrapeConfig::honor_timestamps,
          "Uses the timestamps a target gives its samples.");
  o.Field("track_timestamps_staleness", &ScrapeConfig::track_timestamps_staleness,
          "Ends series with timestamps of their own too when they vanish.");
  o.Field("enable_compression", &ScrapeConfig::enable_compression,
          "Asks for compressed bodies, except from targets on this node, where it costs more than "
          "it saves.");
  o.Field("fallback_scrape_protocol", &ScrapeConfig::fallback_scrape_protocol,
          "What to take a body for whose Content-Type does not say.")
      .OneOf({{"PrometheusProto", Protocol::kPrometheusProto},
              {"PrometheusText0.0.4", Protocol::kText_0_0_4},
              {"PrometheusText1.0.0", Protocol::kText_1_0_0},
              {"OpenMetricsText0.0.1", Protocol::kOpenMetrics_0_0_1},
              {"OpenMetricsText1.0.0", Protocol::kOpenMetrics_1_0_0}});
  o.Inline(&ScrapeConfig::discovery);
  o.Field("relabel_configs", &ScrapeConfig::relabel_configs,
          "Rules for targets, before they are scraped.");
  o.Field("metric_relabel_configs", &ScrapeConfig::metric_relabel_configs,
          "Rules for series, when they are first seen.");
  o.Unsupported("native_histogram_bucket_limit", kNative);
  o.Unsupported("native_histogram_min_bucket_factor", kNative);
  o.Inline(&ScrapeConfig::http);
  o.Check(CheckJob);
}

void Declare(config::Object<Config>& o) {
  o.Doc("Scrapes metrics, in Prometheus' own words.");
  o.Field("global", &Config::global, "Defaults of all jobs.");
  o.Field("scrape_configs", &Config::scrape_configs, "The jobs.");
  o.Unsupported("scrape_config_files", "scrape jobs in files of their own");
  o.Check(CheckWhole);
}

}  // namespace picket::collectors::scrape
