// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <chrono>
#include <string>

#include "core/base/clock.h"
#include "core/config/object.h"
#include "core/net/http_config.h"

namespace picket::collectors::discovery {

/// Source: Prometheus documentation, <http_sd_config>.
struct HttpSdConfig {
  std::string url;
  Milliseconds refresh_interval{std::chrono::minutes(1)};
  net::HttpClientConfig http;
};

void Declare(config::Object<HttpSdConfig>& o);

}  // namespace picket::collectors::discovery
