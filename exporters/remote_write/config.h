// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <string>
#include <vector>

#include "core/base/units.h"
#include "core/net/http_config.h"
#include "core/relabel/relabel.h"

namespace picket::exporters::remote_write {

/// Which message is sent. kAuto: v2, and v1 from the moment the backend answers 415, or yes without
/// ever saying that it wrote anything.
enum class Protocol : uint8_t { kV1, kV2, kAuto };

/// Source: Prometheus documentation, <queue_config>. `capacity` is read and has no use here: rows
/// wait in the spool.
struct QueueConfig {
  int64_t capacity = 10'000;
  int64_t max_shards = 50;
  int64_t min_shards = 1;
  int64_t max_samples_per_send = 2'000;
  Milliseconds batch_send_deadline{5'000};
  Milliseconds min_backoff{30};
  Milliseconds max_backoff{5'000};
  bool retry_on_http_429 = false;
  Milliseconds sample_age_limit{0};
};

struct MetadataConfig {
  bool send = true;
  Milliseconds send_interval{60'000};
  int64_t max_samples_per_send = 2'000;
};

/// One entry of `remote_write`. Source: Prometheus documentation, <remote_write>.
struct RemoteWriteConfig {
  std::string url;
  Milliseconds remote_timeout{30'000};
  std::map<std::string, std::string> headers;
  std::string name;
  Protocol protobuf_message = Protocol::kV1;
  bool send_exemplars = false;
  bool send_native_histograms = false;
  bool round_robin_dns = false;
  std::vector<relabel::Config> write_relabel_configs;
  QueueConfig queue_config;
  MetadataConfig metadata_config;
  net::HttpClientConfig http;
};

void Declare(config::Object<QueueConfig>& o);
void Declare(config::Object<MetadataConfig>& o);
void Declare(config::Object<RemoteWriteConfig>& o);

}  // namespace picket::exporters::remote_write
