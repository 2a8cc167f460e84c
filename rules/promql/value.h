// SPDX-License-Identifier: Apache-2.0
// What an expression is and what a query gives back.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/model/labels.h"
#include "core/model/query.h"

namespace picket::rules::promql {

enum class ValueType : uint8_t { kNone, kScalar, kString, kVector, kMatrix };
/// As the HTTP API says it: "scalar", "string", "vector", "matrix".
std::string_view ValueTypeName(ValueType type);
/// As people are told: "instant vector", "range vector", ...
std::string_view ValueTypeText(ValueType type);

/// A native histogram value. Null where a sample is a float.
using HistogramPtr = std::shared_ptr<const HistogramValue>;

/// One element of an instant vector. The time is the query's.
struct VectorSample {
  Labels labels;
  double value = 0;
  HistogramPtr histogram;
};

/// One series of a range result. Shape: floats and histograms are separate lists, each ascending in
/// time.
struct MatrixSeries {
  Labels labels;
  std::vector<UnixMs> times_ms;
  std::vector<double> values;
  std::vector<UnixMs> histogram_times_ms;
  std::vector<HistogramPtr> histograms;
};

/// The answer of one query. Only the member named by `type` is set.
/// Shape: a vector is in order only after sort*() or topk/bottomk; a matrix is sorted by labels.
struct QueryResult {
  ValueType type = ValueType::kNone;
  UnixMs time_ms = 0;  ///< of scalar, string and vector
  double scalar = 0;
  std::string string;
  std::vector<VectorSample> vector;
  std::vector<MatrixSeries> matrix;
  std::vector<std::string> warnings;  ///< "PromQL warning: ... (1:5)", each once
  std::vector<std::string> infos;
  uint64_t samples = 0;  ///< samples read from the store
};

}  // namespace picket::rules::promql
