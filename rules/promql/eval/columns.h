// SPDX-License-Identifier: Apache-2.0
// What operators hand each other: instant vectors at all steps of a query at once, one row of
// values per series.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/model/labels.h"
#include "core/model/metrics.h"
#include "rules/promql/value.h"

namespace picket::rules::promql {

/// The value of a step at which a series has none. Arithmetic never makes this bit pattern (it is a
/// signalling NaN), and staleness markers of the store mean just that.
inline double Absent() { return StaleNan(); }
inline bool IsAbsent(double v) { return IsStaleNan(v); }

/// The evaluation times: start, start + step, ... Shape: count >= 1.
struct TimeGrid {
  UnixMs start = 0;
  int64_t step = 1;
  size_t count = 1;
  UnixMs At(size_t i) const { return start + static_cast<int64_t>(i) * step; }
  UnixMs end() const { return At(count - 1); }
};

/// Counts the points a query holds at once. Threads: one query, one thread.
struct SampleBudget {
  uint64_t limit = 0;
  uint64_t held = 0;
  bool Fits(uint64_t more) const { return more <= limit && held <= limit - more; }
};

/// Points held by one object, given back when it goes.
class SampleCharge {
 public:
  SampleCharge() = default;
  SampleCharge(SampleBudget* budget, uint64_t points) : budget_(budget), points_(points) {
    budget->held += points;
  }
  SampleCharge(SampleCharge&& o) noexcept
      : budget_(std::exchange(o.budget_, nullptr)), points_(o.points_) {}
  SampleCharge& operator=(SampleCharge&& o) noexcept {
    std::swap(budget_, o.budget_);
    std::swap(points_, o.points_);
    return *this;
  }
  ~SampleCharge() {
    if (budget_ != nullptr) budget_->held -= points_;
  }

 private:
  SampleBudget* budget_ = nullptr;
  uint64_t points_ = 0;
};

/// A series of a vector. Ownership: labels belong to the query (Evaluation::Keep or the loaded
/// series).
struct SeriesHead {
  const Labels* labels = nullptr;
  bool drop_name = false;  ///< the name goes when the evaluation ends
};

/// An instant vector at each step of a grid.
/// Shape: row i is values[i * steps, (i + 1) * steps). A float is present where the value is not
/// Absent(). `histograms`
///        is empty or of the same size; where it is not null the sample is a histogram and the
///        value is Absent().
struct Columns {
  size_t steps = 1;
  std::vector<SeriesHead> heads;
  std::vector<double> values;
  std::vector<const HistogramValue*> histograms;
  SampleCharge charge;

  explicit Columns(size_t step_count = 1) : steps(step_count) {}
  size_t size() const { return heads.size(); }
  double* Row(size_t i) { return values.data() + i * steps; }
  const double* Row(size_t i) const { return values.data() + i * steps; }
  bool HasHistograms() const { return !histograms.empty(); }
  const HistogramValue* HistogramAt(size_t i, size_t step) const {
    return histograms.empty() ? nullptr : histograms[i * steps + step];
  }
  bool Has(size_t i, size_t step) const {
    return !IsAbsent(values[i * steps + step]) || HistogramAt(i, step) != nullptr;
  }
  /// Adds a row without values.
  double* AddRow(SeriesHead head) {
    heads.push_back(head);
    values.resize(heads.size() * steps, Absent());
    if (!histograms.empty()) histograms.resize(values.size(), nullptr);
    return Row(heads.size() - 1);
  }
  /// Takes the last row back when it has no value.
  void DropLastIfEmpty() {
    const size_t last = heads.size() - 1;
    for (size_t t = 0; t < steps; ++t)
      if (Has(last, t)) return;
    heads.pop_back();
    values.resize(heads.size() * steps);
    if (!histograms.empty()) histograms.resize(values.size());
  }
  void SetHistogram(size_t i, size_t step, const HistogramValue* h) {
    if (histograms.empty()) histograms.resize(values.size(), nullptr);
    histograms[i * steps + step] = h;
  }
};

/// What any expression that is not a range vector evaluates to. Only the member named by `type` is
/// set.
struct Value {
  ValueType type = ValueType::kNone;
  std::vector<double> scalar;  ///< one a step, never Absent()
  std::string string;
  Columns vector;

  static Value Scalar(std::vector<double> v) {
    Value out;
    out.type = ValueType::kScalar;
    out.scalar = std::move(v);
    return out;
  }
  static Value Vector(Columns v) {
    Value out;
    out.type = ValueType::kVector;
    out.vector = std::move(v);
    return out;
  }
  static Value String(std::string v) {
    Value out;
    out.type = ValueType::kString;
    out.string = std::move(v);
    return out;
  }
};

}  // namespace picket::rules::promql
