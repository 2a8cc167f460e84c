// SPDX-License-Identifier: Apache-2.0
// Selectors, and the brackets and modifiers that follow an operand.
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "core/base/strings.h"
#include "rules/promql/parse/parser_impl.h"

namespace picket::rules::promql {

Result<std::unique_ptr<VectorSelector>> Parser::ParseSelectorAll() {
  const TokenKind kind = Peek().kind;
  if (kind != TokenKind::kIdentifier && kind != TokenKind::kMetricIdentifier &&
      kind != TokenKind::kLeftBrace)
    return Fail(Unexpected("", ""));
  PICKET_ASSIGN(NodePtr node, ParseVectorSelector());
  if (!Is(TokenKind::kEnd)) return Fail(Unexpected("", ""));
  auto* selector = static_cast<VectorSelector*>(node.release());
  return std::unique_ptr<VectorSelector>(selector);
}

Status Parser::AddMetricName(VectorSelector& selector, std::string name, uint32_t position) {
  if (!selector.name.empty())
    return Fail(At(position, fmt::format("metric name must not be set twice: {} or {}",
                                         Quote(selector.name), Quote(name))));
  selector.name = std::move(name);
  return {};
}

Result<NodePtr> Parser::ParseVectorSelector() {
  auto selector = std::make_unique<VectorSelector>();
  selector->range.begin = Peek().range.begin;
  if (!Is(TokenKind::kLeftBrace)) selector->name = std::string(Take().text);
  if (Is(TokenKind::kLeftBrace)) PICKET_TRY(ParseMatchers(*selector));
  selector->range.end = LastEnd();
  for (const Matcher& matcher : selector->matchers)
    if (matcher.name() == kMetricName && !selector->name.empty())
      return Fail(
          At(selector->range.begin, fmt::format("metric name must not be set twice: {} or {}",
                                                Quote(selector->name), Quote(matcher.value()))));
  if (!selector->name.empty())
    selector->matchers.push_back(Matcher::Equal(std::string(kMetricName), selector->name));
  return selector;
}

Status Parser::ParseMatchers(VectorSelector& selector) {
  Take();  // {
  while (!Is(TokenKind::kRightBrace)) {
    PICKET_TRY(ParseMatcher(selector));
    if (Is(TokenKind::kComma)) {
      Take();
    } else if (!Is(TokenKind::kRightBrace)) {
      return Fail(Unexpected("label matching", "\",\" or \"}\""));
    }
  }
  Take();
  return {};
}

Status Parser::ParseMatcher(VectorSelector& selector) {
  const Token& name = Peek();
  if (name.kind != TokenKind::kIdentifier && name.kind != TokenKind::kString)
    return Fail(Unexpected("label matching", "identifier or \"}\""));
  Take();
  const bool quoted = name.kind == TokenKind::kString;
  if (quoted && (Is(TokenKind::kComma) || Is(TokenKind::kRightBrace)))
    return AddMetricName(selector, name.value, name.range.begin);
  Matcher::Type type{};
  switch (Peek().kind) {
    case TokenKind::kAssign:
      type = Matcher::Type::kEqual;
      break;
    case TokenKind::kNotEqual:
      type = Matcher::Type::kNotEqual;
      break;
    case TokenKind::kRegexMatch:
      type = Matcher::Type::kRegex;
      break;
    case TokenKind::kRegexNotMatch:
      type = Matcher::Type::kNotRegex;
      break;
    default:
      return Fail(Unexpected("label matching", "label matching operator"));
  }
  Take();
  if (!Is(TokenKind::kString)) return Fail(Unexpected("label matching", "string"));
  const Token& value = Take();
  std::string label = quoted ? name.value : std::string(name.text);
  auto matcher = Matcher::Make(type, std::move(label), value.value);
  if (!matcher) return Fail(At(name.range.begin, matcher.error().message()));
  selector.matchers.push_back(std::move(*matcher));
  return {};
}

Result<NodePtr> Parser::ParseBrackets(NodePtr operand) {
  const Token& open = Take();
  PICKET_ASSIGN(DurationSetting window,
                ParseWindow("subquery or range selector", "number, duration, step(), or range()"));
  if (Is(TokenKind::kColon)) return FinishSubquery(std::move(operand), std::move(window));
  if (!Is(TokenKind::kRightBracket)) return Fail(Unexpected("subquery or range", "\":\" or \"]\""));
  const Token& close = Take();
  return FinishMatrix(std::move(operand), std::move(window), open, close);
}

Result<NodePtr> Parser::FinishMatrix(NodePtr operand, DurationSetting window, const Token& open,
                                     const Token& close) {
  if (operand->kind != NodeKind::kVectorSelector)
    return Fail(At(open.range.begin, "ranges only allowed for vector selectors"));
  auto& selector = static_cast<VectorSelector&>(*operand);
  if (selector.offset.expr || selector.offset.value.count() != 0)
    return Fail(At(open.range.begin, "no offset modifiers allowed before range"));
  if (selector.at.kind != AtModifier::Kind::kNone)
    return Fail(At(open.range.begin, "no @ modifiers allowed before range"));
  if (selector.anchored || selector.smoothed)
    return Fail(At(open.range.begin, "no anchored or smoothed modifiers allowed before range"));
  auto matrix = std::make_unique<MatrixSelector>();
  matrix->range = {operand->range.begin, close.range.end};
  matrix->window = std::move(window);
  PICKET_TRY(Deepen(*matrix, {operand.get()}));
  matrix->selector.reset(static_cast<VectorSelector*>(operand.release()));
  return matrix;
}

Result<NodePtr> Parser::FinishSubquery(NodePtr operand, DurationSetting window) {
  Take();  // :
  auto subquery = std::make_unique<Subquery>();
  subquery->window = std::move(window);
  if (!Is(TokenKind::kRightBracket)) {
    PICKET_ASSIGN(DurationSetting step,
                  ParseWindow("subquery selector", "number, duration, step(), range(), or \"]\""));
    subquery->step = std::move(step);
  }
  if (!Is(TokenKind::kRightBracket)) return Fail(Unexpected("subquery selector", "\"]\""));
  subquery->range = {operand->range.begin, Take().range.end};
  PICKET_TRY(Deepen(*subquery, {operand.get()}));
  subquery->expr = std::move(operand);
  return subquery;
}

namespace {
/// The offset or @ a modifier goes to, or null where none is allowed.
struct Modifiable {
  DurationSetting* offset = nullptr;
  AtModifier* at = nullptr;
};

Modifiable ModifiersOf(Node& node) {
  switch (node.kind) {
    case NodeKind::kVectorSelector: {
      auto& selector = static_cast<VectorSelector&>(node);
      return {&selector.offset, &selector.at};
    }
    case NodeKind::kMatrixSelector: {
      auto& matrix = static_cast<MatrixSelector&>(node);
      return {&matrix.selector->offset, &matrix.selector->at};
    }
    case NodeKind::kSubquery: {
      auto& subquery = static_cast<Subquery&>(node);
      return {&subquery.offset, &subquery.at};
    }
    default:
      return {};
  }
}
}  // namespace

Status Parser::ParseOffset(Node& operand) {
  const Token& keyword = Take();
  const Modifiable target = ModifiersOf(operand);
  if (target.offset == nullptr)
    return Fail(At(operand.range.begin,
                   "offset modifier must be preceded by an instant vector selector or range vector "
                   "selector or a "
                   "subquery"));
  if (target.offset->range.end != 0)
    return Fail(At(keyword.range.begin, "offset may not be set multiple times"));
  PICKET_ASSIGN(*target.offset, ParseOffsetDuration());
  operand.range.end = LastEnd();
  return {};
}

Status Parser::ParseAt(Node& operand) {
  const Token& symbol = Take();
  const Modifiable target = ModifiersOf(operand);
  if (target.at == nullptr)
    return Fail(At(operand.range.begin,
                   "@ modifier must be preceded by an instant vector selector or range vector "
                   "selector or a subquery"));
  if (target.at->kind != AtModifier::Kind::kNone)
    return Fail(At(symbol.range.begin, "@ <timestamp> may not be set multiple times"));
  if ((IsWord("start") || IsWord("end")) && Peek(1).kind == TokenKind::kLeftParen &&
      Peek(2).kind == TokenKind::kRightParen) {
    target.at->kind = IsWord("start") ? AtModifier::Kind::kStart : AtModifier::Kind::kEnd;
    Take();
    Take();
    Take();
  } else {
    double sign = 1;
    if (Is(TokenKind::kAdd) || Is(TokenKind::kSubtract))
      sign = Take().kind == TokenKind::kSubtract ? -1 : 1;
    if (!Is(TokenKind::kNumber) && !Is(TokenKind::kDuration) && !IsWord("inf") && !IsWord("nan"))
      return Fail(Unexpected("@", "timestamp"));
    const Token& number = Take();
    double seconds = std::numeric_limits<double>::infinity();
    if (number.kind != TokenKind::kIdentifier) {
      PICKET_ASSIGN(seconds, NumberValue(number));
    }
    // 2^53 ms keeps every later sum inside int64 and exact in doubles.
    if (!(std::fabs(seconds) < 9.007e12))
      return Fail(At(number.range.begin,
                     fmt::format("timestamp out of bounds for @ modifier: {}", sign * seconds)));
    target.at->kind = AtModifier::Kind::kTimestamp;
    target.at->timestamp_ms = static_cast<UnixMs>(std::llround(sign * seconds * 1000.0));
  }
  operand.range.end = LastEnd();
  return {};
}

Status Parser::ParseExtended(Node& operand) {
  const Token& keyword = Take();
  const std::string word = Lowercase(keyword.text);
  if (!options_.extended_range_selectors)
    return Fail(
        At(keyword.range.begin, fmt::format("{} modifier is experimental and not enabled", word)));
  VectorSelector* selector = nullptr;
  if (operand.kind == NodeKind::kVectorSelector) selector = static_cast<VectorSelector*>(&operand);
  if (operand.kind == NodeKind::kMatrixSelector)
    selector = static_cast<MatrixSelector&>(operand).selector.get();
  if (selector == nullptr)
    return Fail(At(
        operand.range.begin,
        fmt::format(
            "{} modifier must be preceded by an instant vector selector or range vector selector",
            word)));
  if (word == "anchored" && operand.kind == NodeKind::kVectorSelector)
    return Fail(
        At(operand.range.begin, "anchored modifier must be preceded by a range vector selector"));
  if (selector->anchored || selector->smoothed)
    return Fail(
        At(keyword.range.begin, "anchored and smoothed modifiers may not be set multiple times"));
  (word == "anchored" ? selector->anchored : selector->smoothed) = true;
  operand.range.end = LastEnd();
  return {};
}

}  // namespace picket::rules::promql
