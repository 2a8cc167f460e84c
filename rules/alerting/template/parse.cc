// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "core/base/strings.h"
#include "rules/alerting/template/tree.h"

namespace picket::rules::alerting::tmpl {
namespace {

constexpr int kMaxDepth = 100;

struct Token {
  enum class Kind : uint8_t {
    kIdentifier,
    kField,
    kVariable,
    kString,
    kNumber,
    kPunctuation,
    kSpace,
    kEnd
  } kind = Kind::kEnd;
  std::string text;
};

bool IsWord(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

/// Splits the inside of one action.
class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  Result<std::vector<Token>> Run() {
    std::vector<Token> out;
    while (at_ < text_.size()) {
      PICKET_ASSIGN(Token t, Next());
      out.push_back(std::move(t));
    }
    out.push_back({});
    return out;
  }

 private:
  Result<Token> Next() {
    const char c = text_[at_];
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
      while (at_ < text_.size() &&
             std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos)
        ++at_;
      return Token{Token::Kind::kSpace, " "};
    }
    if (c == '"' || c == '`') return Quoted(c);
    if (c == '\'') return Character();
    if (c == '$') return Token{Token::Kind::kVariable, "$" + Word(1)};
    if (c == '.' && at_ + 1 < text_.size() && IsWord(text_[at_ + 1]) &&
        !(text_[at_ + 1] >= '0' && text_[at_ + 1] <= '9'))
      return Token{Token::Kind::kField, Word(1)};
    if ((c >= '0' && c <= '9') ||
        ((c == '-' || c == '+' || c == '.') && at_ + 1 < text_.size() &&
         ((text_[at_ + 1] >= '0' && text_[at_ + 1] <= '9') || text_[at_ + 1] == '.')))
      return Numeral();
    if (IsWord(c)) return Token{Token::Kind::kIdentifier, Word(0)};
    if (text_.substr(at_, 2) == ":=") {
      at_ += 2;
      return Token{Token::Kind::kPunctuation, ":="};
    }
    if (std::string_view("|().,=").find(c) != std::string_view::npos) {
      ++at_;
      return Token{Token::Kind::kPunctuation, std::string(1, c)};
    }
    return Fail(ErrorKind::kInvalidArgument, fmt::format("unexpected \"{}\" in action", c));
  }

  std::string Word(size_t skip) {
    at_ += skip;
    const size_t from = at_;
    while (at_ < text_.size() && IsWord(text_[at_])) ++at_;
    return std::string(text_.substr(from, at_ - from));
  }

  Token Numeral() {
    const size_t from = at_++;
    while (at_ < text_.size() && (IsWord(text_[at_]) || text_[at_] == '.' ||
                                  ((text_[at_] == '+' || text_[at_] == '-') &&
                                   (text_[at_ - 1] == 'e' || text_[at_ - 1] == 'E'))))
      ++at_;
    return {Token::Kind::kNumber, std::string(text_.substr(from, at_ - from))};
  }

  Result<Token> Quoted(char quote) {
    std::string out;
    for (++at_; at_ < text_.size(); ++at_) {
      char c = text_[at_];
      if (c == quote) {
        ++at_;
        return Token{Token::Kind::kString, std::move(out)};
      }
      if (quote == '"' && c == '\\' && at_ + 1 < text_.size()) {
        PICKET_TRY(Escape(out));
        continue;
      }
      if (quote == '"' && c == '\n') break;
      out += c;
    }
    return Fail(ErrorKind::kInvalidArgument,
                quote == '"' ? "unterminated quoted string" : "unterminated raw quoted string");
  }

  Status Escape(std::string& out) {
    const char c = text_[++at_];
    constexpr std::string_view kFrom = "nrtabfv\\\"'";
    constexpr std::string_view kTo = "\n\r\t\a\b\f\v\\\"'";
    if (const size_t i = kFrom.find(c); i != std::string_view::npos) {
      out += kTo[i];
      return {};
    }
    const size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    uint32_t code = 0;
    const char* from = text_.data() + at_ + 1;
    if (digits == 0 || at_ + digits >= text_.size() ||
        std::from_chars(from, from + digits, code, 16).ptr != from + digits || code > 0x10FFFF)
      return Fail(ErrorKind::kInvalidArgument, "invalid escape in quoted string");
    at_ += digits;
    if (digits == 2)
      out += static_cast<char>(code);
    else
      AppendUtf8(out, code);
    return {};
  }

