// SPDX-License-Identifier: Apache-2.0
#include "core/relabel/regex.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <cctype>

#include "core/base/strings.h"

namespace picket::relabel {
namespace {

constexpr std::string_view kMeta = "\\.+*?()|[]{}^$";

bool IsLiteral(std::string_view s) { return s.find_first_of(kMeta) == std::string_view::npos; }

/// Takes a trailing or lone "everything": .* .+ (.*) (.+). Returns false when there is none.
struct Tail {
  bool found = false, capture = false, non_empty = false;
  size_t length = 0;
};
Tail TailOf(std::string_view s) {
  for (std::string_view t : {"(.*)", "(.+)", ".*", ".+"})
    if (s.ends_with(t)) return {true, t[0] == '(', t.find('+') != t.npos, t.size()};
  return {};
}

RE2::Options Options() {
  RE2::Options o;
  o.set_dot_nl(true);
  o.set_log_errors(false);
  o.set_max_mem(16 << 20);
  return o;
}

/// Go also writes a named group as (?<name>...); this RE2 knows only (?P<name>...).
std::string WithNamedGroups(std::string_view pattern) {
  std::string out;
  bool in_class = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    out += c;
    if (c == '\\' && i + 1 < pattern.size()) {
      out += pattern[++i];
    } else if (c == '[') {
      in_class = true;
    } else if (c == ']') {
      in_class = false;
    } else if (!in_class && pattern.substr(i).starts_with("(?<")) {
      out += "?P";
      ++i;
    }
  }
  return out;
}

re2::StringPiece Piece(std::string_view s) { return {s.data(), s.size()}; }

}  // namespace

struct Regex::Compiled {
  enum class Kind : uint8_t { kAutomaton, kEqual, kOneOf, kPrefix, kContains };

  explicit Compiled(std::string_view text) : pattern(text), re(WithNamedGroups(text), Options()) {
    if (!re.ok()) return;
    groups = static_cast<size_t>(re.NumberOfCapturingGroups());
    named = re.NamedCapturingGroups();
    Recognise();
  }

  void Recognise() {
    std::string_view s = pattern;
    if (IsLiteral(s)) {
      kind = Kind::kEqual;
      words = {std::string(s)};
      return;
    }
    if (const Tail t = TailOf(s); t.found) {
      std::string_view head = s.substr(0, s.size() - t.length);
      if (IsLiteral(head)) {
        kind = Kind::kPrefix;
        words = {std::string(head)};
        capture = t.capture;
        non_empty = t.non_empty;
        return;
      }
      if (!t.capture && !t.non_empty && head.starts_with(".*") && IsLiteral(head.substr(2))) {
        kind = Kind::kContains;
        words = {std::string(head.substr(2))};
        return;
      }
    }
    const bool braced = s.starts_with('(') && s.ends_with(')');
    if (braced) s = s.substr(1, s.size() - 2);
    const bool silent = braced && s.starts_with("?:");
    if (silent) s.remove_prefix(2);
    const std::vector<std::string_view> all = Split(s, '|');
    if (!std::ranges::all_of(all, IsLiteral)) return;
    kind = Kind::kOneOf;
    for (std::string_view w : all) words.emplace_back(w);
    std::ranges::sort(words);
    capture = braced && !silent;
  }

  /// Whether the text matches; `rest` is what group 1 holds when there is one.
  bool Direct(std::string_view text, std::string_view& rest) const {
    switch (kind) {
      case Kind::kEqual:
        return text == words[0];
      case Kind::kOneOf:
        rest = text;
        return std::binary_search(words.begin(), words.end(), text, std::less<>());
      case Kind::kPrefix:
        if (!text.starts_with(words[0])) return false;
        rest = text.substr(words[0].size());
        return !non_empty || !rest.empty();
      case Kind::kContains:
        return text.find(words[0]) != std::string_view::npos;
      case Kind::kAutomaton:
        break;
    }
    return RE2::FullMatch(Piece(text), re);
  }

  std::string pattern;
  RE2 re;
  size_t groups = 0;
  std::map<std::string, int> named;
  Kind kind = Kind::kAutomaton;
  std::vector<std::string> words;
  bool capture = false;
  bool non_empty = false;
};

