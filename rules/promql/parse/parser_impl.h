// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "rules/promql/parse/lexer.h"
#include "rules/promql/parser.h"

namespace picket::rules::promql {

/// Recursive descent with precedence climbing. Types are checked afterwards, see checker.h.
class Parser {
 public:
  Parser(std::string_view text, std::vector<Token> tokens, const ParseOptions& options)
      : text_(text), tokens_(std::move(tokens)), options_(options) {}

  Result<NodePtr> ParseAll();
  Result<std::unique_ptr<VectorSelector>> ParseSelectorAll();

 private:
  // parser.cc: expressions
  Result<NodePtr> ParseBinary(int min_precedence);
  Result<NodePtr> ParseUnary();
  Result<NodePtr> ParsePostfix();
  Result<NodePtr> ParsePrimary();
  Result<NodePtr> ParseParen();
  Result<NodePtr> ParseNumber();
  Result<NodePtr> ParseIdentifier();
  Result<NodePtr> ParseCall();
  Result<NodePtr> ParseAggregate(AggregateOp op);
  Result<std::vector<NodePtr>> ParseArguments();
  Result<std::vector<std::string>> ParseLabelList();
  Status ParseBinaryModifiers(Binary& binary);
  Status ParseFill(Binary& binary);
  Result<double> ParseFillValue();

  // parse_selector.cc: selectors and what follows an operand
  Result<NodePtr> ParseVectorSelector();
  Status ParseMatchers(VectorSelector& selector);
  Status ParseMatcher(VectorSelector& selector);
  Status AddMetricName(VectorSelector& selector, std::string name, uint32_t position);
  Result<NodePtr> ParseBrackets(NodePtr operand);
  Result<NodePtr> FinishMatrix(NodePtr operand, DurationSetting window, const Token& open,
                               const Token& close);
  Result<NodePtr> FinishSubquery(NodePtr operand, DurationSetting window);
  Status ParseOffset(Node& operand);
  Status ParseAt(Node& operand);
  Status ParseExtended(Node& operand);

  // parse_duration.cc
  /// A whole duration expression, as in brackets. Errors: also when it is a literal that is not
  /// positive.
  Result<DurationSetting> ParseWindow(std::string_view context, std::string_view expected);
  /// What may follow `offset`: a literal, a signed one, or an expression in parentheses or a call.
  Result<DurationSetting> ParseOffsetDuration();
  using DurationPtr = std::unique_ptr<DurationExpr>;
  Result<DurationPtr> ParseDurationSum(int min_precedence);
  Result<DurationPtr> ParseDurationUnary();
  Result<DurationPtr> ParseDurationPrimary();
  Result<DurationPtr> ParseDurationCall();
  Result<DurationSetting> SettleDuration(DurationPtr expr, bool positive);

  const Token& Peek(size_t ahead = 0) const {
    return tokens_[at_ + ahead < tokens_.size() ? at_ + ahead : tokens_.size() - 1];
  }
  const Token& Take() {
    const Token& token = Peek();
    if (at_ + 1 < tokens_.size()) ++at_;
    return token;
  }
  bool Is(TokenKind kind) const { return Peek().kind == kind; }
  /// Whether the token ahead is this word, in any case.
  bool IsWord(std::string_view word, size_t ahead = 0) const;
  uint32_t LastEnd() const { return at_ == 0 ? 0 : tokens_[at_ - 1].range.end; }
  Error Unexpected(std::string_view context, std::string_view expected) const;
  Error At(uint32_t position, std::string message) const {
    return ParseErrorAt(text_, position, std::move(message));
  }
  Result<double> NumberValue(const Token& token) const;
  /// Sets the depth from the children and refuses what is nested too deeply.
  Status Deepen(Node& node, std::initializer_list<const Node*> children) const;

  struct DepthGuard {
    int& depth;
    explicit DepthGuard(int& d) : depth(++d) {}
    ~DepthGuard() { --depth; }
  };
  Status CheckDepth() const;

  std::string_view text_;
  std::vector<Token> tokens_;
  ParseOptions options_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace picket::rules::promql
