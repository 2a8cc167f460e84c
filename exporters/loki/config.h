// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <map>
#include <string>

#include "core/base/units.h"
#include "core/net/http_config.h"

namespace picket::config {
template <class T>
class Object;
}

namespace picket::exporters::loki {

/// One item of `exporters: loki:`.
struct LokiConfig {
  std::string url;
  std::string tenant;
  std::map<std::string, std::string> labels;
  Bytes batch_size = 1_MiB;
  Milliseconds batch_wait{1'000};
  Milliseconds timeout{10'000};
  Milliseconds min_backoff{500};
  Milliseconds max_backoff{30'000};
  uint32_t max_in_flight = 4;
  net::HttpClientConfig http;
};

void Declare(config::Object<LokiConfig>& o);

/// What the checkpoint and the page know this destination by.
std::string DestinationName(const LokiConfig& config);
/// The address to post to: Loki's own path when the configuration gives none.
std::string PushUrl(const LokiConfig& config);

}  // namespace picket::exporters::loki
