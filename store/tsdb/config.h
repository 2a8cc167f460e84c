// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <chrono>
#include <cstdint>

#include "core/base/clock.h"
#include "core/base/units.h"

namespace picket::config {
template <class T>
class Object;
}  // namespace picket::config

namespace picket::store::tsdb {

/// How much the node remembers.
struct TsdbConfig {
  Milliseconds retention = std::chrono::hours(2);  ///< 0 keeps samples until `max_bytes`
  Bytes max_bytes = 256_MiB;        ///< all of the store; oldest samples go first; 0 is no limit
  uint64_t max_series = 1'000'000;  ///< new ones beyond it are refused; 0 is no limit
};

void Declare(config::Object<TsdbConfig>& o);

}  // namespace picket::store::tsdb
