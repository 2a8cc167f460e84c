// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/config/object.h"

namespace picket::collectors::discovery {

/// Source: Prometheus documentation, <dns_sd_config>.
struct DnsSdConfig {
  std::vector<std::string> names;
  std::string type = "SRV";  ///< in any case: SRV, A, AAAA, MX, NS
  uint16_t port = 0;         ///< not for SRV, which says it
  Milliseconds refresh_interval{std::chrono::seconds(30)};
};

void Declare(config::Object<DnsSdConfig>& o);

}  // namespace picket::collectors::discovery
