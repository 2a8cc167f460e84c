// SPDX-License-Identifier: Apache-2.0
#include "rules/promql/series_values.h"

#include <fmt/format.h>
#include <strings.h>

#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "core/base/strings.h"
#include "core/model/metrics.h"
#include "rules/promql/eval/histogram_math.h"
#include "rules/promql/parser.h"

namespace picket::rules::promql {
namespace {

std::unexpected<Error> Bad(std::string_view what, std::string_view text) {
  return Fail(ErrorKind::kInvalidArgument, std::string(what) + ": " + std::string(text));
}

/// Where the selector at the start of a line ends: after its braces, or at the first blank.
size_t SelectorEnd(std::string_view line) {
  size_t i = 0;
  while (i < line.size() && line[i] != ' ' && line[i] != '\t' && line[i] != '{') ++i;
  if (i >= line.size() || line[i] != '{' || line.substr(i).starts_with("{{")) return i;
  char quote = 0;
  for (; i < line.size(); ++i) {
    const char c = line[i];
    if (quote != 0) {
      if (c == '\\' && quote != '`') {
        ++i;
      } else if (c == quote) {
        quote = 0;
      }
    } else if (c == '"' || c == '\'' || c == '`') {
      quote = c;
    } else if (c == '}') {
      return i + 1;
    }
  }
  return line.size();
}

Result<double> ParseDouble(std::string_view text) {
  std::string_view rest = text;
  double sign = 1;
  if (!rest.empty() && (rest[0] == '+' || rest[0] == '-')) {
    sign = rest[0] == '-' ? -1 : 1;
    rest.remove_prefix(1);
  }
  double value = 0;
  const auto [end, ec] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
  if (rest.empty() || end != rest.data() + rest.size()) return Bad("not a number", text);
  return sign * value;
}

/// One number at the front of `text`, taken off it.
Result<double> TakeNumber(std::string_view& text) {
  size_t i = 0;
  if (i < text.size() && (text[i] == '+' || text[i] == '-')) ++i;
  const auto word = [&](std::string_view name) {
    return text.size() >= i + 3 && ::strncasecmp(text.data() + i, name.data(), 3) == 0;
  };
  if (word("inf") || word("nan")) {
    i += 3;
  } else {
    const auto digit = [&](size_t k) {
      return k < text.size() && text[k] >= '0' && text[k] <= '9';
    };
    while (digit(i) || (i < text.size() && text[i] == '.')) ++i;
    if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
      const size_t sign = i + 1 < text.size() && (text[i + 1] == '+' || text[i + 1] == '-') ? 1 : 0;
      if (digit(i + 1 + sign)) {
        i += 1 + sign;
        while (digit(i)) ++i;
      }
    }
  }
  PICKET_ASSIGN(const double value, ParseDouble(text.substr(0, i)));
  text.remove_prefix(i);
  return value;
}

Result<size_t> TakeTimes(std::string_view text) {
  size_t n = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (text.empty() || ec != std::errc() || end != text.data() + text.size())
    return Bad("not a repetition", text);
  return n;
}

Status AppendFloats(std::string_view item, std::vector<SlotValue>& out) {
  std::string_view rest = item;
  PICKET_ASSIGN(double value, TakeNumber(rest));
  double step = 0;
  size_t times = 0;
  if (!rest.empty() && rest[0] != 'x') {
    PICKET_ASSIGN(step, TakeNumber(rest));
    if (rest.empty() || rest[0] != 'x') return Bad("a progression needs xN", item);
  }
  if (!rest.empty()) {
    PICKET_ASSIGN(times, TakeTimes(rest.substr(1)));
  }
  for (size_t i = 0; i <= times; ++i) {
    out.push_back({value, nullptr, false});
    value += step;
  }
  return {};
}

class HistogramParser {
 public:
  explicit HistogramParser(std::string_view text) : text_(text) {}

