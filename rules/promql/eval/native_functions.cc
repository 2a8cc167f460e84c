// SPDX-License-Identifier: Apache-2.0
// Functions from a native histogram to a float.
#include <array>
#include <cmath>

#include "rules/promql/eval/functions.h"
#include "rules/promql/eval/histogram.h"
#include "rules/promql/eval/sums.h"

namespace picket::rules::promql {
namespace {

double Count(const HistogramValue& h) { return h.count; }
double Sum(const HistogramValue& h) { return h.sum; }
double Average(const HistogramValue& h) { return h.sum / h.count; }

/// Every observation is taken to lie in the middle of its bucket: the geometric one where buckets
/// are exponential.
double Variance(const HistogramValue& h) {
  const double mean = h.sum / h.count;
  CompensatedSum squares;
  ForEachBucket(h, [&](const HistogramBucket& b) {
    if (b.count == 0) return;
    double middle = 0;
    if (h.custom()) {
      middle = (b.upper + b.lower) / 2;
    } else if (b.lower > 0 || b.upper < 0) {
      middle = std::copysign(std::sqrt(b.upper * b.lower), b.upper);
    }
    squares.Add(b.count * (middle - mean) * (middle - mean));
  });
  return (squares.sum + squares.lost) / h.count;
}
double Deviation(const HistogramValue& h) { return std::sqrt(Variance(h)); }

template <double (*F)(const HistogramValue&)>
Result<Value> Map(Evaluation& evaluation, const Call& call, const TimeGrid& grid) {
  PICKET_ASSIGN(const Columns in, evaluation.EvaluateVector(*call.arguments[0], grid));
  PICKET_ASSIGN(Columns out, evaluation.NewColumns(in.size(), grid.count));
  for (size_t i = 0; i < in.size() && in.HasHistograms(); ++i) {
    double* row = out.AddRow({in.heads[i].labels, true});
    for (size_t t = 0; t < grid.count; ++t)
      if (const HistogramValue* h = in.HistogramAt(i, t); h != nullptr) row[t] = F(*h);
    out.DropLastIfEmpty();
  }
  return Value::Vector(std::move(out));
}

constexpr auto kRows = std::to_array<FunctionRow>({
    {"histogram_count", &Map<Count>},
    {"histogram_sum", &Map<Sum>},
    {"histogram_avg", &Map<Average>},
    {"histogram_stddev", &Map<Deviation>},
    {"histogram_stdvar", &Map<Variance>},
});

}  // namespace

std::span<const FunctionRow> NativeHistogramFunctions() { return kRows; }

}  // namespace picket::rules::promql
