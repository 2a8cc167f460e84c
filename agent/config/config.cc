// SPDX-License-Identifier: Apache-2.0
#include "agent/config/config.h"

#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <set>

#include "core/base/strings.h"

namespace picket::agent {
namespace {

bool IsHostPort(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return false;
  const std::string_view host = text.substr(0, colon), port = text.substr(colon + 1);
  if (host.find(':') != std::string_view::npos && !(host.starts_with('[') && host.ends_with(']')))
    return false;
  unsigned number = 0;
  auto [end, ec] = std::from_chars(port.data(), port.data() + port.size(), number);
  return ec == std::errc() && end == port.data() + port.size() && number <= 65535;
}

/// UTF-8 names cannot be kept where only legacy names are valid.
void CheckNameSchemes(const RootConfig& c, config::Reporter& r) {
  using collectors::scrape::NameScheme;
  const auto& all = c.collectors.scrape.global.defaults;
  const auto whole = all.metric_name_validation_scheme.value_or(NameScheme::kUtf8);
  const std::string& strategy = c.prometheus.otlp.translation_strategy;
  if (whole == NameScheme::kLegacy &&
      (strategy == "NoUTF8EscapingWithSuffixes" || strategy == "NoTranslation"))
    r.Error(
        "otlp.translation_strategy",
        fmt::format("{} keeps UTF-8 names, which the legacy validation scheme refuses", strategy),
        "Use UnderscoreEscapingWithSuffixes, or utf8 as the validation scheme.");
  const auto& jobs = c.collectors.scrape.scrape_configs;
  for (size_t i = 0; i < jobs.size(); ++i) {
    const auto& own = jobs[i].own;
    const auto& escaping = own.metric_name_escaping_scheme ? own.metric_name_escaping_scheme
                                                           : all.metric_name_escaping_scheme;
    if (own.metric_name_validation_scheme.value_or(whole) != NameScheme::kLegacy ||
        escaping != "allow-utf-8")
      continue;
    // With both words in the job, the job itself says so.
    if (own.metric_name_validation_scheme && own.metric_name_escaping_scheme) continue;
    r.Error(fmt::format("collectors.scrape.scrape_configs[{}]", i),
            "allows UTF-8 names where the legacy validation scheme does not",
            "Choose underscores, dots or values for metric_name_escaping_scheme.");
  }
}

}  // namespace

Labels RootConfig::ExternalLabels() const {
  LabelsBuilder b(node.labels);
  for (const auto& [name, value] : collectors.scrape.global.external_labels) b.Set(name, value);
  return b.Build();
}

std::string RootConfig::NodeName() const {
  if (!node.name.empty()) return node.name;
  char host[256] = {};
  return ::gethostname(host, sizeof host - 1) == 0 && host[0] ? host : "localhost";
}

void Declare(config::Object<LogConfig>& o) {
  o.Doc("The agent's own log.");
  o.Field("level", &LogConfig::level, "The least that is written.")
      .OneOf({{"debug", log::Level::kDebug},
              {"info", log::Level::kInfo},
              {"warn", log::Level::kWarn},
              {"error", log::Level::kError}});
  o.Field("format", &LogConfig::format, "How lines are written.")
      .OneOf({{"logfmt", log::Format::kLogfmt}, {"json", log::Format::kJson}});
}

void Declare(config::Object<NodeConfig>& o) {
  o.Doc("Who this agent is, where it keeps its state and where it may be reached.");
  o.Field("name", &NodeConfig::name, "The node's name, in its series and on its page.")
      .DefaultText("the host's name");
  o.Field("labels", &NodeConfig::labels,
          "Labels of everything that leaves; external_labels of the same name win.")
      .Example("{env: dev}");
  o.Field("data_dir", &NodeConfig::data_dir, "The one directory Picket writes to.")
      .Path()
      .DefaultText("/var/lib/picket, or a directory of the user when that cannot be written");
  o.Field("listen", &NodeConfig::listen,
          "Address and port of the HTTP server; 0.0.0.0 is every address.")
      .Check([](const std::string& v, config::Reporter& r) {
        if (!IsHostPort(v))
          r.Error("", fmt::format("\"{}\" is not an address and a port", v),
                  "Write it like 127.0.0.1:9510 or [::1]:9510.");
      });
  o.Field("web", &NodeConfig::web, "TLS and credentials of the HTTP server.");
  o.Field("log", &NodeConfig::log, "The agent's own log.");
  o.Field("shutdown_timeout", &NodeConfig::shutdown_timeout,
          "How long a stop may take to send what is queued.")
      .Min(Milliseconds(1));
}

void Declare(config::Object<LimitsConfig>& o) {
  o.Doc("What the agent may use. Two numbers, memory and disk, are usually all to set.");
  o.Field("memory", &LimitsConfig::memory, "The budget every buffer draws on.").Min(16_MiB);
  o.Field("disk", &LimitsConfig::disk, "The most that is kept under data_dir.").Min(16_MiB);
  o.Field("retention", &LimitsConfig::retention,
          "How long samples are kept here; 0 is as long as they fit.");
  o.Field("store", &LimitsConfig::store, "How large the store of samples may get.")
      .BinaryUnits()
      .DefaultText("a share of disk");
  o.Field("series", &LimitsConfig::series,
          "Most series at a time; new ones beyond it are refused. 0 is no limit.");
  o.Field("concurrency", &LimitsConfig::concurrency, "Threads for sockets and parsing.")
      .Max(256)
      .DefaultText("2, or 1 on a single core");
}

void Declare(config::Object<CollectorsConfig>& o) {
  o.Doc("What comes in.");
  o.Field("scrape", &CollectorsConfig::scrape, "Metrics that are asked for.");
  o.Field("host", &CollectorsConfig::host,
          "The node's own health. On unless the file is a prometheus.yml that does not name it.");
  o.Field("logs", &CollectorsConfig::logs, "Log files that are followed.");
  o.Field("otlp", &CollectorsConfig::otlp,
          "Traces that are sent here; {} listens on the usual ports.");
}

void Declare(config::Object<RulesConfig>& o) {
  o.Doc("What is decided here.");
  o.Field("files", &RulesConfig::files, "Prometheus rule files; names may hold wildcards.").Path();
  o.Field("slos", &RulesConfig::slos,
          "Files with objectives: native, OpenSLO or Sloth; names may hold wildcards.")
      .Path();
  o.Field("canaries", &RulesConfig::canaries, "Rollouts that are watched.");
  o.Field("alerting", &RulesConfig::alerting, "How rules are evaluated.");
}

void Declare(config::Object<ExportersConfig>& o) {
  o.Doc("What goes out.");
  o.Field("remote_write", &ExportersConfig::remote_write, "Backends for metrics.");
  o.Field("loki", &ExportersConfig::loki, "Backends for logs.");
  o.Field("otlp", &ExportersConfig::otlp, "Backends for traces.");
  o.Field("alertmanager", &ExportersConfig::alertmanager, "Where alerts are sent.");
  o.Field("signals", &ExportersConfig::signals, "Who is told of canary verdicts, by name.");
  o.Field("alert_relabel_configs", &ExportersConfig::alert_relabel_configs,
          "Steps on the labels of every alert that leaves.");
  o.Check([](const ExportersConfig& c, config::Reporter& r) {
    std::set<std::string> names;
    for (size_t i = 0; i < c.remote_write.size(); ++i)
      if (const std::string& n = c.remote_write[i].name; !n.empty() && !names.insert(n).second)
        r.Error(fmt::format("remote_write[{}].name", i),
                fmt::format("\"{}\" is another one's name already", n),
                "Give each remote_write its own name.");
  });
}

void Declare(config::Object<RootConfig>& o) {
  o.Doc("Picket's configuration. Everything may be left out; a prometheus.yml runs as it is.");
  o.AllowExtensions();
  o.Field("node", &RootConfig::node, "Who this agent is and where it may be reached.");
  o.Field("limits", &RootConfig::limits, "What it may use.");
  o.Field("collectors", &RootConfig::collectors, "What comes in.");
  o.Field("rules", &RootConfig::rules, "What is decided here.");
  o.Field("exporters", &RootConfig::exporters, "What goes out.");
  o.Inline(&RootConfig::prometheus);
  o.Check(CheckNameSchemes);
  o.Check([](const RootConfig& c, config::Reporter& r) {
    std::vector<std::string> known;
    known.reserve(c.exporters.signals.size());
    for (const auto& [name, signal] : c.exporters.signals) known.push_back(name);
    for (size_t i = 0; i < c.rules.canaries.size(); ++i)
      for (const std::string& name : c.rules.canaries[i].signals) {
        if (c.exporters.signals.contains(name)) continue;
        const std::string near = NearestName(name, known);
        r.Error(fmt::format("rules.canaries[{}].signals", i),
                fmt::format("\"{}\" is not under exporters.signals", name),
                near.empty() ? "Add it there." : fmt::format("Did you mean \"{}\"?", near));
      }
  });
}

}  // namespace picket::agent