  Result<HistogramValue> Parse(bool& hint_written) {
    int32_t offset = 0;
    int32_t negative_offset = 0;
    for (;;) {
      text_ = Trim(text_);
      if (text_.empty()) break;
      const size_t colon = text_.find(':');
      if (colon == std::string_view::npos) return Bad("a property needs a value", text_);
      const std::string_view key = text_.substr(0, colon);
      text_.remove_prefix(colon + 1);
      if (key == "buckets") {
        PICKET_ASSIGN(h_.positive_buckets, List());
      } else if (key == "n_buckets") {
        PICKET_ASSIGN(h_.negative_buckets, List());
      } else if (key == "custom_values") {
        PICKET_ASSIGN(h_.custom_values, List());
      } else if (key == "counter_reset_hint") {
        hint_written = true;
        PICKET_TRY(Hint(Word()));
      } else {
        PICKET_ASSIGN(const double value, ParseDouble(Word()));
        if (key == "schema")
          h_.schema = static_cast<int32_t>(value);
        else if (key == "sum")
          h_.sum = value;
        else if (key == "count")
          h_.count = value;
        else if (key == "z_bucket")
          h_.zero_count = value;
        else if (key == "z_bucket_w")
          h_.zero_threshold = value;
        else if (key == "offset")
          offset = static_cast<int32_t>(value);
        else if (key == "n_offset")
          negative_offset = static_cast<int32_t>(value);
        else
          return Bad("unknown property", key);
      }
    }
    if (!h_.positive_buckets.empty())
      h_.positive_spans = {{offset, static_cast<uint32_t>(h_.positive_buckets.size())}};
    if (!h_.negative_buckets.empty())
      h_.negative_spans = {{negative_offset, static_cast<uint32_t>(h_.negative_buckets.size())}};
    return h_;
  }

 private:
  std::string_view Word() {
    const size_t end = std::min(text_.find_first_of(" \t"), text_.size());
    const std::string_view word = text_.substr(0, end);
    text_.remove_prefix(end);
    return word;
  }
  Result<std::vector<double>> List() {
    const size_t close = text_.find(']');
    if (!text_.starts_with('[') || close == std::string_view::npos)
      return Bad("a list needs brackets", text_);
    std::string_view inside = text_.substr(1, close - 1);
    text_.remove_prefix(close + 1);
    std::vector<double> out;
    for (const std::string_view word : Split(inside, ' ')) {
      if (Trim(word).empty()) continue;
      PICKET_ASSIGN(const double v, ParseDouble(Trim(word)));
      out.push_back(v);
    }
    return out;
  }
  Status Hint(std::string_view word) {
    using ResetHint = HistogramValue::ResetHint;
    if (word == "unknown")
      h_.hint = ResetHint::kUnknown;
    else if (word == "reset")
      h_.hint = ResetHint::kReset;
    else if (word == "not_reset")
      h_.hint = ResetHint::kNotReset;
    else if (word == "gauge")
      h_.hint = ResetHint::kGauge;
    else
      return Bad("unknown hint", word);
    return {};
  }

  std::string_view text_;
  HistogramValue h_;
};

/// The text inside the first {{...}}, taken off with its braces.
Result<std::string_view> TakeBraces(std::string_view& item) {
  const size_t close = item.find("}}");
  if (!item.starts_with("{{") || close == std::string_view::npos)
    return Bad("broken histogram", item);
  const std::string_view inside = item.substr(2, close - 2);
  item.remove_prefix(close + 2);
  return inside;
}

Status AppendHistograms(std::string_view item, std::vector<SlotValue>& out) {
  PICKET_ASSIGN(const std::string_view first, TakeBraces(item));
  bool hint_written = false;
  PICKET_ASSIGN(HistogramValue value, HistogramParser(first).Parse(hint_written));
  std::optional<HistogramValue> step;
  char sign = 0;
  if (!item.empty() && (item[0] == '+' || item[0] == '-')) {
    sign = item[0];
    item.remove_prefix(1);
    PICKET_ASSIGN(const std::string_view second, TakeBraces(item));
    PICKET_ASSIGN(step, HistogramParser(second).Parse(hint_written));
  }
  size_t times = 0;
  if (item.starts_with('x')) {
    PICKET_ASSIGN(times, TakeTimes(item.substr(1)));
  }
  for (size_t i = 0; i <= times; ++i) {
    out.push_back({std::nullopt, std::make_shared<const HistogramValue>(value), hint_written});
    if (!step) continue;
    const auto hint = value.hint;
    Combine(value, *step, sign == '-' ? -1 : 1);
    value.hint = hint;
  }
  return {};
}

/// The next item of a list: braces keep their blanks together.
std::string_view TakeItem(std::string_view& text) {
  size_t i = 0;
  while (i < text.size() && text[i] != ' ' && text[i] != '\t') {
    if (text.substr(i).starts_with("{{")) {
      const size_t close = text.find("}}", i);
      i = close == std::string_view::npos ? text.size() : close + 2;
    } else {
      ++i;
    }
  }
  const std::string_view item = text.substr(0, i);
  text = Trim(text.substr(i));
  return item;
}

}  // namespace

