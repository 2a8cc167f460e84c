// SPDX-License-Identifier: Apache-2.0
#include "rules/promql/parse/unquote.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdint>

#include "rules/promql/parse/lexer.h"

namespace picket::rules::promql {
namespace {

void AppendUtf8(std::string& out, uint32_t rune) {
  if (rune < 0x80) {
    out += static_cast<char>(rune);
  } else if (rune < 0x800) {
    out += static_cast<char>(0xC0 | (rune >> 6));
    out += static_cast<char>(0x80 | (rune & 0x3F));
  } else if (rune < 0x10000) {
    out += static_cast<char>(0xE0 | (rune >> 12));
    out += static_cast<char>(0x80 | ((rune >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (rune & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | (rune >> 18));
    out += static_cast<char>(0x80 | ((rune >> 12) & 0x3F));
    out += static_cast<char>(0x80 | ((rune >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (rune & 0x3F));
  }
}

char SimpleEscape(char c) {
  switch (c) {
    case 'a':
      return '\a';
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'v':
      return '\v';
    case '\\':
      return '\\';
    case '\'':
      return '\'';
    case '"':
      return '"';
    default:
      return '\0';
  }
}

struct NumericEscape {
  size_t digits;
  int base;
  size_t prefix;  // characters after the backslash that are not digits
};

/// Decodes the escape after the backslash at `at`; returns the number of characters used or 0.
size_t Decode(std::string_view text, size_t at, char quote, std::string& out) {
  const char c = text[at];
  if (const char simple = SimpleEscape(c); simple != '\0') {
    if ((c == '\'' || c == '"') && c != quote) return 0;
    out += simple;
    return 1;
  }
  NumericEscape kind{};
  if (c == 'x') {
    kind = {2, 16, 1};
  } else if (c == 'u') {
    kind = {4, 16, 1};
  } else if (c == 'U') {
    kind = {8, 16, 1};
  } else if (c >= '0' && c <= '7') {
    kind = {3, 8, 0};
  } else {
    return 0;
  }
  const std::string_view digits = text.substr(at + kind.prefix, kind.digits);
  uint32_t value = 0;
  const auto [end, ec] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, kind.base);
  if (digits.size() != kind.digits || ec != std::errc() || end != digits.data() + digits.size())
    return 0;
  if (c == 'x' || kind.base == 8) {
    if (value > 0xFF) return 0;
    out += static_cast<char>(value);
  } else {
    if (value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) return 0;
    AppendUtf8(out, value);
  }
  return kind.prefix + kind.digits;
}

}  // namespace

Result<std::string> Unquote(std::string_view literal) {
  const auto bad = [&](std::string_view why) {
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("error unquoting string {}: {}", Quote(literal), why));
  };
  if (literal.size() < 2 || literal.front() != literal.back()) return bad("invalid syntax");
  const char quote = literal.front();
  const std::string_view body = literal.substr(1, literal.size() - 2);
  if (quote == '`') return std::string(body);
  std::string out;
  out.reserve(body.size());
  for (size_t i = 0; i < body.size();) {
    if (body[i] == '\n') return bad("invalid syntax");
    if (body[i] != '\\') {
      out += body[i++];
      continue;
    }
    const size_t used = i + 1 < body.size() ? Decode(body, i + 1, quote, out) : 0;
    if (used == 0) return bad("unknown escape sequence");
    i += 1 + used;
  }
  return out;
}

namespace {
/// Length of the valid UTF-8 sequence at the start, or 0.
size_t Utf8Length(std::string_view s) {
  const auto c = static_cast<unsigned char>(s[0]);
  const size_t length = c < 0x80         ? 1
                        : (c >> 5) == 6  ? 2
                        : (c >> 4) == 14 ? 3
                        : (c >> 3) == 30 ? 4
                                         : 0;
  if (length == 0 || length > s.size()) return 0;
  for (size_t i = 1; i < length; ++i)
    if ((static_cast<unsigned char>(s[i]) & 0xC0) != 0x80) return 0;
  return length;
}
}  // namespace

std::string Quote(std::string_view text) {
  std::string out = "\"";
  for (size_t i = 0; i < text.size();) {
    const char c = text[i];
    const size_t length = Utf8Length(text.substr(i));
    if (length == 0 || (length == 1 && (static_cast<unsigned char>(c) < 0x20 || c == 0x7F))) {
      switch (c) {
        case '\n':
          out += "\\n";
          break;
        case '\t':
          out += "\\t";
          break;
        case '\r':
          out += "\\r";
          break;
        default:
          out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
      }
      ++i;
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    out += text.substr(i, length);
    i += length;
  }
  return out + "\"";
}

}  // namespace picket::rules::promql
