// SPDX-License-Identifier: Apache-2.0
#include "core/config/excerpt.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "core/base/strings.h"
#include "core/config/diagnostics.h"

namespace picket::config {
namespace internal {
namespace {

constexpr std::string_view kMasked = "<secret>";
constexpr size_t kMaxColumns = 160;

std::string Lower(std::string_view s) {
  std::string out(s);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

bool IsKeyChar(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || c == '.';
}

size_t Indent(std::string_view line) {
  const size_t n = line.find_first_not_of(" -");
  return n == std::string_view::npos ? line.size() : n;
}

/// A value that only points to a secret: ${TOKEN}.
bool IsReference(std::string_view value) {
  value = Trim(value);
  while (!value.empty() && (value.front() == '"' || value.front() == '\'')) value.remove_prefix(1);
  return value.starts_with("${") && value.find(":-") == std::string_view::npos;
}

/// Hides the values of keys that look secret and passwords within URLs, line after line. A block or
/// a list below such a key is hidden as long as it is indented deeper.
class Masker {
 public:
  std::string Line(std::string_view line) {
    if (inside_) {
      const std::string_view text = Trim(line);
      if (text.empty() || Indent(line) > indent_) return Whole(line);
      if (line.find_first_not_of(' ') == indent_ && text.starts_with("- ")) return Whole(line);
      inside_ = false;
    }
    std::string out = Keys(line);
    UrlPasswords(out);
    return out;
  }

 private:
  static std::string Whole(std::string_view line) {
    const size_t n = line.find_first_not_of(' ');
    if (n == std::string_view::npos) return std::string(line);
    return std::string(line.substr(0, n)) + std::string(kMasked);
  }

  std::string Keys(std::string_view line) {
    std::string out;
    size_t done = 0;
    for (size_t colon = line.find(':'); colon != std::string_view::npos;
         colon = line.find(':', colon + 1)) {
      if (colon < done) continue;
      const std::string_view key = KeyBefore(line, colon);
      if (key.empty() || !LooksSecret(key)) continue;
      size_t value = line.find_first_not_of(' ', colon + 1);
      if (value == std::string_view::npos) value = line.size();
      const std::string_view rest = line.substr(value);
      if (rest.empty() || rest.starts_with('|') || rest.starts_with('>') || rest.starts_with('#')) {
        inside_ = !rest.empty() || Lower(key).ends_with("s");
        indent_ = Indent(line);
        continue;
      }
      if (rest.starts_with('{') || rest.starts_with('&') || IsReference(rest)) continue;
      out += line.substr(done, value - done);
      out += kMasked;
      done = ValueEnd(line, value);
      if (done == line.size() && (rest[0] == '"' || rest[0] == '\'') && !Closed(rest)) {
        inside_ = true;
        indent_ = Indent(line);
      }
    }
    out += line.substr(done);
    return out;
  }

  static std::string_view KeyBefore(std::string_view line, size_t colon) {
    size_t end = colon;
    if (end > 0 && (line[end - 1] == '"' || line[end - 1] == '\'')) --end;
    size_t begin = end;
    while (begin > 0 && IsKeyChar(line[begin - 1])) --begin;
    return line.substr(begin, end - begin);
  }

  static bool Closed(std::string_view value) {
    return value.size() > 1 && value.find(value[0], 1) != std::string_view::npos;
  }

  /// Up to the end of the line, or of the value when another follows in { } or [ ].
  static size_t ValueEnd(std::string_view line, size_t at) {
    const char quote = line[at];
    if (quote == '[') {
      const size_t end = line.find(']', at);
      return end == std::string_view::npos ? line.size() : end + 1;
    }
    if (quote == '"' || quote == '\'') {
      size_t end = at + 1;
      while (end < line.size() && (line[end] != quote || line[end - 1] == '\\')) ++end;
      return std::min(end + 1, line.size());
    }
    const bool flow = line.substr(0, at).find('{') != std::string_view::npos;
    const size_t end = flow ? line.find_first_of(",}", at) : std::string_view::npos;
    return end == std::string_view::npos ? line.size() : end;
  }

  static void UrlPasswords(std::string& line) {
    for (size_t at = line.find("://"); at != std::string::npos; at = line.find("://", at + 3)) {
      const size_t begin = at + 3;
      const size_t end = std::min(line.find_first_of("/ \"'", begin), line.size());
      const size_t sign = line.rfind('@', end);
      const size_t colon = line.find(':', begin);
      if (sign == std::string::npos || sign < begin || colon == std::string::npos || colon > sign)
        continue;
      line.replace(colon + 1, sign - colon - 1, kMasked);
    }
  }

  bool inside_ = false;
  size_t indent_ = 0;
};

/// Hides the parts of a line that lie within the ranges.
std::string HideRanges(std::string_view line, int number,
                       std::span<const std::pair<Place, Place>> secrets) {
  std::string out(line);
  for (const auto& [from, to] : secrets) {
    if (number < from.line || number > to.line) continue;
    const size_t begin =
        number == from.line ? static_cast<size_t>(from.column) - 1 : out.find_first_not_of(' ');
    // What stands before the next value is its own key or dash; only a line before it is all
    // secret.
    if (number == to.line && to.line != from.line) continue;
    const size_t end = number == to.line ? static_cast<size_t>(to.column) - 1 : std::string::npos;
    if (begin >= out.size() || begin >= end) continue;
    if (IsReference(std::string_view(out).substr(begin))) continue;
    std::string_view tail =
        end >= out.size() ? std::string_view() : std::string_view(out).substr(end);
    // Columns of later ranges on the line still fit when the rest keeps its place.
    std::string masked(kMasked);
    if (!tail.empty() && masked.size() < end - begin) masked.resize(end - begin, ' ');
    out = out.substr(0, begin) + masked + std::string(tail);
  }
  return out;
}

/// Where a long line is shown from, so that the column is in view; not inside a character.
size_t WindowStart(std::string_view line, int column) {
  const auto place = static_cast<size_t>(std::max(column, 1)) - 1;
  if (place < kMaxColumns) return 0;
  size_t from = std::min(place - kMaxColumns / 2, line.size());
  while (from < line.size() && (static_cast<unsigned char>(line[from]) & 0xc0) == 0x80) ++from;
  return from;
}

}  // namespace

bool LooksSecret(std::string_view key) {
  const std::string k = Lower(key);
  for (std::string_view harmless : {"_file", "_files", "_url", "_path", "_ref", "_name", "_id"})
    if (k.ends_with(harmless)) return false;
  static constexpr std::array<std::string_view, 13> kWords = {
      "password",    "passwd",        "secret",         "token",      "credential",
      "passphrase",  "api_key",       "apikey",         "access_key", "private_key",
      "account_key", "authorization", "application_key"};
  return std::ranges::any_of(kWords,
                             [&](std::string_view w) { return k.find(w) != std::string::npos; });
}

std::string MaskedExcerpt(const Source& source, Place at,
                          std::span<const std::pair<Place, Place>> secrets) {
  const std::vector<std::string_view> lines = Split(source.text, '\n');
  const int last = std::min(at.line + 1, static_cast<int>(lines.size()));
  const int width = std::max(4, static_cast<int>(std::to_string(last).size()) + 1);
  Masker masker;
  std::string out;
  for (int n = 1; n <= last; ++n) {
    std::string_view raw = lines[static_cast<size_t>(n) - 1];
    if (raw.ends_with('\r')) raw.remove_suffix(1);
    const std::string line = masker.Line(HideRanges(raw, n, secrets));
    if (n < at.line - 1) continue;
    if (n != at.line && Trim(line).empty()) continue;
    const size_t from = n == at.line ? WindowStart(line, at.column) : 0;
    std::string shown = (from > 0 ? "..." : "") + line.substr(from, kMaxColumns);
    if (line.size() > from + kMaxColumns) shown += "...";
    out += fmt::format("{:>{}} | {}\n", n, width, shown);
    if (n != at.line) continue;
    std::string pad(from > 0 ? 3 : 0, ' ');
    for (size_t i = from; i + 1 < static_cast<size_t>(at.column) && i < from + kMaxColumns; ++i) {
      const auto byte = i < raw.size() ? static_cast<unsigned char>(raw[i]) : ' ';
      if ((byte & 0xc0) != 0x80) pad += byte == '\t' ? '\t' : ' ';
    }
    out += fmt::format("{:>{}} | {}^\n", "", width, pad);
  }
  return out;
}

}  // namespace internal

std::string Excerpt(const Source& source, Place at) {
  return internal::MaskedExcerpt(source, at, {});
}

}  // namespace picket::config
