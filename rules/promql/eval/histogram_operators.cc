// SPDX-License-Identifier: Apache-2.0
// Native histograms in operators and aggregations.
#include <type_traits>
#include <vector>

#include "rules/promql/eval/aggregate.h"
#include "rules/promql/eval/binary.h"
#include "rules/promql/eval/histogram_math.h"
#include "rules/promql/eval/histogram_rate.h"
#include "rules/promql/eval/histogram_trim.h"
#include "rules/promql/eval/operators.h"
#include "rules/promql/eval/sums.h"

namespace picket::rules::promql {

using Hint = HistogramValue::ResetHint;

void NegateHistograms(Evaluation& evaluation, Columns& columns) {
  for (const HistogramValue*& h : columns.histograms) {
    if (h == nullptr) continue;
    HistogramValue negative = *h;
    Scale(negative, -1);
    h = evaluation.KeepHistogram(std::move(negative));
  }
}

namespace {

class CellCombiner {
 public:
  CellCombiner(Evaluation& evaluation, const Binary& node) : evaluation_(evaluation), node_(node) {}

  Cell Floats(double left, double right, bool keep_right) const {
    if (IsTrim(node_.op)) return Incompatible("float", "float");
    return WithOperator(node_.op, [&](auto op) -> Cell {
      const auto result = op(left, right);
      if constexpr (std::is_same_v<decltype(result), const bool>) {
        if (node_.return_bool) return {result ? 1.0 : 0.0, nullptr};
        return {result ? (keep_right ? right : left) : Absent(), nullptr};
      } else {
        return {result, nullptr};
      }
    });
  }

  Cell FloatAndHistogram(double left, const HistogramValue& right) const {
    if (node_.op != BinaryOp::kMultiply) return Incompatible("float", "histogram");
    HistogramValue out = right;
    Scale(out, left);
    return Keep(std::move(out));
  }

  Cell HistogramAndFloat(const HistogramValue& left, double right) const {
    HistogramValue out = left;
    switch (node_.op) {
      case BinaryOp::kMultiply:
        Scale(out, right);
        break;
      case BinaryOp::kDivide:
        DivideBy(out, right);
        break;
      case BinaryOp::kTrimUpper:
        TrimHistogram(out, right, true);
        break;
      case BinaryOp::kTrimLower:
        TrimHistogram(out, right, false);
        break;
      default:
        return Incompatible("histogram", "float");
    }
    return Keep(std::move(out));
  }

  Cell Histograms(const HistogramValue& left, const HistogramValue& right) const {
    switch (node_.op) {
      case BinaryOp::kAdd:
        return Sum(left, right, 1);
      case BinaryOp::kSubtract:
        return Sum(left, right, -1);
      case BinaryOp::kEqual:
        return Compared(left, SameHistogram(left, right));
      case BinaryOp::kNotEqual:
        return Compared(left, !SameHistogram(left, right));
      default:
        return Incompatible("histogram", "histogram");
    }
  }

 private:
  Cell Incompatible(std::string_view left, std::string_view right) const {
    evaluation_.annotations().IncompatibleTypes(left, BinaryName(node_.op), right, node_);
    return {};
  }
  Cell Keep(HistogramValue h) const { return {Absent(), evaluation_.KeepHistogram(std::move(h))}; }

  Cell Compared(const HistogramValue& left, bool holds) const {
    if (node_.return_bool) return {holds ? 1.0 : 0.0, nullptr};
    return holds ? Keep(left) : Cell();
  }

  Cell Sum(const HistogramValue& left, const HistogramValue& right, double sign) const {
    HistogramValue out = left;
    const std::string_view operation = sign > 0 ? "addition" : "subtraction";
    const CombineReport report = Combine(out, right, sign);
    if (!report.compatible) {
      evaluation_.annotations().IncompatibleBucketLayout(BinaryName(node_.op), node_);
      return {};
    }
    if (report.bounds_reconciled)
      evaluation_.annotations().MismatchedCustomBuckets(operation, node_);
    if (report.hints_collide) evaluation_.annotations().ConflictingCounterResets(operation, node_);
    if (sign < 0) out.hint = Hint::kGauge;
    Compact(out);
    return Keep(std::move(out));
  }

  Evaluation& evaluation_;
  const Binary& node_;
};

/// One group at one step, of either kind of sample.
struct MixedTotal {
  CompensatedMean mean;
  CompensatedSum sum;
  uint32_t floats = 0;
  std::vector<const HistogramValue*> histograms;
  std::string_view metric;
};

}  // namespace

Cell CombineCells(Evaluation& evaluation, const Binary& node, Cell left, Cell right,
                  bool keep_right) {
  const CellCombiner combine(evaluation, node);
  if (left.histogram == nullptr && right.histogram == nullptr)
    return combine.Floats(left.value, right.value, keep_right);
  if (left.histogram == nullptr) return combine.FloatAndHistogram(left.value, *right.histogram);
  if (right.histogram == nullptr) return combine.HistogramAndFloat(*left.histogram, right.value);
  return combine.Histograms(*left.histogram, *right.histogram);
}

Result<Value> AggregateHistograms(Grouped& g, bool average) {
  PICKET_ASSIGN(Columns out, g.evaluation.NewColumns(g.groups.size(), g.steps()));
  const auto members = g.Members();
  for (size_t k = 0; k < members.size(); ++k) {
    PICKET_TRY(g.evaluation.Checkpoint());
    double* row = out.AddRow(g.groups[k]);
    for (size_t t = 0; t < g.steps(); ++t) {
      MixedTotal total;
      for (const uint32_t i : members[k]) {
        if (const HistogramValue* h = g.input.HistogramAt(i, t); h != nullptr) {
          if (total.histograms.empty()) total.metric = g.input.heads[i].labels->Get(kMetricName);
          total.histograms.push_back(h);
        } else if (const double v = g.input.Row(i)[t]; !IsAbsent(v)) {
          ++total.floats;
          total.mean.Add(v);
          total.sum.Add(v);
        }
      }
      if (total.floats > 0 && !total.histograms.empty()) {
        g.evaluation.annotations().MixedFloatsHistogramsAggregation(*g.node.expr);
      } else if (total.floats > 0) {
        row[t] = average ? total.mean.Result() : total.sum.Result();
      } else if (!total.histograms.empty()) {
        const HistogramValue* h =
            TotalOfHistograms(g.evaluation, *g.node.expr, total.metric, total.histograms, average);
        if (h != nullptr) out.SetHistogram(out.size() - 1, t, h);
      }
    }
    out.DropLastIfEmpty();
  }
  return Value::Vector(std::move(out));
}

}  // namespace picket::rules::promql
