// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "rules/promql/parse/durations.h"
#include "rules/promql/parse/parser_impl.h"

namespace picket::rules::promql {

using Op = DurationExpr::Op;

namespace {
struct DurationOperator {
  Op op;
  int precedence;
};
constexpr int kMultiply = 2;
constexpr int kPower = 3;

DurationOperator OperatorOf(TokenKind kind) {
  switch (kind) {
    case TokenKind::kAdd:
      return {Op::kAdd, 1};
    case TokenKind::kSubtract:
      return {Op::kSubtract, 1};
    case TokenKind::kMultiply:
      return {Op::kMultiply, kMultiply};
    case TokenKind::kDivide:
      return {Op::kDivide, kMultiply};
    case TokenKind::kModulo:
      return {Op::kModulo, kMultiply};
    case TokenKind::kPower:
      return {Op::kPower, kPower};
    default:
      return {Op::kLiteral, 0};
  }
}

std::unique_ptr<DurationExpr> Make(Op op, TextRange range,
                                   std::unique_ptr<DurationExpr> left = nullptr,
                                   std::unique_ptr<DurationExpr> right = nullptr) {
  auto expr = std::make_unique<DurationExpr>();
  expr->op = op;
  expr->range = range;
  expr->left = std::move(left);
  expr->right = std::move(right);
  return expr;
}
}  // namespace

Result<DurationSetting> Parser::SettleDuration(DurationPtr expr, bool positive) {
  DurationSetting setting;
  setting.range = expr->range;
  const DurationExpr& e = *expr;
  const bool negated_literal = e.op == Op::kNegate && e.left->op == Op::kLiteral;
  if (e.op == Op::kLiteral || negated_literal) {
    const double seconds = negated_literal ? -e.left->seconds : e.seconds;
    auto value = ToDuration(seconds, positive);
    if (!value) return Fail(At(setting.range.begin, value.error().message()));
    setting.value = *value;
    return setting;
  }
  if (!options_.duration_expressions)
    return Fail(At(setting.range.begin, "experimental duration expression is not enabled"));
  setting.expr = std::move(expr);
  return setting;
}

Result<DurationSetting> Parser::ParseWindow(std::string_view context, std::string_view expected) {
  const TokenKind kind = Peek().kind;
  if (kind == TokenKind::kRightBracket || kind == TokenKind::kColon || kind == TokenKind::kEnd)
    return Fail(Unexpected(context, expected));
  PICKET_ASSIGN(DurationPtr expr, ParseDurationSum(1));
  return SettleDuration(std::move(expr), true);
}

Result<DurationSetting> Parser::ParseOffsetDuration() {
  const uint32_t begin = Peek().range.begin;
  Op sign = Op::kLiteral;
  if (Is(TokenKind::kAdd) || Is(TokenKind::kSubtract))
    sign = Take().kind == TokenKind::kSubtract ? Op::kNegate : Op::kPlus;
  const bool possible = Is(TokenKind::kNumber) || Is(TokenKind::kDuration) ||
                        Is(TokenKind::kLeftParen) || Is(TokenKind::kIdentifier);
  if (!possible) return Fail(Unexpected("offset", "number, duration, step(), or range()"));
  PICKET_ASSIGN(DurationPtr expr, ParseDurationPrimary());
  // `+` in front of a literal says nothing; in front of an expression it is kept for the printer.
  if (sign == Op::kPlus && expr->op == Op::kLiteral) sign = Op::kLiteral;
  if (sign != Op::kLiteral) expr = Make(sign, {begin, LastEnd()}, std::move(expr));
  return SettleDuration(std::move(expr), false);
}

Result<Parser::DurationPtr> Parser::ParseDurationSum(int min_precedence) {
  const DepthGuard guard(depth_);
  PICKET_TRY(CheckDepth());
  PICKET_ASSIGN(DurationPtr left, ParseDurationUnary());
  for (int terms = 0;; ++terms) {
    const DurationOperator row = OperatorOf(Peek().kind);
    if (row.precedence == 0 || row.precedence < min_precedence) return left;
    if (terms > kMaxDepth) return Fail(At(Peek().range.begin, "duration expression is too long"));
    Take();
    PICKET_ASSIGN(DurationPtr right,
                  ParseDurationSum(row.op == Op::kPower ? kPower : row.precedence + 1));
    const TextRange range{left->range.begin, right->range.end};
    left = Make(row.op, range, std::move(left), std::move(right));
  }
}

Result<Parser::DurationPtr> Parser::ParseDurationUnary() {
  if (!Is(TokenKind::kAdd) && !Is(TokenKind::kSubtract)) return ParseDurationPrimary();
  const Token& sign = Take();
  PICKET_ASSIGN(DurationPtr operand, ParseDurationSum(kPower));
  const TextRange range{sign.range.begin, operand->range.end};
  return Make(sign.kind == TokenKind::kSubtract ? Op::kNegate : Op::kPlus, range,
              std::move(operand));
}

Result<Parser::DurationPtr> Parser::ParseDurationPrimary() {
  const Token& token = Peek();
  if (token.kind == TokenKind::kNumber || token.kind == TokenKind::kDuration) {
    Take();
    auto literal = Make(Op::kLiteral, token.range);
    PICKET_ASSIGN(literal->seconds, NumberValue(token));
    literal->duration_literal = token.kind == TokenKind::kDuration;
    return literal;
  }
  if (token.kind == TokenKind::kLeftParen) {
    Take();
    PICKET_ASSIGN(DurationPtr inner, ParseDurationSum(1));
    if (!Is(TokenKind::kRightParen)) return Fail(Unexpected("duration expression", "\")\""));
    return Make(Op::kParen, {token.range.begin, Take().range.end}, std::move(inner));
  }
  if (token.kind == TokenKind::kIdentifier) return ParseDurationCall();
  return Fail(Unexpected("duration expression", "number, duration, step(), or range()"));
}

Result<Parser::DurationPtr> Parser::ParseDurationCall() {
  const bool step = IsWord("step");
  const bool range = IsWord("range");
  const bool lesser = IsWord("min_of");
  if ((!step && !range && !lesser && !IsWord("max_of")) || Peek(1).kind != TokenKind::kLeftParen)
    return Fail(Unexpected("duration expression", "number, duration, step(), or range()"));
  const Token& name = Take();
  Take();  // (
  DurationPtr left;
  DurationPtr right;
  if (!step && !range) {
    PICKET_ASSIGN(left, ParseDurationSum(1));
    if (!Is(TokenKind::kComma)) return Fail(Unexpected("duration expression", "\",\""));
    Take();
    PICKET_ASSIGN(right, ParseDurationSum(1));
  }
  if (!Is(TokenKind::kRightParen)) return Fail(Unexpected("duration expression", "\")\""));
  const TextRange whole{name.range.begin, Take().range.end};
  return Make(step     ? Op::kStep
              : range  ? Op::kRange
              : lesser ? Op::kMin
                       : Op::kMax,
              whole, std::move(left), std::move(right));
}

}  // namespace picket::rules::promql