Regex::Regex() {
  static const auto everything = std::make_shared<const Compiled>("(.*)");
  compiled_ = everything;
}

Result<Regex> Regex::Compile(std::string_view pattern) {
  auto compiled = std::make_shared<const Compiled>(pattern);
  if (!compiled->re.ok())
    return Fail(ErrorKind::kInvalidArgument, fmt::format("\"{}\" is not a regular expression: {}",
                                                         pattern, compiled->re.error()));
  if (compiled->groups + 1 > std::tuple_size_v<Groups>)
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("the regular expression has {} groups, at most {} are possible",
                            compiled->groups, std::tuple_size_v<Groups> - 1));
  return Regex(std::move(compiled));
}

const std::string& Regex::pattern() const { return compiled_->pattern; }
size_t Regex::GroupCount() const { return compiled_->groups; }
bool Regex::IsDirect() const { return compiled_->kind != Compiled::Kind::kAutomaton; }

int Regex::GroupNumber(std::string_view name) const {
  auto it = compiled_->named.find(std::string(name));
  return it == compiled_->named.end() ? -1 : it->second;
}

bool Regex::Matches(std::string_view text) const {
  std::string_view rest;
  return compiled_->Direct(text, rest);
}

bool Regex::Match(std::string_view text, Groups& groups) const {
  const Compiled& c = *compiled_;
  if (IsDirect()) {
    std::string_view rest;
    if (!c.Direct(text, rest)) return false;
    groups[0] = text;
    if (c.capture) groups[1] = rest;
    return true;
  }
  std::array<re2::StringPiece, std::tuple_size_v<Groups>> found;
  const int n = static_cast<int>(c.groups) + 1;
  if (!c.re.Match(Piece(text), 0, text.size(), RE2::ANCHOR_BOTH, found.data(), n)) return false;
  for (size_t i = 0; i < static_cast<size_t>(n); ++i)
    groups[i] =
        found[i].data() ? std::string_view(found[i].data(), found[i].size()) : std::string_view();
  return true;
}

namespace {

bool IsNameChar(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

/// The number a name stands for, or -1 for a named group.
int NumberOf(std::string_view name) {
  if (name.size() > 1 && name[0] == '0') return -1;
  if (name.size() > 8) return -1;
  int n = 0;
  for (const char c : name) {
    if (!std::isdigit(static_cast<unsigned char>(c))) return -1;
    n = n * 10 + (c - '0');
  }
  return n;
}

}  // namespace

Template::Template(std::string text) : text_(std::move(text)) {
  auto literal = [this](std::string_view s) {
    if (parts_.empty() || parts_.back().is_group) parts_.emplace_back();
    parts_.back().text += s;
  };
  std::string_view rest = text_;
  while (!rest.empty()) {
    const size_t at = rest.find('$');
    if (at != 0) literal(rest.substr(0, at));
    if (at == std::string_view::npos) break;
    rest.remove_prefix(at);
    if (rest.starts_with("$$")) {
      literal("$");
      rest.remove_prefix(2);
      continue;
    }
    const bool brace = rest.starts_with("${");
    const size_t begin = brace ? 2 : 1;
    size_t end = begin;
    while (end < rest.size() && IsNameChar(rest[end])) ++end;
    const bool closed = !brace || (end < rest.size() && rest[end] == '}');
    if (end == begin || !closed) {
      literal("$");
      rest.remove_prefix(1);
      continue;
    }
    const std::string_view name = rest.substr(begin, end - begin);
    parts_.push_back({std::string(name), NumberOf(name), true});
    has_references_ = true;
    rest.remove_prefix(end + (brace ? 1 : 0));
  }
}

void Template::Expand(const Regex& regex, const Groups& groups, std::string& out) const {
  for (const Part& p : parts_) {
    if (!p.is_group) {
      out += p.text;
      continue;
    }
    const int n = p.group >= 0 ? p.group : regex.GroupNumber(p.text);
    if (n >= 0 && static_cast<size_t>(n) <= regex.GroupCount())
      out += groups[static_cast<size_t>(n)];
  }
}

}  // namespace picket::relabel