Result<Labels> ParseSeriesLabels(std::string_view text) {
  const std::string_view trimmed = Trim(text);
  if (trimmed == "{}") return Labels();
  // A selector of equalities says labels; what matches the empty string too is an absent label.
  auto parsed = ParseSelector(std::string(trimmed));
  if (!parsed && trimmed.ends_with("{}"))
    parsed = ParseSelector(std::string(trimmed.substr(0, trimmed.size() - 2)));
  if (!parsed) {
    // {a=""} has no matcher that is not empty.
    if (trimmed.find('{') == std::string_view::npos) return Fail(std::move(parsed).error());
    auto lenient = ParseSelector("x" + std::string(trimmed.substr(trimmed.find('{'))));
    if (!lenient) return Fail(std::move(parsed).error());
    parsed = std::move(lenient);
    std::erase_if(*parsed, [](const Matcher& m) { return m.name() == kMetricName; });
  }
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const Matcher& m : *parsed) {
    if (m.type() != Matcher::Type::kEqual)
      return Bad("a series has labels with =, not a condition", m.ToString());
    pairs.emplace_back(m.name(), m.value());
  }
  return Labels(std::move(pairs));
}

std::string HistogramNotation(const HistogramValue& histogram) {
  HistogramValue h = histogram;
  Compact(h);
  std::string out;
  const auto number = [&](const char* key, double v) {
    if (v != 0) out += fmt::format("{}{}:{}", out.empty() ? "" : " ", key, FormatFloat(v));
  };
  const auto list = [&](const char* key, const std::vector<double>& values) {
    if (values.empty()) return;
    out += fmt::format("{}{}:[", out.empty() ? "" : " ", key);
    for (size_t i = 0; i < values.size(); ++i) out += (i == 0 ? "" : " ") + FormatFloat(values[i]);
    out += "]";
  };
  // The gaps between spans are buckets without a count here.
  const auto side = [&](const char* offset, const char* key, const auto& spans,
                        const std::vector<double>& counts) {
    const SparseBuckets sparse = ToSparse(spans, counts);
    if (sparse.empty()) return;
    std::vector<double> dense;
    for (const auto& [index, count] : sparse) {
      dense.resize(static_cast<size_t>(index - sparse.front().first));
      dense.push_back(count);
    }
    number(offset, sparse.front().first);
    list(key, dense);
  };
  number("schema", h.schema);
  number("count", h.count);
  number("sum", h.sum);
  number("z_bucket", h.zero_count);
  number("z_bucket_w", h.zero_threshold);
  list("custom_values", h.custom_values);
  constexpr std::array<const char*, 4> kHints = {"", "reset", "not_reset", "gauge"};
  if (h.hint != HistogramValue::ResetHint::kUnknown)
    out += fmt::format("{}counter_reset_hint:{}", out.empty() ? "" : " ",
                       kHints[static_cast<size_t>(h.hint)]);
  side("offset", "buckets", h.positive_spans, h.positive_buckets);
  side("n_offset", "n_buckets", h.negative_spans, h.negative_buckets);
  return "{{" + out + "}}";
}

bool IsStartTimeLine(std::string_view line) {
  const size_t end = SelectorEnd(line);
  return line.substr(end).starts_with("@st") || line.substr(0, end).ends_with("@st");
}

Result<SeriesLine> ParseSeriesLine(std::string_view line) {
  const size_t end = SelectorEnd(line);
  SeriesLine out;
  PICKET_ASSIGN(out.labels, ParseSeriesLabels(line.substr(0, end)));
  std::string_view rest = Trim(line.substr(end));
  while (!rest.empty()) {
    const std::string_view item = TakeItem(rest);
    if (item == "stale") {
      out.values.push_back({StaleNan(), nullptr, false});
    } else if (item == "_") {
      out.values.emplace_back();
    } else if (item.starts_with("_x")) {
      PICKET_ASSIGN(const size_t n, TakeTimes(item.substr(2)));
      out.values.resize(out.values.size() + n);
    } else if (item.starts_with("{{")) {
      PICKET_TRY(AppendHistograms(item, out.values));
    } else {
      PICKET_TRY(AppendFloats(item, out.values));
    }
  }
  return out;
}

}  // namespace picket::rules::promql