  static void AppendUtf8(std::string& out, uint32_t c) {
    if (c < 0x80)
      out += static_cast<char>(c);
    else if (c < 0x800)
      out += {static_cast<char>(0xC0 | (c >> 6)), static_cast<char>(0x80 | (c & 63))};
    else if (c < 0x10000)
      out += {static_cast<char>(0xE0 | (c >> 12)), static_cast<char>(0x80 | ((c >> 6) & 63)),
              static_cast<char>(0x80 | (c & 63))};
    else
      out += {static_cast<char>(0xF0 | (c >> 18)), static_cast<char>(0x80 | ((c >> 12) & 63)),
              static_cast<char>(0x80 | ((c >> 6) & 63)), static_cast<char>(0x80 | (c & 63))};
  }

  Result<Token> Character() {
    const size_t end = text_.find('\'', at_ + 1);
    if (end != at_ + 2)
      return Fail(ErrorKind::kInvalidArgument, "only one-byte character constants are understood");
    const std::string number = std::to_string(static_cast<int>(text_[at_ + 1]));
    at_ = end + 1;
    return Token{Token::Kind::kNumber, number};
  }

  std::string_view text_;
  size_t at_ = 0;
};

class Parser {
 public:
  Parser(std::string_view text, const std::vector<std::string>& variables,
         const std::vector<std::string>& functions)
      : text_(text), functions_(functions) {
    scopes_.push_back(variables);
    scopes_.back().push_back("$");
  }

  Result<Tree> Run() {
    std::string ended;
    Tree tree;
    tree_ = &tree;
    PICKET_ASSIGN(tree.root, List(ended, 0));
    if (!ended.empty()) return Wrong(fmt::format("unexpected {{{{{}}}}}", ended));
    return tree;
  }

 private:
  std::unexpected<Error> Wrong(std::string message) const {
    const auto line =
        1 + std::count(text_.begin(),
                       text_.begin() + static_cast<std::ptrdiff_t>(std::min(at_, text_.size())),
                       '\n');
    return Fail(ErrorKind::kInvalidArgument, fmt::format("template line {}: {}", line, message));
  }

  /// Reads nodes until {{end}}, {{else...}} or the end of the text; `ended` names what stopped it.
  Result<NodeList> List(std::string& ended, int depth) {
    if (depth > kMaxDepth) return Wrong("nested too deeply");
    NodeList nodes;
    for (;;) {
      const size_t open = text_.find("{{", at_);
      AddText(nodes, text_.substr(at_, open == std::string_view::npos ? open : open - at_), open);
      if (open == std::string_view::npos) {
        at_ = text_.size();
        ended.clear();
        return nodes;
      }
      PICKET_ASSIGN(bool more, Action(nodes, open, ended, depth));
      if (!more) return nodes;
    }
  }

  void AddText(NodeList& nodes, std::string_view text, size_t open) {
    if (trim_next_) {
      while (!text.empty() && IsSpace(text.front())) text.remove_prefix(1);
      trim_next_ = false;
    }
    if (open != std::string_view::npos && text_.substr(open + 2, 1) == "-" &&
        open + 3 < text_.size() && IsSpace(text_[open + 3]))
      while (!text.empty() && IsSpace(text.back())) text.remove_suffix(1);
    if (text.empty()) return;
    Node n;
    n.text = text;
    nodes.push_back(std::move(n));
  }

  static bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

  /// The end of an action, past }} that stand in strings.
  size_t FindClose(size_t from) const {
    char quote = 0;
    for (size_t i = from; i + 1 < text_.size(); ++i) {
      const char c = text_[i];
      if (quote != 0) {
        if (c == '\\' && quote != '`')
          ++i;
        else if (c == quote)
          quote = 0;
      } else if (c == '"' || c == '`' || c == '\'') {
        quote = c;
      } else if (c == '}' && text_[i + 1] == '}') {
        return i;
      }
    }
    return std::string_view::npos;
  }

