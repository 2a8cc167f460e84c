// SPDX-License-Identifier: Apache-2.0
#include "rules/promql/parse/durations.h"

#include <algorithm>
#include <cmath>

namespace picket::rules::promql {
namespace {

using Op = DurationExpr::Op;

Result<double> Work(const DurationExpr& e, const DurationContext& context) {
  switch (e.op) {
    case Op::kLiteral:
      return e.seconds;
    case Op::kStep:
      return static_cast<double>(context.step.count()) / 1000.0;
    case Op::kRange:
      return static_cast<double>(context.range.count()) / 1000.0;
    default:
      break;
  }
  PICKET_ASSIGN(const double left, Work(*e.left, context));
  if (e.op == Op::kNegate) return -left;
  if (e.op == Op::kPlus || e.op == Op::kParen) return left;
  PICKET_ASSIGN(const double right, Work(*e.right, context));
  switch (e.op) {
    case Op::kAdd:
      return left + right;
    case Op::kSubtract:
      return left - right;
    case Op::kMultiply:
      return left * right;
    case Op::kDivide:
      if (right == 0) return Fail(ErrorKind::kInvalidArgument, "division by zero");
      return left / right;
    case Op::kModulo:
      if (right == 0) return Fail(ErrorKind::kInvalidArgument, "modulo by zero");
      return std::fmod(left, right);
    case Op::kPower:
      return std::pow(left, right);
    case Op::kMin:
      return std::min(left, right);
    default:
      return std::max(left, right);
  }
}

}  // namespace

Result<Milliseconds> ToDuration(double seconds, bool positive) {
  constexpr double kMostSeconds = 9e9;
  if (std::isnan(seconds)) return Fail(ErrorKind::kInvalidArgument, "duration is not a number");
  if (std::fabs(seconds) > kMostSeconds)
    return Fail(ErrorKind::kInvalidArgument, "duration out of range");
  // A literal like 1.001 is 1000.9999... in binary: the sum must not lose a millisecond to that.
  const double ms = seconds * 1000.0;
  const double nearest = std::round(ms);
  const double whole = std::fabs(ms - nearest) < 1e-6 ? nearest : std::trunc(ms);
  if (positive && whole <= 0)
    return Fail(ErrorKind::kInvalidArgument, "duration must be greater than 0");
  return Milliseconds(static_cast<int64_t>(whole));
}

Result<Milliseconds> Evaluate(const DurationSetting& setting, const DurationContext& context,
                              bool positive) {
  if (!setting.expr) return setting.value;
  PICKET_ASSIGN(const double seconds, Work(*setting.expr, context));
  return ToDuration(seconds, positive);
}

}  // namespace picket::rules::promql
