// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "collectors/discovery/config.h"
#include "core/base/units.h"
#include "core/config/object.h"
#include "core/net/http_config.h"
#include "core/relabel/relabel.h"

namespace picket::collectors::scrape {

enum class Protocol : uint8_t {
  kPrometheusProto,
  kText_0_0_4,
  kText_1_0_0,
  kOpenMetrics_0_0_1,
  kOpenMetrics_1_0_0
};
enum class NameScheme : uint8_t { kUtf8, kLegacy };

/// What may stand in `global` and in each job. A job's own word wins over the global one.
struct Defaults {
  std::optional<Milliseconds> scrape_interval;
  std::optional<Milliseconds> scrape_timeout;
  std::optional<std::vector<Protocol>> scrape_protocols;
  std::optional<Bytes> body_size_limit;
  std::optional<uint64_t> sample_limit;
  std::optional<uint64_t> target_limit;
  std::optional<uint64_t> label_limit;
  std::optional<uint64_t> label_name_length_limit;
  std::optional<uint64_t> label_value_length_limit;
  std::optional<uint64_t> keep_dropped_targets;
  std::optional<NameScheme> metric_name_validation_scheme;
  std::optional<std::string> metric_name_escaping_scheme;
  std::optional<bool> extra_scrape_metrics;
  bool scrape_native_histograms = false;
  bool always_scrape_classic_histograms = false;
  bool convert_classic_histograms_to_nhcb = false;
  std::string scrape_failure_log_file;
};

/// Prometheus' `global` block. What concerns other rooms is carried for agent/wiring.
struct GlobalConfig {
  Defaults defaults;
  Milliseconds evaluation_interval{std::chrono::minutes(1)};
  Milliseconds rule_query_offset{0};
  Labels external_labels;
};

/// One entry of `scrape_configs`. Source: Prometheus documentation, <scrape_config>.
struct ScrapeConfig {
  std::string job_name;
  Defaults own;
  std::string metrics_path = "/metrics";
  std::string scheme = "http";
  std::map<std::string, std::vector<std::string>> params;
  bool honor_labels = false;
  bool honor_timestamps = true;
  bool track_timestamps_staleness = false;
  bool enable_compression = true;
  std::optional<Protocol> fallback_scrape_protocol;
  discovery::DiscoveryConfig discovery;
  std::vector<relabel::Config> relabel_configs;
  std::vector<relabel::Config> metric_relabel_configs;
  net::HttpClientConfig http;
};

/// The scrape section: `collectors.scrape`, or the same keys of a prometheus.yml.
struct Config {
  GlobalConfig global;
  std::vector<ScrapeConfig> scrape_configs;
};

/// A job's settings with everything inherited filled in.
struct JobSettings {
  Milliseconds interval{std::chrono::minutes(1)};
  Milliseconds timeout{std::chrono::seconds(10)};
  std::vector<Protocol> protocols;
  uint64_t body_size_limit = 0;  ///< 0 in each of these: none
  uint64_t sample_limit = 0;
  uint64_t target_limit = 0;
  uint64_t label_limit = 0;
  uint64_t label_name_length_limit = 0;
  uint64_t label_value_length_limit = 0;
  uint64_t keep_dropped_targets = 0;
  bool legacy_names = false;
  bool extra_metrics = false;
};
JobSettings Resolve(const ScrapeConfig& job, const GlobalConfig& global);

void Declare(config::Object<Defaults>& o);
void Declare(config::Object<GlobalConfig>& o);
void Declare(config::Object<ScrapeConfig>& o);
void Declare(config::Object<Config>& o);

}  // namespace picket::collectors::scrape
