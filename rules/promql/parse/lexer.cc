// SPDX-License-Identifier: Apache-2.0
#include "rules/promql/parse/lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "rules/promql/parse/unquote.h"

namespace picket::rules::promql {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsHexDigit(char c) { return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool IsAlpha(char c) { return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool IsAlnum(char c) { return IsAlpha(c) || IsDigit(c); }
bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  Result<std::vector<Token>> Run() {
    for (;;) {
      SkipBlanks();
      if (at_ >= text_.size()) break;
      PICKET_TRY(Next());
    }
    if (in_braces_) return Fail(Bad("unexpected end of input inside braces"));
    if (in_brackets_) return Fail(Bad("unexpected end of input inside brackets"));
    if (parens_ > 0) return Fail(Bad("unclosed left parenthesis"));
    Push(TokenKind::kEnd, at_);
    return std::move(tokens_);
  }

 private:
  char Peek(size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  Error Bad(std::string message) const {
    return ParseErrorAt(text_, static_cast<uint32_t>(std::min(at_, text_.size())),
                        std::move(message));
  }
  void Push(TokenKind kind, size_t begin) {
    Token token;
    token.kind = kind;
    token.range = {static_cast<uint32_t>(begin), static_cast<uint32_t>(at_)};
    token.text = text_.substr(begin, at_ - begin);
    tokens_.push_back(std::move(token));
  }
  Status Take(TokenKind kind, size_t length) {
    const size_t begin = at_;
    at_ += length;
    Push(kind, begin);
    return {};
  }

  void SkipBlanks() {
    while (at_ < text_.size()) {
      if (IsSpace(text_[at_])) {
        ++at_;
      } else if (text_[at_] == '#') {
        while (at_ < text_.size() && text_[at_] != '\n') ++at_;
      } else {
        return;
      }
    }
  }

  Status Next() {
    const char c = Peek();
    if (c == '"' || c == '\'' || c == '`') return LexString(c);
    if (in_braces_) return NextInBraces(c);
    if (IsDigit(c) || (c == '.' && IsDigit(Peek(1)))) return LexNumber();
    if (IsAlpha(c) || (c == ':' && !in_brackets_)) return LexWord();
    return NextSymbol(c);
  }

  Status NextInBraces(char c) {
    switch (c) {
      case '{':
        return Fail(Bad("unexpected left brace '{'"));
      case '}':
        in_braces_ = false;
        return Take(TokenKind::kRightBrace, 1);
      case ',':
        return Take(TokenKind::kComma, 1);
      case '=':
        return Peek(1) == '~' ? Take(TokenKind::kRegexMatch, 2) : Take(TokenKind::kAssign, 1);
      case '!':
        if (Peek(1) == '~') return Take(TokenKind::kRegexNotMatch, 2);
        if (Peek(1) == '=') return Take(TokenKind::kNotEqual, 2);
        at_ = std::min(at_ + 1, text_.size());
        return Fail(
            Bad(fmt::format("unexpected character after '!' inside braces: {}", QuotedChar())));
      default:
        break;
    }
    if (!IsAlpha(c))
      return Fail(Bad(fmt::format("unexpected character inside braces: {}", QuotedChar())));
    const size_t begin = at_;
    while (IsAlnum(Peek())) ++at_;
    Push(TokenKind::kIdentifier, begin);
    return {};
  }

  Status NextSymbol(char c) {
    switch (c) {
      case ',':
        return Take(TokenKind::kComma, 1);
      case '*':
        return Take(TokenKind::kMultiply, 1);
      case '/':
        return Take(TokenKind::kDivide, 1);
      case '%':
        return Take(TokenKind::kModulo, 1);
      case '+':
        return Take(TokenKind::kAdd, 1);
      case '-':
        return Take(TokenKind::kSubtract, 1);
      case '^':
        return Take(TokenKind::kPower, 1);
      case '@':
        return Take(TokenKind::kAt, 1);
      case ':':
        return Take(TokenKind::kColon, 1);
      case '=':
        if (Peek(1) == '=') return Take(TokenKind::kEqualEqual, 2);
        if (Peek(1) == '~') return ++at_, Fail(Bad("unexpected character after '=': '~'"));
        return Take(TokenKind::kAssign, 1);
      case '!':
        if (Peek(1) == '=') return Take(TokenKind::kNotEqual, 2);
        at_ = std::min(at_ + 1, text_.size());
        return Fail(Bad(fmt::format("unexpected character after '!': {}", QuotedChar())));
      case '<':
        if (Peek(1) == '=') return Take(TokenKind::kLessOrEqual, 2);
        if (Peek(1) == '/') return Take(TokenKind::kTrimUpper, 2);
        return Take(TokenKind::kLess, 1);
      case '>':
        if (Peek(1) == '=') return Take(TokenKind::kGreaterOrEqual, 2);
        if (Peek(1) == '/') return Take(TokenKind::kTrimLower, 2);
        return Take(TokenKind::kGreater, 1);
      default:
        return NextBracket(c);
    }
  }

  Status NextBracket(char c) {
    switch (c) {
      case '(':
        return ++parens_, Take(TokenKind::kLeftParen, 1);
      case ')':
        if (parens_ == 0) return Fail(Bad("unexpected right parenthesis ')'"));
        return --parens_, Take(TokenKind::kRightParen, 1);
      case '{':
        return in_braces_ = true, Take(TokenKind::kLeftBrace, 1);
      case '}':
        return Fail(Bad("unexpected right brace '}'"));
      case '[':
        if (in_brackets_) return Fail(Bad("unexpected left bracket '['"));
        return in_brackets_ = true, Take(TokenKind::kLeftBracket, 1);
      case ']':
        if (!in_brackets_) return Fail(Bad("unexpected right bracket ']'"));
        return in_brackets_ = false, Take(TokenKind::kRightBracket, 1);
      default:
        return Fail(Bad(fmt::format("unexpected character: {}", QuotedChar())));
    }
  }

  /// The character here as a message shows it, a whole UTF-8 sequence where there is one.
  std::string QuotedChar() const {
    if (at_ >= text_.size()) return "end of input";
    size_t length = 1;
    while (length < 4 && (static_cast<unsigned char>(Peek(length)) & 0xC0) == 0x80) ++length;
    return SingleQuoted(text_.substr(at_, length));
  }
  static std::string SingleQuoted(std::string_view text) {
    const std::string quoted = Quote(text);
    return "'" + quoted.substr(1, quoted.size() - 2) + "'";
  }

  Status LexWord() {
    const size_t begin = at_;
    bool colon = false;
    while (IsAlnum(Peek()) || (Peek() == ':' && !in_brackets_)) {
      colon |= Peek() == ':';
      ++at_;
    }
    Push(colon ? TokenKind::kMetricIdentifier : TokenKind::kIdentifier, begin);
    return {};
  }

  Status LexNumber() {
    const size_t begin = at_;
    if (ScanNumber() && !IsAlnum(Peek())) {
      Push(TokenKind::kNumber, begin);
      return {};
    }
    at_ = begin;
    if (ScanDuration() && !IsAlnum(Peek())) {
      Push(TokenKind::kDuration, begin);
      return {};
    }
    while (IsAlnum(Peek()) || Peek() == '.') ++at_;
    const std::string_view word = text_.substr(begin, at_ - begin);
    at_ = begin;
    return Fail(Bad(fmt::format("bad number or duration syntax: {}", Quote(word))));
  }

  bool ScanNumber() {
    if (Peek() == '0' && (Peek(1) == 'x' || Peek(1) == 'X') && IsHexDigit(Peek(2))) {
      at_ += 2;
      while (IsHexDigit(Peek()) || (Peek() == '_' && IsHexDigit(Peek(1)))) ++at_;
      return true;
    }
    auto digits = [&] {
      const size_t from = at_;
      while (IsDigit(Peek()) || (Peek() == '_' && at_ > from && IsDigit(Peek(1)))) ++at_;
      return at_ > from;
    };
    bool any = digits();
    if (Peek() == '.') {
      ++at_;
      any |= digits();
    }
    if (any && (Peek() == 'e' || Peek() == 'E')) {
      const size_t sign = Peek(1) == '+' || Peek(1) == '-' ? 1 : 0;
      if (IsDigit(Peek(1 + sign))) {
        at_ += 1 + sign;
        digits();
      }
    }
    return any;
  }

  bool ScanDuration() {
    static constexpr std::array<std::string_view, 7> kUnits = {"ms", "y", "w", "d", "h", "m", "s"};
    bool any = false;
    while (IsDigit(Peek())) {
      while (IsDigit(Peek())) ++at_;
      const auto unit = std::find_if(kUnits.begin(), kUnits.end(), [&](std::string_view u) {
        return text_.substr(at_, u.size()) == u;
      });
      if (unit == kUnits.end()) return false;
      at_ += unit->size();
      any = true;
    }
    return any;
  }

  Status LexString(char quote) {
    const size_t begin = at_;
    ++at_;
    while (at_ < text_.size() && text_[at_] != quote) {
      if (quote != '`' && text_[at_] == '\n') break;
      if (quote != '`' && text_[at_] == '\\') ++at_;
      ++at_;
    }
    if (at_ >= text_.size() || text_[at_] != quote) {
      at_ = begin;
      return Fail(Bad(quote == '`' ? "unterminated raw string" : "unterminated quoted string"));
    }
    ++at_;
    Push(TokenKind::kString, begin);
    auto value = Unquote(tokens_.back().text);
    if (!value) {
      at_ = begin;
      return Fail(Bad(value.error().message()));
    }
    tokens_.back().value = std::move(*value);
    return {};
  }

  std::string_view text_;
  size_t at_ = 0;
  int parens_ = 0;
  bool in_braces_ = false;
  bool in_brackets_ = false;
  std::vector<Token> tokens_;
};

}  // namespace

Result<std::vector<Token>> Tokenize(std::string_view text) { return Lexer(text).Run(); }

namespace {
std::pair<int, int> Locate(std::string_view text, uint32_t position) {
  int line = 1;
  size_t line_begin = 0;
  for (size_t i = 0; i < position && i < text.size(); ++i)
    if (text[i] == '\n') {
      ++line;
      line_begin = i + 1;
    }
  return {line, static_cast<int>(position - line_begin) + 1};
}
}  // namespace

Error ParseErrorAt(std::string_view text, uint32_t position, std::string message) {
  const auto [line, column] = Locate(text, position);
  return Error(ErrorKind::kInvalidArgument, "parse error: " + std::move(message))
      .At(Position{"", line, column});
}

std::string LineColumn(std::string_view text, uint32_t position) {
  const auto [line, column] = Locate(text, position);
  return fmt::format("{}:{}", line, column);
}

std::string Lowercase(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

namespace {
constexpr std::array<std::string_view, 14> kAggregatorWords = {
    "sum",    "avg",  "count",   "min",          "max",    "group",       "stddev",
    "stdvar", "topk", "bottomk", "count_values", "limitk", "limit_ratio", "quantile"};
constexpr std::array<std::string_view, 8> kKeywords = {
    "offset", "by", "without", "on", "ignoring", "group_left", "group_right", "bool"};
constexpr std::array<std::string_view, 4> kWordOperators = {"and", "or", "unless", "atan2"};

template <class List>
bool Contains(const List& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}
}  // namespace

std::string Describe(const Token& token) {
  switch (token.kind) {
    case TokenKind::kEnd:
      return "end of input";
    case TokenKind::kNumber:
      return fmt::format("number {}", Quote(token.text));
    case TokenKind::kDuration:
      return fmt::format("duration {}", Quote(token.text));
    case TokenKind::kString:
      return fmt::format("string {}", Quote(token.text));
    case TokenKind::kMetricIdentifier:
      return fmt::format("metric identifier {}", Quote(token.text));
    case TokenKind::kIdentifier: {
      const std::string word = Lowercase(token.text);
      if (Contains(kAggregatorWords, word)) return fmt::format("<aggr:{}>", word);
      if (Contains(kWordOperators, word)) return fmt::format("<op:{}>", word);
      if (Contains(kKeywords, word)) return fmt::format("<{}>", word);
      return fmt::format("identifier {}", Quote(token.text));
    }
    default:
      break;
  }
  if (token.kind >= TokenKind::kAt) return fmt::format("<op:{}>", token.text);
  return Quote(token.text);
}

}  // namespace picket::rules::promql
