// SPDX-License-Identifier: Apache-2.0
#include "agent/config/prometheus.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/base/strings.h"

namespace picket::agent {
namespace {

constexpr std::string_view kOtlpMetrics = "taking in OTLP metrics";

std::string Lower(std::string_view s) {
  std::string out(s);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}

void CheckTracing(const TracingConfig& c, config::Reporter& r) {
  for (const auto& [name, value] : c.headers) {
    const std::string lower = Lower(name);
    if (lower == "authorization")
      r.Error("headers", "the authorization header cannot be set here", "Remove it.");
    else if (lower.starts_with("x-prometheus-") || lower == "content-encoding" ||
             lower == "content-type" || lower == "content-length" || lower == "host" ||
             lower == "user-agent" || lower == "connection")
      r.Error("headers", fmt::format("the header {} is reserved", name), "Remove it.");
  }
}

/// Empty and repeated names, spaces aside.
void CheckAttributes(const std::vector<std::string>& names, std::string_view key,
                     config::Reporter& r) {
  std::set<std::string_view> seen;
  for (size_t i = 0; i < names.size(); ++i) {
    const std::string_view name = Trim(names[i]);
    const std::string at = fmt::format("{}[{}]", key, i);
    if (name.empty())
      r.Error(at, "is empty", "Name a resource attribute, or remove it.");
    else if (!seen.insert(name).second)
      r.Error(at, fmt::format("\"{}\" is in the list twice", name), "Remove one of them.");
  }
}

void CheckOtlp(const OtlpMetricsConfig& c, config::Reporter& r) {
  CheckAttributes(c.promote_resource_attributes, "promote_resource_attributes", r);
  CheckAttributes(c.ignore_resource_attributes, "ignore_resource_attributes", r);
  if (!c.ignore_resource_attributes.empty() && !c.promote_all_resource_attributes)
    r.Error("ignore_resource_attributes", "needs promote_all_resource_attributes",
            "Without it nothing is promoted that could be ignored.");
  if (!c.promote_resource_attributes.empty() && c.promote_all_resource_attributes)
    r.Error("promote_resource_attributes", "stands beside promote_all_resource_attributes",
            "Keep one of them.");
}

}  // namespace

void Declare(config::Object<AlertingKeys>& o) {
  o.Doc("Where alerts go.");
  o.Field(
      "alert_relabel_configs", &AlertingKeys::alert_relabel_configs,
      "Steps on the labels of every alert that leaves. Read as exporters.alert_relabel_configs.");
  o.Field("alertmanagers", &AlertingKeys::alertmanagers,
          "Where alerts are sent. Read as exporters.alertmanager.");
}

void Declare(config::Object<RemoteReadConfig>& o) {
  o.Doc("A store to read back from.");
  o.Field("url", &RemoteReadConfig::url, "Where to read from.").Required().NonEmpty();
  o.Field("name", &RemoteReadConfig::name, "Its name in metrics.");
  o.Field("required_matchers", &RemoteReadConfig::required_matchers, "Asked only with these.");
  o.Field("headers", &RemoteReadConfig::headers, "Headers to send.");
  o.Field("remote_timeout", &RemoteReadConfig::remote_timeout, "How long an answer may take.");
  o.Field("chunked_read_limit", &RemoteReadConfig::chunked_read_limit, "Largest frame.")
      .BinaryUnits();
  o.Field("read_recent", &RemoteReadConfig::read_recent, "Also for what is stored locally.");
  o.Field("filter_external_labels", &RemoteReadConfig::filter_external_labels,
          "Adds the external labels to questions.");
  o.Inline(&RemoteReadConfig::http);
}

void Declare(config::Object<TracingConfig>& o) {
  o.Doc("Prometheus' traces of itself.");
  o.Field("client_type", &TracingConfig::client_type, "How spans are sent.")
      .OneOf({"grpc", "http"});
  o.Field("endpoint", &TracingConfig::endpoint, "Where to.").Required().NonEmpty();
  o.Field("sampling_fraction", &TracingConfig::sampling_fraction, "The share that is sent.");
  o.Field("insecure", &TracingConfig::insecure, "Without TLS.");
  o.Field("headers", &TracingConfig::headers, "Headers to send.");
  o.Field("compression", &TracingConfig::compression, "How bodies are compressed.")
      .OneOf({"", "gzip"});
  o.Field("timeout", &TracingConfig::timeout, "How long sending may take.");
  o.Field("tls_config", &TracingConfig::tls_config, "How to encrypt.");
  o.Check(CheckTracing);
}

void Declare(config::Object<RuntimeConfig>& o) {
  o.Doc("Settings of the Go runtime.");
  o.Field("gogc", &RuntimeConfig::gogc, "The Go garbage collector's target.")
      .Unsupported("tuning of a Go garbage collector (Picket has none)");
}

void Declare(config::Object<RetentionConfig>& o) {
  o.Field("time", &RetentionConfig::time, "How long samples are kept. Read as limits.retention.");
  o.Field("size", &RetentionConfig::size, "How large the store may get. Read as limits.store.")
      .BinaryUnits();
  o.Field("percentage", &RetentionConfig::percentage, "The same as a share of the disk.")
      .Min(0)
      .Max(100)
      .Unsupported("retention as a share of the disk");
}

void Declare(config::Object<ChunkEncodingConfig>& o) {
  o.Field("floats", &ChunkEncodingConfig::floats, "How Prometheus encodes samples.")
      .OneOf({"xor", "xor2"})
      .Unsupported("Prometheus' chunk encodings");
}

void Declare(config::Object<TsdbKeys>& o) {
  o.Field("retention", &TsdbKeys::retention, "How much is kept.");
  o.Field("chunk_encoding", &TsdbKeys::chunk_encoding, "How samples are encoded.");
  o.Field("out_of_order_time_window", &TsdbKeys::out_of_order_time_window,
          "How late a sample may be.")
      .Unsupported("storing samples out of order");
  o.Field("stale_series_compaction_threshold", &TsdbKeys::stale_series_compaction_threshold,
          "When stale series are compacted.")
      .Unsupported("compaction of stale series");
}

void Declare(config::Object<ExemplarsConfig>& o) {
  o.Field("max_exemplars", &ExemplarsConfig::max_exemplars, "How many exemplars are kept.")
      .Unsupported("storing exemplars");
}

void Declare(config::Object<StorageConfig>& o) {
  o.Doc("Prometheus' store.");
  o.Field("tsdb", &StorageConfig::tsdb, "Samples.");
  o.Field("exemplars", &StorageConfig::exemplars, "Exemplars.");
}

void Declare(config::Object<OtlpMetricsConfig>& o) {
  using C = OtlpMetricsConfig;
  o.Doc("How Prometheus turns OTLP metrics into series.");
  o.Field("promote_resource_attributes", &C::promote_resource_attributes,
          "Resource attributes that become labels.")
      .Unsupported(kOtlpMetrics);
  o.Field("promote_all_resource_attributes", &C::promote_all_resource_attributes,
          "All resource attributes become labels.")
      .Unsupported(kOtlpMetrics);
  o.Field("ignore_resource_attributes", &C::ignore_resource_attributes, "Except these.")
      .Unsupported(kOtlpMetrics);
  o.Field("translation_strategy", &C::translation_strategy, "How names are translated.")
      .OneOf({"UnderscoreEscapingWithSuffixes", "UnderscoreEscapingWithoutSuffixes",
              "NoUTF8EscapingWithSuffixes", "NoTranslation"})
      .Unsupported(kOtlpMetrics);
  o.Field("keep_identifying_resource_attributes", &C::keep_identifying_resource_attributes,
          "Keeps service.name and its kin in target_info.")
      .Unsupported(kOtlpMetrics);
  o.Field("convert_histograms_to_nhcb", &C::convert_histograms_to_nhcb,
          "Histograms become native ones.")
      .Unsupported(kOtlpMetrics);
  o.Field("promote_scope_metadata", &C::promote_scope_metadata, "The scope becomes labels.")
      .Unsupported(kOtlpMetrics);
  o.Field("label_name_underscore_sanitization", &C::label_name_underscore_sanitization,
          "Prefixes label names that begin with an underscore.")
      .Unsupported(kOtlpMetrics);
  o.Field("label_name_preserve_multiple_underscores", &C::label_name_preserve_multiple_underscores,
          "Keeps underscores that follow each other.")
      .Unsupported(kOtlpMetrics);
  o.Check(CheckOtlp);
}

void Declare(config::Object<PrometheusKeys>& o) {
  using C = PrometheusKeys;
  o.Field("global", &C::global, "Prometheus' own; read as collectors.scrape.global.");
  o.Field("scrape_configs", &C::scrape_configs,
          "Prometheus' own; read as collectors.scrape.scrape_configs.");
  o.Field("scrape_config_files", &C::scrape_config_files,
          "Files with more scrape_configs; a name may hold wildcards.")
      .Path();
  o.Field("rule_files", &C::rule_files, "Prometheus' own; read as rules.files.").Path();
  o.Field("remote_write", &C::remote_write, "Prometheus' own; read as exporters.remote_write.");
  o.Field("alerting", &C::alerting, "Prometheus' own; read as exporters.alertmanager.");
  o.Field("remote_read", &C::remote_read, "Stores to read back from.").Unsupported("remote read");
  o.Field("storage", &C::storage,
          "Prometheus' own; retention is read as limits.retention and limits.store.");
  o.Field("tracing", &C::tracing, "Prometheus' traces of itself.")
      .Unsupported("tracing of the agent itself");
  o.Field("otlp", &C::otlp, "How Prometheus turns OTLP metrics into series.");
  o.Field("runtime", &C::runtime, "Settings of the Go runtime.");
  o.Check([](const C& c, config::Reporter& r) {
    std::set<std::string> names;
    for (size_t i = 0; i < c.remote_read.size(); ++i)
      if (const std::string& n = c.remote_read[i].name; !n.empty() && !names.insert(n).second)
        r.Error(fmt::format("remote_read[{}].name", i),
                fmt::format("\"{}\" is another one's name already", n),
                "Give each remote_read its own name.");
  });
}

}  // namespace picket::agent