  /// Cuts the inside of the action at `open` and moves past it.
  Result<std::string_view> Inside(size_t open) {
    size_t from = open + 2;
    if (from + 1 < text_.size() && text_[from] == '-' && IsSpace(text_[from + 1])) from += 2;
    const std::string_view rest = text_.substr(from);
    size_t lead = 0;
    while (lead < rest.size() && IsSpace(rest[lead])) ++lead;
    size_t close = std::string_view::npos;
    if (rest.substr(lead).starts_with("/*")) {
      const size_t end = text_.find("*/", from);
      if (end == std::string_view::npos) return Wrong("unclosed comment");
      close = text_.find("}}", end);
    } else {
      close = FindClose(from);
    }
    at_ = open;
    if (close == std::string_view::npos) return Wrong("unclosed action");
    std::string_view inside = text_.substr(from, close - from);
    if (inside.size() >= 2 && inside.back() == '-' && IsSpace(inside[inside.size() - 2])) {
      inside.remove_suffix(1);
      trim_next_ = true;
    }
    at_ = close + 2;
    return Trim(inside);
  }

  /// False when the action ends the list.
  Result<bool> Action(NodeList& nodes, size_t open, std::string& ended, int depth) {
    PICKET_ASSIGN(const std::string_view inside, Inside(open));
    if (inside.starts_with("/*")) return true;
    size_t end = 0;
    while (end < inside.size() && IsWord(inside[end])) ++end;
    const std::string_view word = inside.substr(0, end);
    const std::string_view rest = Trim(inside.substr(end));
    if (word == "end" || word == "else") {
      ended = inside;
      return false;
    }
    if (word == "if" || word == "range" || word == "with") {
      PICKET_TRY(Block(nodes, word, rest, depth));
      return true;
    }
    if (word == "define" || word == "block") {
      PICKET_TRY(Define(nodes, word, rest, depth));
      return true;
    }
    Node n;
    if (word == "template") {
      n.kind = Node::Kind::kTemplate;
      PICKET_TRY(TemplateCall(n, rest));
    } else if ((word == "break" || word == "continue") && rest.empty()) {
      if (ranges_ == 0) return Wrong(fmt::format("{{{{{}}}}} outside {{{{range}}}}", word));
      n.kind = word == "break" ? Node::Kind::kBreak : Node::Kind::kContinue;
    } else {
      n.kind = Node::Kind::kAction;
      PICKET_ASSIGN(n.pipeline, ReadPipeline(inside));
    }
    nodes.push_back(std::move(n));
    return true;
  }

  Status Block(NodeList& nodes, std::string_view word, std::string_view rest, int depth) {
    Node n;
    n.kind = word == "if"      ? Node::Kind::kIf
             : word == "range" ? Node::Kind::kRange
                               : Node::Kind::kWith;
    scopes_.emplace_back();
    PICKET_ASSIGN(n.pipeline, ReadPipeline(rest));
    std::string ended;
    ranges_ += n.kind == Node::Kind::kRange;
    PICKET_ASSIGN(n.body, List(ended, depth + 1));
    ranges_ -= n.kind == Node::Kind::kRange;
    if (ended.starts_with("else")) {
      const std::string_view after = Trim(std::string_view(ended).substr(4));
      if (after.starts_with("if") || after.starts_with("with")) {
        const size_t length = after.starts_with("if") ? 2 : 4;
        // {{else if}} is an {{if}} within {{else}} that shares its {{end}}.
        const std::string copy(after);
        PICKET_TRY(Block(n.otherwise, std::string_view(copy).substr(0, length),
                         Trim(std::string_view(copy).substr(length)), depth + 1));
        ended = "end";
      } else if (after.empty()) {
        PICKET_ASSIGN(n.otherwise, List(ended, depth + 1));
      } else {
        return Wrong(fmt::format("unexpected \"{}\" after else", after));
      }
    }
    scopes_.pop_back();
    if (ended != "end") return Wrong(fmt::format("{{{{{}}}}} without {{{{end}}}}", word));
    nodes.push_back(std::move(n));
    return {};
  }

