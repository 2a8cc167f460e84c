// SPDX-License-Identifier: Apache-2.0
#include "rules/promql/parser.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "core/base/strings.h"
#include "rules/promql/parse/checker.h"
#include "rules/promql/parse/functions.h"
#include "rules/promql/parse/parser_impl.h"

namespace picket::rules::promql {
namespace {

struct OperatorRow {
  BinaryOp op;
  int precedence;
};
constexpr int kOrPrecedence = 1;
constexpr int kMultiplyPrecedence = 5;
constexpr int kPowerPrecedence = 6;

std::optional<OperatorRow> SymbolOperator(TokenKind kind) {
  switch (kind) {
    case TokenKind::kEqualEqual:
      return OperatorRow{BinaryOp::kEqual, 3};
    case TokenKind::kNotEqual:
      return OperatorRow{BinaryOp::kNotEqual, 3};
    case TokenKind::kGreater:
      return OperatorRow{BinaryOp::kGreater, 3};
    case TokenKind::kLess:
      return OperatorRow{BinaryOp::kLess, 3};
    case TokenKind::kGreaterOrEqual:
      return OperatorRow{BinaryOp::kGreaterOrEqual, 3};
    case TokenKind::kLessOrEqual:
      return OperatorRow{BinaryOp::kLessOrEqual, 3};
    case TokenKind::kTrimUpper:
      return OperatorRow{BinaryOp::kTrimUpper, 3};
    case TokenKind::kTrimLower:
      return OperatorRow{BinaryOp::kTrimLower, 3};
    case TokenKind::kAdd:
      return OperatorRow{BinaryOp::kAdd, 4};
    case TokenKind::kSubtract:
      return OperatorRow{BinaryOp::kSubtract, 4};
    case TokenKind::kMultiply:
      return OperatorRow{BinaryOp::kMultiply, kMultiplyPrecedence};
    case TokenKind::kDivide:
      return OperatorRow{BinaryOp::kDivide, kMultiplyPrecedence};
    case TokenKind::kModulo:
      return OperatorRow{BinaryOp::kModulo, kMultiplyPrecedence};
    case TokenKind::kPower:
      return OperatorRow{BinaryOp::kPower, kPowerPrecedence};
    default:
      return std::nullopt;
  }
}

std::optional<OperatorRow> WordOperator(std::string_view text) {
  const std::string word = Lowercase(text);
  if (word == "or") return OperatorRow{BinaryOp::kOr, kOrPrecedence};
  if (word == "and") return OperatorRow{BinaryOp::kAnd, 2};
  if (word == "unless") return OperatorRow{BinaryOp::kUnless, 2};
  if (word == "atan2") return OperatorRow{BinaryOp::kAtan2, kMultiplyPrecedence};
  return std::nullopt;
}

std::optional<OperatorRow> OperatorOf(const Token& token) {
  return token.kind == TokenKind::kIdentifier ? WordOperator(token.text)
                                              : SymbolOperator(token.kind);
}

std::optional<AggregateOp> Aggregator(std::string_view text) {
  const std::string word = Lowercase(text);
  for (int i = 0; i <= static_cast<int>(AggregateOp::kLimitRatio); ++i)
    if (AggregateName(static_cast<AggregateOp>(i)) == word) return static_cast<AggregateOp>(i);
  return std::nullopt;
}

bool TakesParameter(AggregateOp op) { return op >= AggregateOp::kTopk; }

/// Words that cannot be a metric's name outside of quotes.
bool IsReserved(std::string_view word) {
  constexpr std::array<std::string_view, 5> kWords = {"bool", "on", "ignoring", "group_left",
                                                      "group_right"};
  for (const std::string_view reserved : kWords)
    if (reserved == word) return true;
  return false;
}

}  // namespace

bool Parser::IsWord(std::string_view word, size_t ahead) const {
  const Token& token = Peek(ahead);
  return token.kind == TokenKind::kIdentifier && token.text.size() == word.size() &&
         Lowercase(token.text) == word;
}

Error Parser::Unexpected(std::string_view context, std::string_view expected) const {
  std::string message = "unexpected " + Describe(Peek());
  if (!context.empty()) message += fmt::format(" in {}", context);
  if (!expected.empty()) message += fmt::format(", expected {}", expected);
  return At(Peek().range.begin, std::move(message));
}

Status Parser::CheckDepth() const {
  if (depth_ <= kMaxDepth) return {};
  return Fail(At(Peek().range.begin,
                 fmt::format("expression is nested more than {} levels deep", kMaxDepth)));
}

Status Parser::Deepen(Node& node, std::initializer_list<const Node*> children) const {
  for (const Node* child : children)
    if (child != nullptr && child->depth >= node.depth)
      node.depth = static_cast<uint16_t>(child->depth + 1);
  if (node.depth <= kMaxDepth) return {};
  return Fail(At(node.range.begin,
                 fmt::format("expression is nested more than {} levels deep", kMaxDepth)));
}

Result<NodePtr> Parser::ParseAll() {
  if (Is(TokenKind::kEnd)) return Fail(At(0, "no expression found in input"));
  PICKET_ASSIGN(NodePtr root, ParseBinary(kOrPrecedence));
  if (!Is(TokenKind::kEnd)) return Fail(Unexpected("", ""));
  return root;
}

Result<NodePtr> Parser::ParseBinary(int min_precedence) {
  const DepthGuard guard(depth_);
  PICKET_TRY(CheckDepth());
  PICKET_ASSIGN(NodePtr left, ParseUnary());
  for (;;) {
    const auto row = OperatorOf(Peek());
    if (!row || row->precedence < min_precedence) return left;
    auto binary = std::make_unique<Binary>();
    binary->op = row->op;
    binary->operator_position = Take().range.begin;
    PICKET_TRY(ParseBinaryModifiers(*binary));
    const bool right_associative = row->op == BinaryOp::kPower;
    PICKET_ASSIGN(binary->right,
                  ParseBinary(right_associative ? row->precedence : row->precedence + 1));
    binary->left = std::move(left);
    binary->range = {binary->left->range.begin, binary->right->range.end};
    PICKET_TRY(Deepen(*binary, {binary->left.get(), binary->right.get()}));
    left = std::move(binary);
  }
}

Result<NodePtr> Parser::ParseUnary() {
  if (!Is(TokenKind::kAdd) && !Is(TokenKind::kSubtract)) return ParsePostfix();
  const Token& sign = Take();
  const bool negate = sign.kind == TokenKind::kSubtract;
  PICKET_ASSIGN(NodePtr operand, ParseBinary(kPowerPrecedence));
  if (operand->kind == NodeKind::kNumber) {
    auto& number = static_cast<Number&>(*operand);
    if (negate) number.value = -number.value;
    number.range.begin = sign.range.begin;
    return operand;
  }
  auto unary = std::make_unique<Unary>();
  unary->negate = negate;
  unary->range = {sign.range.begin, operand->range.end};
  PICKET_TRY(Deepen(*unary, {operand.get()}));
  unary->expr = std::move(operand);
  return unary;
}

Result<NodePtr> Parser::ParsePostfix() {
  PICKET_ASSIGN(NodePtr operand, ParsePrimary());
  for (;;) {
    if (Is(TokenKind::kLeftBracket)) {
      PICKET_ASSIGN(operand, ParseBrackets(std::move(operand)));
    } else if (Is(TokenKind::kAt)) {
      PICKET_TRY(ParseAt(*operand));
    } else if (IsWord("offset")) {
      PICKET_TRY(ParseOffset(*operand));
    } else if (IsWord("anchored") || IsWord("smoothed")) {
      PICKET_TRY(ParseExtended(*operand));
    } else {
      return operand;
    }
  }
}

Result<NodePtr> Parser::ParsePrimary() {
  switch (Peek().kind) {
    case TokenKind::kLeftParen:
      return ParseParen();
    case TokenKind::kNumber:
    case TokenKind::kDuration:
      return ParseNumber();
    case TokenKind::kString: {
      const Token& token = Take();
      auto node = std::make_unique<String>(token.value);
      node->range = token.range;
      return node;
    }
    case TokenKind::kLeftBrace:
    case TokenKind::kMetricIdentifier:
      return ParseVectorSelector();
    case TokenKind::kIdentifier:
      return ParseIdentifier();
    default:
      return Fail(Unexpected("", ""));
  }
}

Result<NodePtr> Parser::ParseParen() {
  const Token& open = Take();
  PICKET_ASSIGN(NodePtr inner, ParseBinary(kOrPrecedence));
  if (!Is(TokenKind::kRightParen)) return Fail(Unexpected("", ""));
  auto paren = std::make_unique<Paren>();
  paren->range = {open.range.begin, Take().range.end};
  paren->type = inner->type;
  PICKET_TRY(Deepen(*paren, {inner.get()}));
  paren->expr = std::move(inner);
  return paren;
}

Result<double> Parser::NumberValue(const Token& token) const {
  if (token.kind == TokenKind::kDuration) {
    auto duration = ParseDuration(token.text);
    if (!duration) return Fail(At(token.range.begin, duration.error().message()));
    return static_cast<double>(duration->count()) / 1000.0;
  }
  std::string digits;
  for (const char c : token.text)
    if (c != '_') digits += c;
  const bool hexadecimal =
      digits.size() > 2 && digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
  const bool octal = !hexadecimal && digits.size() > 1 && digits[0] == '0' &&
                     digits.find_first_not_of("01234567") == std::string::npos;
  if (hexadecimal || octal) {
    uint64_t integer = 0;
    const char* begin = digits.data() + (hexadecimal ? 2 : 0);
    const auto [end, ec] =
        std::from_chars(begin, digits.data() + digits.size(), integer, hexadecimal ? 16 : 8);
    if (ec != std::errc() || end != digits.data() + digits.size())
      return Fail(At(token.range.begin,
                     fmt::format("error parsing number: {} is out of range", Quote(token.text))));
    return static_cast<double>(integer);
  }
  double value = 0;
  const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (ec == std::errc::result_out_of_range)
    return std::fabs(value) < 1 ? 0.0 : std::numeric_limits<double>::infinity();
  if (ec != std::errc() || end != digits.data() + digits.size())
    return Fail(At(token.range.begin, fmt::format("error parsing number: {}", Quote(token.text))));
  return value;
}

Result<NodePtr> Parser::ParseNumber() {
  const Token& token = Take();
  PICKET_ASSIGN(const double value, NumberValue(token));
  auto node = std::make_unique<Number>(value, token.kind == TokenKind::kDuration);
  node->range = token.range;
  return node;
}

Result<NodePtr> Parser::ParseIdentifier() {
  const std::string word = Lowercase(Peek().text);
  const TokenKind next = Peek(1).kind;
  if (word == "inf" || word == "nan") {
    auto node = std::make_unique<Number>(word == "inf" ? std::numeric_limits<double>::infinity()
                                                       : std::numeric_limits<double>::quiet_NaN(),
                                         false);
    node->range = Take().range;
    return node;
  }
  if (const auto op = Aggregator(word);
      op && (next == TokenKind::kLeftParen || IsWord("by", 1) || IsWord("without", 1)))
    return ParseAggregate(*op);
  if (IsReserved(word)) return Fail(Unexpected("", ""));
  if (next == TokenKind::kLeftParen) return ParseCall();
  return ParseVectorSelector();
}

Result<std::vector<NodePtr>> Parser::ParseArguments() {
  Take();  // (
  std::vector<NodePtr> arguments;
  if (Is(TokenKind::kRightParen)) return Take(), std::move(arguments);
  for (;;) {
    PICKET_ASSIGN(NodePtr argument, ParseBinary(kOrPrecedence));
    arguments.push_back(std::move(argument));
    if (Is(TokenKind::kRightParen)) return Take(), std::move(arguments);
    if (!Is(TokenKind::kComma)) return Fail(Unexpected("", ""));
    const Token& comma = Take();
    if (Is(TokenKind::kRightParen))
      return Fail(At(comma.range.begin, "trailing commas not allowed in function call args"));
  }
}

Result<NodePtr> Parser::ParseCall() {
  const Token& name = Take();
  const FunctionSpec* function = FindFunction(name.text);
  if (function == nullptr) {
    // start(), end(), step(), range(), min_of() and max_of() are keywords, so their case does not
    // matter.
    const FunctionSpec* keyword = FindFunction(Lowercase(name.text));
    if (keyword != nullptr && keyword->experimental && keyword->result == ValueType::kScalar)
      function = keyword;
  }
  if (function == nullptr)
    return Fail(
        At(name.range.begin, fmt::format("unknown function with name {}", Quote(name.text))));
  if (function->experimental && !options_.experimental_functions)
    return Fail(At(name.range.begin, fmt::format("function {} is not enabled", Quote(name.text))));
  auto call = std::make_unique<Call>();
  call->function = function;
  call->type = function->result;
  PICKET_ASSIGN(call->arguments, ParseArguments());
  call->range = {name.range.begin, LastEnd()};
  for (const NodePtr& argument : call->arguments) PICKET_TRY(Deepen(*call, {argument.get()}));
  return call;
}

Result<NodePtr> Parser::ParseAggregate(AggregateOp op) {
  const Token& name = Take();
  if (op >= AggregateOp::kLimitk && !options_.experimental_functions)
    return Fail(
        At(name.range.begin,
           fmt::format("{}() is experimental and must be enabled with experimental functions",
                       AggregateName(op))));
  auto node = std::make_unique<Aggregate>();
  node->op = op;
  const auto grouping = [&]() -> Result<bool> {
    if (!IsWord("by") && !IsWord("without")) return false;
    node->without = IsWord("without");
    Take();
    PICKET_ASSIGN(node->grouping, ParseLabelList());
    return true;
  };
  PICKET_ASSIGN(const bool leading, grouping());
  if (!Is(TokenKind::kLeftParen)) return Fail(Unexpected("aggregation", ""));
  PICKET_ASSIGN(std::vector<NodePtr> arguments, ParseArguments());
  if (!leading) {
    PICKET_ASSIGN([[maybe_unused]] const bool trailing, grouping());
  }
  node->range = {name.range.begin, LastEnd()};
  const size_t wanted = TakesParameter(op) ? 2 : 1;
  if (arguments.empty())
    return Fail(At(node->range.begin, "no arguments for aggregate expression provided"));
  if (arguments.size() != wanted)
    return Fail(
        At(node->range.begin,
           fmt::format(
               "wrong number of arguments for aggregate expression provided, expected {}, got {}",
               wanted, arguments.size())));
  node->expr = std::move(arguments.back());
  if (wanted == 2) node->parameter = std::move(arguments.front());
  PICKET_TRY(Deepen(*node, {node->expr.get(), node->parameter.get()}));
  return node;
}

Result<std::vector<std::string>> Parser::ParseLabelList() {
  if (!Is(TokenKind::kLeftParen)) return Fail(Unexpected("grouping opts", "\"(\""));
  Take();
  std::vector<std::string> labels;
  while (!Is(TokenKind::kRightParen)) {
    const Token& token = Peek();
    if (token.kind == TokenKind::kIdentifier) {
      labels.emplace_back(token.text);
    } else if (token.kind == TokenKind::kString) {
      if (token.value.empty() || !IsValidUtf8(token.value))
        return Fail(At(token.range.begin,
                       fmt::format("invalid label name for grouping: {}", Quote(token.value))));
      labels.push_back(token.value);
    } else {
      return Fail(Unexpected("grouping opts", "label"));
    }
    Take();
    if (Is(TokenKind::kComma)) {
      Take();
    } else if (!Is(TokenKind::kRightParen)) {
      return Fail(Unexpected("grouping opts", "\",\" or \")\""));
    }
  }
  Take();
  return labels;
}

Status Parser::ParseBinaryModifiers(Binary& binary) {
  using Cardinality = VectorMatching::Cardinality;
  VectorMatching& matching = binary.matching;
  if (IsSetOperator(binary.op)) matching.cardinality = Cardinality::kManyToMany;
  if (IsWord("bool")) {
    if (!IsComparison(binary.op))
      return Fail(At(Peek().range.begin, "bool modifier can only be used on comparison operators"));
    Take();
    binary.return_bool = true;
  }
  if (IsWord("on") || IsWord("ignoring")) {
    matching.written = true;
    matching.on = IsWord("on");
    Take();
    PICKET_ASSIGN(matching.labels, ParseLabelList());
    if (IsWord("group_left") || IsWord("group_right")) {
      const uint32_t position = Peek().range.begin;
      if (IsSetOperator(binary.op))
        return Fail(At(position, fmt::format("no grouping allowed for {} operation",
                                             Quote(BinaryName(binary.op)))));
      matching.cardinality =
          IsWord("group_left") ? Cardinality::kManyToOne : Cardinality::kOneToMany;
      Take();
      if (Is(TokenKind::kLeftParen)) {
        // group_left (a, b) is a label list; group_left (expr) without labels needs on() ()
        // instead, as in Prometheus.
        PICKET_ASSIGN(matching.include, ParseLabelList());
      }
    }
  }
  return ParseFill(binary);
}

Status Parser::ParseFill(Binary& binary) {
  for (;;) {
    const bool both = IsWord("fill");
    const bool left = both || IsWord("fill_left");
    const bool right = both || IsWord("fill_right");
    if ((!left && !right) || Peek(1).kind != TokenKind::kLeftParen) return {};
    const uint32_t position = Peek().range.begin;
    if (!options_.binop_fill_modifiers)
      return Fail(At(position, "binop fill modifiers are experimental and not enabled"));
    if (IsSetOperator(binary.op))
      return Fail(
          At(position, fmt::format("filling in missing series not allowed for set operators")));
    if ((left && binary.matching.fill_left) || (right && binary.matching.fill_right))
      return Fail(At(position, "fill value may not be set multiple times"));
    Take();
    PICKET_ASSIGN(const double value, ParseFillValue());
    if (left) binary.matching.fill_left = value;
    if (right) binary.matching.fill_right = value;
  }
}

Result<double> Parser::ParseFillValue() {
  Take();  // (
  double sign = 1;
  while (Is(TokenKind::kAdd) || Is(TokenKind::kSubtract))
    if (Take().kind == TokenKind::kSubtract) sign = -sign;
  double value = 0;
  if (Is(TokenKind::kNumber) || Is(TokenKind::kDuration)) {
    PICKET_ASSIGN(value, NumberValue(Take()));
  } else if (IsWord("inf") || IsWord("nan")) {
    value = IsWord("inf") ? std::numeric_limits<double>::infinity()
                          : std::numeric_limits<double>::quiet_NaN();
    Take();
  } else {
    return Fail(Unexpected("fill modifier", "number"));
  }
  if (!Is(TokenKind::kRightParen)) return Fail(Unexpected("fill modifier", "\")\""));
  Take();
  return sign * value;
}

Result<ExpressionPtr> Parse(std::string_view text, const ParseOptions& options) {
  PICKET_ASSIGN(std::vector<Token> tokens, Tokenize(text));
  Parser parser(text, std::move(tokens), options);
  PICKET_ASSIGN(NodePtr root, parser.ParseAll());
  PICKET_TRY(CheckTypes(text, *root));
  MarkStepInvariant(*root);
  return std::make_shared<const Expression>(std::string(text), std::move(root));
}

Result<std::vector<Matcher>> ParseSelector(std::string_view text) {
  PICKET_ASSIGN(std::vector<Token> tokens, Tokenize(text));
  Parser parser(text, std::move(tokens), ParseOptions());
  PICKET_ASSIGN(std::unique_ptr<VectorSelector> selector, parser.ParseSelectorAll());
  PICKET_TRY(CheckTypes(text, *selector));
  return std::move(selector->matchers);
}

}  // namespace picket::rules::promql
