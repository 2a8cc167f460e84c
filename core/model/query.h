// SPDX-License-Identifier: Apache-2.0
// Reading samples back: what the rules and the API see of the store.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/model/labels.h"
#include "core/model/metrics.h"

namespace picket {

/// One native histogram value; issue "native histograms" fills it. Its place in the columns is kept
/// below.
struct HistogramValue;

/// The decoded samples of one series in a time range.
/// Shape: times strictly ascend; `values[i]` belongs to `times_ms[i]`; staleness markers are
/// included.
///        `histograms` is empty or as long as `times_ms`, null where the sample is a float.
struct SeriesColumns {
  SeriesId id = kNoSeries;
  const Labels* labels = nullptr;
  std::span<const UnixMs> times_ms;
  std::span<const double> values;
  std::span<const HistogramValue* const> histograms;
};

/// The answer to a selection. Ownership: owns every span and label set in it. Order: unspecified.
class SeriesSet {
 public:
  virtual ~SeriesSet() = default;
  virtual std::span<const SeriesColumns> series() const = 0;
};

/// A consistent view for reading. Threads: any, also while rows are appended.
class Querier {
 public:
  virtual ~Querier() = default;
  /// Series that satisfy every matcher and have samples in [min_ms, max_ms], both inclusive, with
  /// those samples.
  virtual Result<std::unique_ptr<SeriesSet>> Select(std::span<const Matcher> matchers,
                                                    UnixMs min_ms, UnixMs max_ms) const = 0;
  /// Labels only, for /api/v1/series.
  virtual std::vector<Labels> SelectLabels(std::span<const Matcher> matchers, UnixMs min_ms,
                                           UnixMs max_ms) const = 0;
  /// Sorted and unique. With no matchers: of all series.
  virtual std::vector<std::string> LabelNames(std::span<const Matcher> matchers) const = 0;
  virtual std::vector<std::string> LabelValues(std::string_view name,
                                               std::span<const Matcher> matchers) const = 0;
  /// One entry a metric family.
  virtual std::vector<std::shared_ptr<const MetricMetadata>> Metadata() const = 0;
  /// Oldest sample kept, or INT64_MAX when there is none.
  virtual UnixMs OldestMs() const = 0;
};

}  // namespace picket
