// SPDX-License-Identifier: Apache-2.0
#include "core/model/labels.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>

#include "core/base/hash.h"
#include "core/base/strings.h"

namespace picket {
namespace {

bool IsAlpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool IsAlnum(char c) { return IsAlpha(c) || (c >= '0' && c <= '9'); }

std::string Quote(std::string_view s) {
  std::string out = "\"";
  for (const char c : s) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
  return out + '"';
}

// Words of a|b|c, when the pattern has no other meaning.
std::vector<std::string> PlainAlternatives(std::string_view pattern) {
  if (pattern.find_first_of("\\.+*?()[]{}^$") != std::string_view::npos) return {};
  std::vector<std::string> words;
  for (const std::string_view w : Split(pattern, '|')) words.emplace_back(w);
  return words;
}

}  // namespace

Labels::Labels(std::vector<std::pair<std::string, std::string>> pairs) {
  std::vector<Pair> views;
  views.reserve(pairs.size());
  for (const auto& [n, v] : pairs) views.push_back({n, v});
  Assign(std::move(views));
}

Labels::Labels(std::initializer_list<std::pair<std::string, std::string>> pairs)
    : Labels(std::vector<std::pair<std::string, std::string>>(pairs)) {}

Labels Labels::FromViews(std::vector<Pair> pairs) {
  Labels out;
  out.Assign(std::move(pairs));
  return out;
}

void Labels::Assign(std::vector<Pair> pairs) {
  std::stable_sort(pairs.begin(), pairs.end(),
                   [](const Pair& a, const Pair& b) { return a.name < b.name; });
  size_t bytes = 0;
  for (const Pair& p : pairs) bytes += p.name.size() + p.value.size();
  text_.reserve(bytes);
  ends_.reserve(pairs.size() * 2);
  for (size_t i = 0; i < pairs.size(); ++i) {
    if (i + 1 < pairs.size() && pairs[i + 1].name == pairs[i].name) continue;  // the last wins
    if (pairs[i].value.empty()) continue;
    text_ += pairs[i].name;
    ends_.push_back(static_cast<uint32_t>(text_.size()));
    text_ += pairs[i].value;
    ends_.push_back(static_cast<uint32_t>(text_.size()));
  }
}

Labels::Pair Labels::operator[](size_t i) const {
  const uint32_t from = i == 0 ? 0 : ends_[2 * i - 1];
  const uint32_t mid = ends_[2 * i];
  const std::string_view all = text_;
  return {all.substr(from, mid - from), all.substr(mid, ends_[2 * i + 1] - mid)};
}

std::string_view Labels::Get(std::string_view name) const {
  size_t lo = 0;
  size_t hi = size();
  while (lo < hi) {
    const size_t mid = (lo + hi) / 2;
    const Pair p = (*this)[mid];
    if (p.name == name) return p.value;
    if (p.name < name)
      lo = mid + 1;
    else
      hi = mid;
  }
  return {};
}

std::strong_ordering Labels::operator<=>(const Labels& o) const {
  const size_t n = std::min(size(), o.size());
  for (size_t i = 0; i < n; ++i)
    if (const auto c = (*this)[i] <=> o[i]; c != 0) return c;
  return size() <=> o.size();
}

uint64_t Labels::Hash() const {
  const std::string_view shape(reinterpret_cast<const char*>(ends_.data()),
                               ends_.size() * sizeof(uint32_t));
  return Hash64(text_, Hash64(shape));
}

std::string Labels::ToString() const {
  std::string out(Get(kMetricName));
  const bool quoted = !out.empty() && !IsLegacyMetricName(out);
  std::string inside;
  if (quoted) inside = Quote(out), out.clear();
  for (const auto& [n, v] : *this) {
    if (n == kMetricName) continue;
    if (!inside.empty()) inside += ", ";
    inside += (IsLegacyLabelName(n) ? std::string(n) : Quote(n)) + "=" + Quote(v);
  }
  if (inside.empty() && !out.empty()) return out;
  return out + "{" + inside + "}";
}

std::string Labels::ToJson() const {
  std::string out = "{";
  for (const auto& [n, v] : *this) {
    if (out.size() > 1) out += ',';
    AppendJsonQuoted(out, n);
    out += ':';
    AppendJsonQuoted(out, v);
  }
  return out + "}";
}

LabelsBuilder::LabelsBuilder(const Labels& base) {
  pairs_.reserve(base.size() + 4);
  for (const auto& [n, v] : base) pairs_.emplace_back(n, v);
}

void LabelsBuilder::Set(std::string_view name, std::string_view value) {
  for (size_t i = 0; i < pairs_.size(); ++i) {
    if (pairs_[i].first != name) continue;
    if (value.empty())
      pairs_.erase(pairs_.begin() + static_cast<std::ptrdiff_t>(i));
    else
      pairs_[i].second = value;
    return;
  }
  if (!value.empty()) pairs_.emplace_back(name, value);
}

std::string_view LabelsBuilder::Get(std::string_view name) const {
  for (const auto& [n, v] : pairs_)
    if (n == name) return v;
  return {};
}

Labels LabelsBuilder::Build() const {
  std::vector<Labels::Pair> views;
  views.reserve(pairs_.size());
  for (const auto& [n, v] : pairs_) views.push_back({n, v});
  return Labels::FromViews(std::move(views));
}

struct Matcher::Regex {
  explicit Regex(const std::string& pattern) : re(pattern, Options()) {}
  static RE2::Options Options() {
    RE2::Options o;
    o.set_log_errors(false);
    o.set_dot_nl(true);
    return o;
  }
  RE2 re;
};

Result<Matcher> Matcher::Make(Type type, std::string name, std::string value) {
  Matcher m(type, std::move(name), std::move(value));
  if (type == Type::kRegex || type == Type::kNotRegex) {
    auto regex = std::make_shared<Regex>(m.value_);
    if (!regex->re.ok())
      return Fail(ErrorKind::kInvalidArgument,
                  fmt::format("error parsing regexp: {}", regex->re.error()));
    m.regex_ = std::move(regex);
    m.alternatives_ = PlainAlternatives(m.value_);
  }
  return m;
}

Matcher Matcher::Equal(std::string name, std::string value) {
  return Matcher(Type::kEqual, std::move(name), std::move(value));
}

bool Matcher::Matches(std::string_view value) const {
  switch (type_) {
    case Type::kEqual:
      return value == value_;
    case Type::kNotEqual:
      return value != value_;
    case Type::kRegex:
      return RE2::FullMatch({value.data(), value.size()}, regex_->re);
    case Type::kNotRegex:
      return !RE2::FullMatch({value.data(), value.size()}, regex_->re);
  }
  return false;
}

std::string Matcher::ToString() const {
  constexpr std::string_view kOps[] = {"=", "!=", "=~", "!~"};
  return fmt::format("{}{}{}", IsLegacyLabelName(name_) ? name_ : Quote(name_),
                     kOps[static_cast<size_t>(type_)], Quote(value_));
}

bool IsLegacyLabelName(std::string_view name) {
  return !name.empty() && IsAlpha(name[0]) && std::all_of(name.begin(), name.end(), IsAlnum);
}

bool IsLegacyMetricName(std::string_view name) {
  auto ok = [](char c) { return IsAlnum(c) || c == ':'; };
  return !name.empty() && (IsAlpha(name[0]) || name[0] == ':') &&
         std::all_of(name.begin(), name.end(), ok);
}

}  // namespace picket