  Status Define(NodeList& nodes, std::string_view word, std::string_view rest, int depth) {
    PICKET_ASSIGN(const auto tokens, Lexer(rest).Run());
    if (tokens[0].kind != Token::Kind::kString)
      return Wrong(fmt::format("{} wants a quoted name", word));
    Node n;
    n.kind = Node::Kind::kTemplate;
    n.text = tokens[0].text;
    if (word == "block") {
      PICKET_TRY(TemplateCall(n, rest));
      nodes.push_back(n);
    }
    auto outer = std::move(scopes_);
    scopes_ = {{"$"}};
    std::string ended;
    auto body = List(ended, depth + 1);
    scopes_ = std::move(outer);
    if (!body) return Fail(std::move(body).error());
    if (ended != "end") return Wrong(fmt::format("{{{{{}}}}} without {{{{end}}}}", word));
    tree_->defined[n.text] = std::move(*body);
    return {};
  }

  Status TemplateCall(Node& n, std::string_view rest) {
    PICKET_ASSIGN(auto tokens, Lexer(rest).Run());
    if (tokens[0].kind != Token::Kind::kString) return Wrong("template wants a quoted name");
    n.text = tokens[0].text;
    tokens.erase(tokens.begin());
    while (tokens[0].kind == Token::Kind::kSpace) tokens.erase(tokens.begin());
    if (tokens[0].kind == Token::Kind::kEnd) return {};
    PICKET_ASSIGN(n.pipeline, FromTokens(tokens));
    return {};
  }

  Result<Pipeline> ReadPipeline(std::string_view inside) {
    auto tokens = Lexer(inside).Run();
    if (!tokens) return Wrong(tokens.error().message());
    return FromTokens(*tokens);
  }

  Result<Pipeline> FromTokens(const std::vector<Token>& tokens) {
    tokens_ = &tokens;
    i_ = 0;
    PICKET_ASSIGN(Pipeline p, ParsePipeline(0));
    if (Peek().kind != Token::Kind::kEnd)
      return Wrong(fmt::format("unexpected \"{}\"", Peek().text));
    return p;
  }

  const Token& Peek() const { return (*tokens_)[i_]; }
  bool IsPunctuation(std::string_view text) const {
    return Peek().kind == Token::Kind::kPunctuation && Peek().text == text;
  }
  bool SkipSpace() {
    const bool any = Peek().kind == Token::Kind::kSpace;
    if (any) ++i_;
    return any;
  }

  /// "$i, $v :=", "$v :=", "$v =" or nothing.
  Result<bool> Declaration(Pipeline& p) {
    const size_t start = i_;
    std::vector<std::string> names;
    for (;;) {
      SkipSpace();
      if (Peek().kind != Token::Kind::kVariable) break;
      names.push_back(Peek().text);
      ++i_;
      SkipSpace();
      if (IsPunctuation(":=") || IsPunctuation("=")) {
        p.declare = Peek().text == ":=";
        p.variables = names;
        ++i_;
        return true;
      }
      if (!IsPunctuation(",") || names.size() == 2) break;
      ++i_;
    }
    i_ = start;
    return false;
  }

  Result<Pipeline> ParsePipeline(int depth) {
    if (depth > kMaxDepth) return Wrong("nested too deeply");
    Pipeline p;
    PICKET_TRY(Declaration(p));
    for (;;) {
      PICKET_ASSIGN(Command c, ParseCommand(depth));
      p.commands.push_back(std::move(c));
      const Operand& first = p.commands.back().operands.front();
      if (p.commands.size() > 1 && first.fields.empty() &&
          (first.kind == Operand::Kind::kLiteral || first.kind == Operand::Kind::kDot))
        return Wrong(fmt::format("non executable command in pipeline stage {}", p.commands.size()));
      SkipSpace();
      if (!IsPunctuation("|")) break;
      ++i_;
    }
    for (const std::string& v : p.variables) {
      if (p.declare)
        scopes_.back().push_back(v);
      else if (!Known(v))
        return Wrong(fmt::format("undefined variable \"{}\"", v));
    }
    return p;
  }

