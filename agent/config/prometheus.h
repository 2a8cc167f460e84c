// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "collectors/scrape/config.h"
#include "core/base/units.h"
#include "core/config/object.h"
#include "core/net/http_config.h"
#include "core/relabel/relabel.h"
#include "exporters/alertmanager/config.h"
#include "exporters/remote_write/config.h"

/// Prometheus' top-level keys. Those that Picket has a component for are moved to it before the
/// file is read (adopt.h); the others are read, checked and named as not supported yet.
namespace picket::agent {

struct AlertingKeys {
  std::vector<exporters::alertmanager::AlertmanagerConfig> alertmanagers;
  std::vector<relabel::Config> alert_relabel_configs;
};

struct RemoteReadConfig {
  std::string url;
  std::string name;
  std::map<std::string, std::string> required_matchers;
  std::map<std::string, std::string> headers;
  Milliseconds remote_timeout{60'000};
  Bytes chunked_read_limit{50 << 20};
  bool read_recent = false;
  bool filter_external_labels = true;
  net::HttpClientConfig http;
};

struct TracingConfig {
  std::string client_type = "grpc";
  std::string endpoint;
  double sampling_fraction = 0;
  bool insecure = false;
  std::map<std::string, std::string> headers;
  std::string compression;
  Milliseconds timeout{10'000};
  net::TlsConfig tls_config;
};

struct RuntimeConfig {
  int64_t gogc = 75;
};

struct RetentionConfig {
  std::optional<Milliseconds> time;
  std::optional<Bytes> size;
  double percentage = 0;
};
struct ChunkEncodingConfig {
  std::string floats = "xor";
};
struct TsdbKeys {
  RetentionConfig retention;
  ChunkEncodingConfig chunk_encoding;
  Milliseconds out_of_order_time_window{0};
  double stale_series_compaction_threshold = 0;
};
struct ExemplarsConfig {
  int64_t max_exemplars = 100'000;
};
struct StorageConfig {
  TsdbKeys tsdb;
  ExemplarsConfig exemplars;
};

/// How Prometheus turns OTLP metrics into series.
struct OtlpMetricsConfig {
  std::vector<std::string> promote_resource_attributes;
  bool promote_all_resource_attributes = false;
  std::vector<std::string> ignore_resource_attributes;
  std::string translation_strategy = "UnderscoreEscapingWithSuffixes";
  bool keep_identifying_resource_attributes = false;
  bool convert_histograms_to_nhcb = false;
  bool promote_scope_metadata = false;
  bool label_name_underscore_sanitization = true;
  bool label_name_preserve_multiple_underscores = true;
};

struct PrometheusKeys {
  collectors::scrape::GlobalConfig global;
  std::vector<collectors::scrape::ScrapeConfig> scrape_configs;
  std::vector<std::string> scrape_config_files;
  std::vector<std::string> rule_files;
  std::vector<exporters::remote_write::RemoteWriteConfig> remote_write;
  AlertingKeys alerting;
  std::vector<RemoteReadConfig> remote_read;
  StorageConfig storage;
  std::optional<TracingConfig> tracing;
  OtlpMetricsConfig otlp;
  RuntimeConfig runtime;
};

void Declare(config::Object<AlertingKeys>& o);
void Declare(config::Object<RemoteReadConfig>& o);
void Declare(config::Object<TracingConfig>& o);
void Declare(config::Object<RuntimeConfig>& o);
void Declare(config::Object<RetentionConfig>& o);
void Declare(config::Object<ChunkEncodingConfig>& o);
void Declare(config::Object<TsdbKeys>& o);
void Declare(config::Object<ExemplarsConfig>& o);
void Declare(config::Object<StorageConfig>& o);
void Declare(config::Object<OtlpMetricsConfig>& o);
void Declare(config::Object<PrometheusKeys>& o);

}  // namespace picket::agent
