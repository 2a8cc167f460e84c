// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "rules/promql/ast.h"

namespace picket::rules::promql {

enum class TokenKind : uint8_t {
  kEnd,
  kIdentifier,
  kMetricIdentifier,
  kNumber,
  kDuration,
  kString,
  kLeftParen,
  kRightParen,
  kLeftBrace,
  kRightBrace,
  kLeftBracket,
  kRightBracket,
  kComma,
  kColon,
  kAt,
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kModulo,
  kPower,
  kEqualEqual,
  kNotEqual,
  kGreater,
  kLess,
  kGreaterOrEqual,
  kLessOrEqual,
  kTrimUpper,
  kTrimLower,
  kAssign,
  kRegexMatch,
  kRegexNotMatch
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  TextRange range;
  std::string_view text;  ///< as written
  std::string value;      ///< of a string: without quotes and escapes
};

/// Splits the text; the last token is kEnd. Words are identifiers: the parser knows which are
/// keywords where. Errors: kInvalidArgument with line and column.
Result<std::vector<Token>> Tokenize(std::string_view text);

/// A parse error at a place of the text, as Prometheus words it.
Error ParseErrorAt(std::string_view text, uint32_t position, std::string message);
/// "1:5".
std::string LineColumn(std::string_view text, uint32_t position);

/// How a token is named in "unexpected ..." messages.
std::string Describe(const Token& token);
/// A string in double quotes with Go's escapes.
std::string Quote(std::string_view text);
std::string Lowercase(std::string_view text);

}  // namespace picket::rules::promql
