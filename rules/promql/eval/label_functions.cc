// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <re2/re2.h>

#include <array>
#include <map>
#include <vector>

#include "core/base/strings.h"
#include "rules/promql/eval/functions.h"
#include "rules/promql/parse/lexer.h"

namespace picket::rules::promql {
namespace {

bool IsLabelName(std::string_view name) { return !name.empty() && IsValidUtf8(name); }

/// A replacement text like "$1-${name}", taken apart once.
class Template {
 public:
  Template(std::string_view text, const re2::RE2& regex) {
    const auto& named = regex.NamedCapturingGroups();
    const auto literal = [&](std::string_view s) {
      if (!s.empty()) parts_.push_back({-1, std::string(s)});
    };
    while (!text.empty()) {
      const size_t dollar = text.find('$');
      literal(text.substr(0, dollar));
      if (dollar == std::string_view::npos) return;
      text.remove_prefix(dollar + 1);
      if (!text.empty() && text[0] == '$') {
        literal("$");
        text.remove_prefix(1);
        continue;
      }
      const std::string_view name = TakeName(text);
      if (name.empty()) {
        literal("$");
        continue;
      }
      parts_.push_back({GroupOf(name, named, regex.NumberOfCapturingGroups()), ""});
    }
  }

  std::string Expand(const std::vector<re2::StringPiece>& groups) const {
    std::string out;
    for (const Part& part : parts_) {
      if (part.group == -1) {
        out += part.literal;
      } else if (part.group >= 0) {
        const re2::StringPiece& g = groups[static_cast<size_t>(part.group)];
        if (g.data() != nullptr) out.append(g.data(), g.size());
      }
    }
    return out;
  }

 private:
  static constexpr int kUnknownGroup = -2;
  struct Part {
    int group;  // -1: literal
    std::string literal;
  };

  static bool IsWordChar(char c) {
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  }
  /// The longest name after a dollar sign, in braces or bare; empty if there is none.
  static std::string_view TakeName(std::string_view& text) {
    const bool braced = !text.empty() && text[0] == '{';
    const size_t begin = braced ? 1 : 0;
    size_t end = begin;
    while (end < text.size() && IsWordChar(text[end])) ++end;
    if (end == begin || (braced && (end >= text.size() || text[end] != '}'))) return {};
    const std::string_view name = text.substr(begin, end - begin);
    text.remove_prefix(braced ? end + 1 : end);
    return name;
  }
  static int GroupOf(std::string_view name, const std::map<std::string, int>& named, int groups) {
    int number = 0;
    for (const char c : name) {
      if (c < '0' || c > '9') {
        const auto it = named.find(std::string(name));
        return it == named.end() ? kUnknownGroup : it->second;
      }
      number = std::min(number * 10 + (c - '0'), 1'000'000);
    }
    return number <= groups ? number : kUnknownGroup;
  }

  std::vector<Part> parts_;
};

/// Sets a label of one series; a name that is set by hand is not dropped any more.
void SetLabel(Evaluation& evaluation, SeriesHead& head, const std::string& name,
              const std::string& value) {
  if (head.labels->Get(name) != value) {
    LabelsBuilder builder(*head.labels);
    builder.Set(name, value);
    head.labels = evaluation.Keep(builder.Build());
  }
  if (name == kMetricName) head.drop_name = false;
}

Result<Value> LabelReplace(Evaluation& evaluation, const Call& call, const TimeGrid& grid) {
  std::array<std::string, 4> texts;
  for (size_t i = 0; i < texts.size(); ++i) {
    PICKET_ASSIGN(texts[i], evaluation.EvaluateString(*call.arguments[i + 1]));
  }
  const auto& [target, replacement, source, pattern] = texts;
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_dot_nl(true);
  const re2::RE2 regex(pattern, options);
  if (!regex.ok())
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("invalid regular expression in label_replace(): {}", pattern));
  if (!IsLabelName(target))
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("invalid destination label name in label_replace(): {}", target));
  PICKET_ASSIGN(Columns columns, evaluation.EvaluateVector(*call.arguments[0], grid));
  PICKET_TRY(evaluation.SettleNames(columns));
  const Template expand(replacement, regex);
  std::vector<re2::StringPiece> groups(static_cast<size_t>(regex.NumberOfCapturingGroups()) + 1);
  for (SeriesHead& head : columns.heads) {
    const std::string_view value = head.labels->Get(source);
    const re2::StringPiece piece(value.data(), value.size());
    if (!regex.Match(piece, 0, piece.size(), re2::RE2::ANCHOR_BOTH, groups.data(),
                     static_cast<int>(groups.size())))
      continue;
    SetLabel(evaluation, head, target, expand.Expand(groups));
  }
  PICKET_TRY(MergeEqualRows(columns));
  return Value::Vector(std::move(columns));
}

Result<Value> LabelJoin(Evaluation& evaluation, const Call& call, const TimeGrid& grid) {
  PICKET_ASSIGN(const std::string target, evaluation.EvaluateString(*call.arguments[1]));
  PICKET_ASSIGN(const std::string separator, evaluation.EvaluateString(*call.arguments[2]));
  if (!IsLabelName(target))
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("invalid destination label name in label_join(): {}", target));
  std::vector<std::string> sources;
  for (size_t i = 3; i < call.arguments.size(); ++i) {
    PICKET_ASSIGN(std::string source, evaluation.EvaluateString(*call.arguments[i]));
    if (!IsLabelName(source))
      return Fail(ErrorKind::kInvalidArgument,
                  fmt::format("invalid source label name in label_join(): {}", source));
    sources.push_back(std::move(source));
  }
  PICKET_ASSIGN(Columns columns, evaluation.EvaluateVector(*call.arguments[0], grid));
  PICKET_TRY(evaluation.SettleNames(columns));
  for (SeriesHead& head : columns.heads) {
    std::string value;
    for (size_t i = 0; i < sources.size(); ++i) {
      if (i > 0) value += separator;
      value += head.labels->Get(sources[i]);
    }
    SetLabel(evaluation, head, target, value);
  }
  PICKET_TRY(MergeEqualRows(columns));
  return Value::Vector(std::move(columns));
}

constexpr auto kRows = std::to_array<FunctionRow>({
    {"label_replace", &LabelReplace},
    {"label_join", &LabelJoin},
});

}  // namespace

std::span<const FunctionRow> LabelFunctions() { return kRows; }

}  // namespace picket::rules::promql