  Result<Command> ParseCommand(int depth) {
    Command c;
    SkipSpace();
    for (;;) {
      PICKET_ASSIGN(Operand o, ParseOperand(depth));
      c.operands.push_back(std::move(o));
      if (!SkipSpace() || IsPunctuation("|") || IsPunctuation(")") ||
          Peek().kind == Token::Kind::kEnd)
        return c;
    }
  }

  bool Known(const std::string& variable) const {
    return std::any_of(scopes_.begin(), scopes_.end(), [&](const auto& s) {
      return std::find(s.begin(), s.end(), variable) != s.end();
    });
  }

  Result<Operand> ParseOperand(int depth) {
    Operand o;
    const Token t = Peek();
    switch (t.kind) {
      case Token::Kind::kVariable:
        if (!Known(t.text)) return Wrong(fmt::format("undefined variable \"{}\"", t.text));
        o.kind = Operand::Kind::kVariable;
        o.name = t.text;
        ++i_;
        break;
      case Token::Kind::kField:
        break;  // of the dot
      case Token::Kind::kString:
        o.kind = Operand::Kind::kLiteral;
        o.literal = Value::String(t.text);
        ++i_;
        break;
      case Token::Kind::kNumber: {
        PICKET_ASSIGN(o.literal, Number(t.text));
        o.kind = Operand::Kind::kLiteral;
        ++i_;
        break;
      }
      case Token::Kind::kIdentifier:
        ++i_;
        return Identifier(t.text);
      case Token::Kind::kPunctuation:
        if (t.text == "(") {
          ++i_;
          o.kind = Operand::Kind::kPipeline;
          PICKET_ASSIGN(Pipeline inner, ParsePipeline(depth + 1));
          o.pipeline = std::make_shared<Pipeline>(std::move(inner));
          SkipSpace();
          if (!IsPunctuation(")")) return Wrong("unclosed left paren");
          ++i_;
          break;
        }
        if (t.text == ".") {
          ++i_;
          return o;
        }
        return Wrong(fmt::format("unexpected \"{}\" in operand", t.text));
      default:
        return Wrong("missing value for command");
    }
    while (Peek().kind == Token::Kind::kField) o.fields.push_back(Peek().text), ++i_;
    return o;
  }

  Result<Operand> Identifier(const std::string& name) {
    Operand o;
    o.kind = Operand::Kind::kLiteral;
    if (name == "true" || name == "false") {
      o.literal = Value::Bool(name == "true");
      return o;
    }
    if (name == "nil") return o;
    if (std::find(functions_.begin(), functions_.end(), name) == functions_.end())
      return Wrong(fmt::format("function \"{}\" not defined", name));
    o.kind = Operand::Kind::kFunction;
    o.name = name;
    return o;
  }

  Result<Value> Number(const std::string& written) const {
    std::string text = written;
    std::erase(text, '_');  // digits may be grouped
    const char* end = text.data() + text.size();
    const char* from = text.data() + (text[0] == '+' ? 1 : 0);
    int64_t i = 0;
    if (text.starts_with("0x")) {
      if (auto r = std::from_chars(from + 2, end, i, 16); r.ec == std::errc() && r.ptr == end)
        return Value::Int(i);
    } else if (auto r = std::from_chars(from, end, i); r.ec == std::errc() && r.ptr == end) {
      return Value::Int(i);
    }
    double d = 0;
    if (auto r = std::from_chars(from, end, d); r.ec == std::errc() && r.ptr == end)
      return Value::Float(d);
    return Wrong(fmt::format("bad number syntax: \"{}\"", written));
  }

  std::string_view text_;
  const std::vector<std::string>& functions_;
  size_t at_ = 0;
  bool trim_next_ = false;
  int ranges_ = 0;
  Tree* tree_ = nullptr;
  std::vector<std::vector<std::string>> scopes_;
  const std::vector<Token>* tokens_ = nullptr;
  size_t i_ = 0;
};

}  // namespace

Result<Tree> ParseTemplate(std::string_view text, const std::vector<std::string>& variables,
                           const std::vector<std::string>& functions) {
  return Parser(text, variables, functions).Run();
}

}  // namespace picket::rules::alerting::tmpl
