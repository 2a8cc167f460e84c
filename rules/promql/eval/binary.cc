// SPDX-License-Identifier: Apache-2.0
#include "rules/promql/eval/binary.h"

#include <type_traits>

#include "rules/promql/eval/operators.h"

namespace picket::rules::promql {
namespace {

Value ScalarWithScalar(const Binary& node, std::vector<double> left,
                       const std::vector<double>& right) {
  WithOperator(node.op, [&](auto op) {
    for (size_t t = 0; t < left.size(); ++t) left[t] = static_cast<double>(op(left[t], right[t]));
  });
  return Value::Scalar(std::move(left));
}

/// A float row against the scalar of each step, in place. kSwapped: the scalar is on the left.
template <bool kSwapped, class Op>
void CombineRow(const Binary& node, double* row, const std::vector<double>& scalar, Op op) {
  for (size_t t = 0; t < scalar.size(); ++t) {
    const double v = row[t];
    if (IsAbsent(v)) continue;
    const auto result = kSwapped ? op(scalar[t], v) : op(v, scalar[t]);
    if constexpr (std::is_same_v<decltype(result), const bool>) {
      row[t] = node.return_bool ? (result ? 1.0 : 0.0) : result ? v : Absent();
    } else {
      row[t] = result;
    }
  }
}

void CombineCellsOfRow(Evaluation& evaluation, const Binary& node, Columns& columns, size_t i,
                       const std::vector<double>& scalar, bool swapped) {
  double* row = columns.Row(i);
  for (size_t t = 0; t < scalar.size(); ++t) {
    const Cell own{row[t], columns.HistogramAt(i, t)};
    if (IsAbsent(own.value) && own.histogram == nullptr) continue;
    const Cell other{scalar[t], nullptr};
    const Cell out = swapped ? CombineCells(evaluation, node, other, own, true)
                             : CombineCells(evaluation, node, own, other, false);
    row[t] = out.value;
    if (columns.HasHistograms() || out.histogram != nullptr)
      columns.SetHistogram(i, t, out.histogram);
  }
}

Value VectorWithScalar(Evaluation& evaluation, const Binary& node, Columns columns,
                       const std::vector<double>& scalar, bool swapped) {
  const bool drop = DropsName(node.op) || node.return_bool;
  const bool cells = columns.HasHistograms() || IsTrim(node.op);
  for (size_t i = 0; i < columns.size(); ++i) {
    columns.heads[i].drop_name |= drop;
    if (cells) {
      CombineCellsOfRow(evaluation, node, columns, i, scalar, swapped);
      continue;
    }
    WithOperator(node.op, [&](auto op) {
      swapped ? CombineRow<true>(node, columns.Row(i), scalar, op)
              : CombineRow<false>(node, columns.Row(i), scalar, op);
    });
  }
  return Value::Vector(std::move(columns));
}

}  // namespace

Result<Value> EvaluateBinary(Evaluation& evaluation, const Binary& node, const TimeGrid& grid) {
  PICKET_ASSIGN(Value left, evaluation.Evaluate(*node.left, grid));
  PICKET_ASSIGN(Value right, evaluation.Evaluate(*node.right, grid));
  const bool left_scalar = left.type == ValueType::kScalar;
  const bool right_scalar = right.type == ValueType::kScalar;
  if (left_scalar && right_scalar) {
    if (IsTrim(node.op))
      return Fail(ErrorKind::kInvalidArgument, "operator not allowed for Scalar operations");
    return ScalarWithScalar(node, std::move(left.scalar), right.scalar);
  }
  if (right_scalar)
    return VectorWithScalar(evaluation, node, std::move(left.vector), right.scalar, false);
  if (left_scalar)
    return VectorWithScalar(evaluation, node, std::move(right.vector), left.scalar, true);
  if (IsSetOperator(node.op))
    return EvaluateSetOperator(evaluation, node, std::move(left.vector), std::move(right.vector));
  return EvaluateMatched(evaluation, node, std::move(left.vector), std::move(right.vector));
}

}  // namespace picket::rules::promql
