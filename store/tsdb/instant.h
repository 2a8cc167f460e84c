// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <span>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/model/labels.h"
#include "core/model/metrics.h"
#include "core/model/query.h"

namespace picket::store::tsdb {

struct LastSample {
  UnixMs timestamp_ms = 0;
  double value = 0;  ///< may be a staleness marker
};

/// Latest values without decoding a block, for instant selectors of rules.
/// Threads: any.
class InstantQuerier {
 public:
  virtual ~InstantQuerier() = default;
  /// Each matching series with its newest sample in (at - lookback, at], if there is one; a
  /// staleness marker counts as that newest sample. Cost: an array read a series when nothing newer
  /// than `at` was appended.
  virtual Result<std::unique_ptr<SeriesSet>> SelectInstant(std::span<const Matcher> matchers,
                                                           UnixMs at_ms,
                                                           Milliseconds lookback) const = 0;
  /// The newest sample that the series' source wrote in a row. False when it has none in the open
  /// block.
  virtual bool Last(SeriesId series, LastSample& out) const = 0;
};

}  // namespace picket::store::tsdb
