// SPDX-License-Identifier: Apache-2.0
#include "tests/rules/promql/script.h"

#include <algorithm>
#include <charconv>

#include "core/base/strings.h"
#include "core/base/units.h"
#include "rules/promql/parse/unquote.h"

namespace picket::rules::promql {
namespace {

class ScriptParser {
 public:
  explicit ScriptParser(std::string_view text) {
    for (const std::string_view line : Split(text, '\n')) {
      const std::string_view trimmed = Trim(line);
      lines_.push_back(trimmed.starts_with('#') ? std::string_view() : trimmed);
    }
  }

  Result<std::vector<Command>> Run() {
    while (at_ < lines_.size()) {
      if (lines_[at_].empty()) {
        ++at_;
        continue;
      }
      PICKET_TRY(One());
    }
    return std::move(commands_);
  }

 private:
  std::unexpected<Error> Bad(std::string what) const {
    return Fail(
        Error(ErrorKind::kInvalidArgument, std::move(what)).At({"", static_cast<int>(at_) + 1, 1}));
  }
  static std::string_view TakeWord(std::string_view& text) {
    text = Trim(text);
    const size_t end = std::min(text.find_first_of(" \t"), text.size());
    const std::string_view word = text.substr(0, end);
    text = Trim(text.substr(end));
    return word;
  }
  Result<int64_t> Time(std::string_view word) const {
    const bool negative = word.starts_with('-');
    PICKET_ASSIGN(const Milliseconds value, ParseDuration(negative ? word.substr(1) : word));
    return negative ? -value.count() : value.count();
  }

  Status One() {
    std::string_view rest = lines_[at_];
    std::string word(TakeWord(rest));
    std::transform(word.begin(), word.end(), word.begin(),
                   [](char c) { return static_cast<char>(std::tolower(c)); });
    if (word == "clear") {
      commands_.push_back({Command::Kind::kClear, static_cast<int>(at_) + 1, false, 0, {}, {}});
      ++at_;
      return {};
    }
    if (word == "load" || word == "load_with_nhcb") return Load(word == "load_with_nhcb", rest);
    if (word.starts_with("eval")) return ParseEval(word, rest);
    return Bad("unknown command: " + word);
  }

  Status Load(bool with_nhcb, std::string_view step) {
    Command command{Command::Kind::kLoad, static_cast<int>(at_) + 1, with_nhcb, 0, {}, {}};
    PICKET_ASSIGN(command.step_ms, Time(step));
    for (++at_; at_ < lines_.size() && !lines_[at_].empty(); ++at_) {
      if (IsStartTimeLine(lines_[at_])) continue;
      auto series = ParseSeriesLine(lines_[at_]);
      if (!series) return Bad(series.error().ToString());
      std::erase_if(command.series,
                    [&](const SeriesLine& s) { return s.labels == series->labels; });
      command.series.push_back(std::move(*series));
    }
    commands_.push_back(std::move(command));
    return {};
  }

  Status ParseEval(std::string_view word, std::string_view rest) {
    Command command{Command::Kind::kEval, static_cast<int>(at_) + 1, false, 0, {}, {}};
    Eval& eval = command.eval;
    eval.line = command.line;
    if (word == "eval_fail") eval.fail.emplace();
    if (word == "eval_warn") eval.warn.emplace_back();
    if (word == "eval_info") eval.info.emplace_back();
    eval.ordered = word == "eval_ordered";
    const std::string_view kind = TakeWord(rest);
    eval.range = kind == "range";
    TakeWord(rest);  // at, from
    PICKET_ASSIGN(eval.start_ms, Time(TakeWord(rest)));
    if (eval.range) {
      TakeWord(rest);  // to
      PICKET_ASSIGN(eval.end_ms, Time(TakeWord(rest)));
      TakeWord(rest);  // step
      PICKET_ASSIGN(eval.step_ms, Time(TakeWord(rest)));
    }
    eval.query = std::string(rest);
    for (++at_; at_ < lines_.size() && !lines_[at_].empty(); ++at_) {
      PICKET_ASSIGN(const bool more, Body(eval, lines_[at_]));
      if (!more) {
        ++at_;
        break;
      }
    }
    commands_.push_back(std::move(command));
    return {};
  }

  static Result<Expectation> Text(std::string_view rest) {
    Expectation out;
    rest = Trim(rest);
    if (rest.starts_with("msg:")) out.message = std::string(Trim(rest.substr(4)));
    if (rest.starts_with("regex:")) out.regex = std::string(Trim(rest.substr(6)));
    return out;
  }

  Status Expect(Eval& eval, std::string_view rest) {
    const std::string_view what = TakeWord(rest);
    if (what == "ordered") return eval.ordered = true, Status();
    if (what == "no_warn") return eval.no_warn = true, Status();
    if (what == "no_info") return eval.no_info = true, Status();
    if (what == "string") {
      PICKET_ASSIGN(eval.text, Unquote(rest));
      return {};
    }
    if (what == "range") {
      TakeWord(rest);  // vector
      TakeWord(rest);  // from
      Eval::RangeVector v{};
      PICKET_ASSIGN(v.start_ms, Time(TakeWord(rest)));
      TakeWord(rest);
      PICKET_ASSIGN(v.end_ms, Time(TakeWord(rest)));
      TakeWord(rest);
      PICKET_ASSIGN(v.step_ms, Time(TakeWord(rest)));
      eval.range_vector = v;
      return {};
    }
    PICKET_ASSIGN(Expectation expectation, Text(rest));
    if (what == "fail") return eval.fail = std::move(expectation), Status();
    if (what == "warn") return eval.warn.push_back(std::move(expectation)), Status();
    if (what == "info") return eval.info.push_back(std::move(expectation)), Status();
    return Bad("unknown expectation: " + std::string(what));
  }

  /// False when the line ends the block.
  Result<bool> Body(Eval& eval, std::string_view line) {
    std::string_view rest = line;
    const std::string_view word = TakeWord(rest);
    if (word == "expect") {
      PICKET_TRY(Expect(eval, rest));
      return true;
    }
    if (word == "expected_fail_message")
      return eval.fail = Expectation{std::string(rest), {}}, false;
    if (word == "expected_fail_regexp")
      return eval.fail = Expectation{{}, std::string(rest)}, false;
    if (rest.empty()) {
      auto number = ParseSeriesLine("x " + std::string(word));
      if (number && number->values.size() == 1 && number->values[0].value) {
        eval.scalar = number->values[0].value;
        return false;
      }
    }
    auto series = ParseSeriesLine(line);
    if (!series) return Bad(series.error().ToString());
    eval.series.push_back(std::move(*series));
    return true;
  }

  std::vector<std::string_view> lines_;
  size_t at_ = 0;
  std::vector<Command> commands_;
};

}  // namespace

Result<std::vector<Command>> ParseScript(std::string_view text) { return ScriptParser(text).Run(); }

}  // namespace picket::rules::promql
