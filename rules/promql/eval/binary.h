// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cmath>

#include "rules/promql/eval/evaluation.h"
#include "rules/promql/eval/range_kernel.h"

namespace picket::rules::promql {

/// Calls f with a function (left, right) -> double for an arithmetic operator, or -> bool for a
/// comparison.
template <class F>
decltype(auto) WithOperator(BinaryOp op, F&& f) {
  switch (op) {
    case BinaryOp::kAdd:
      return f([](double a, double b) { return a + b; });
    case BinaryOp::kSubtract:
      return f([](double a, double b) { return a - b; });
    case BinaryOp::kMultiply:
      return f([](double a, double b) { return a * b; });
    case BinaryOp::kDivide:
      return f([](double a, double b) { return a / b; });
    case BinaryOp::kModulo:
      return f([](double a, double b) { return std::fmod(a, b); });
    case BinaryOp::kPower:
      return f([](double a, double b) { return std::pow(a, b); });
    case BinaryOp::kAtan2:
      return f([](double a, double b) { return std::atan2(a, b); });
    case BinaryOp::kEqual:
      return f([](double a, double b) { return a == b; });
    case BinaryOp::kNotEqual:
      return f([](double a, double b) { return a != b; });
    case BinaryOp::kGreater:
      return f([](double a, double b) { return a > b; });
    case BinaryOp::kLess:
      return f([](double a, double b) { return a < b; });
    case BinaryOp::kGreaterOrEqual:
      return f([](double a, double b) { return a >= b; });
    default:
      return f([](double a, double b) { return a <= b; });
  }
}

/// Whether the operator's result is a new quantity that does not bear the metric's name.
inline bool DropsName(BinaryOp op) { return op <= BinaryOp::kAtan2; }
inline bool IsTrim(BinaryOp op) { return op == BinaryOp::kTrimUpper || op == BinaryOp::kTrimLower; }

/// One pair of samples, of which either may be a histogram. `keep_right`: the vector stood right of
/// a scalar, and its samples are what a comparison keeps. Says what does not go together.
Cell CombineCells(Evaluation& evaluation, const Binary& node, Cell left, Cell right,
                  bool keep_right);

Result<Value> EvaluateMatched(Evaluation& evaluation, const Binary& node, Columns left,
                              Columns right);
Result<Value> EvaluateSetOperator(Evaluation& evaluation, const Binary& node, Columns left,
                                  Columns right);

}  // namespace picket::rules::promql
