// SPDX-License-Identifier: Apache-2.0
#include "collectors/scrape/parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "collectors/scrape/number.h"
#include "core/base/strings.h"

namespace picket::collectors::scrape {
namespace {

enum : uint8_t { kLabelStart = 1, kLabelRest = 2, kNameStart = 4, kNameRest = 8 };

constexpr std::array<uint8_t, 256> MakeClasses() {
  std::array<uint8_t, 256> c{};
  for (int i = 'a'; i <= 'z'; ++i)
    c[i] = c[i - 32] = kLabelStart | kLabelRest | kNameStart | kNameRest;
  c['_'] = kLabelStart | kLabelRest | kNameStart | kNameRest;
  c[':'] = kNameStart | kNameRest;
  for (int i = '0'; i <= '9'; ++i) c[i] = kLabelRest | kNameRest;
  return c;
}
constexpr std::array<uint8_t, 256> kClasses = MakeClasses();

bool Is(char c, uint8_t mask) { return (kClasses[static_cast<unsigned char>(c)] & mask) != 0; }

bool IsBlank(char c) { return c == ' ' || c == '\t'; }

/// The first byte from `p` on that ends or complicates a quoted text: a quote, backslash, line end
/// or non-ASCII byte.
const char* SkipPlain(const char* p, const char* end) {
#ifdef __SSE2__
  for (; end - p >= 16; p += 16) {
    const __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m128i special = _mm_or_si128(
        _mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8('"')), _mm_cmpeq_epi8(x, _mm_set1_epi8('\\'))),
        _mm_cmpeq_epi8(x, _mm_set1_epi8('\n')));
    const auto mask = static_cast<unsigned>(_mm_movemask_epi8(_mm_or_si128(special, x)));
    if (mask != 0) return p + std::countr_zero(mask);
  }
#endif
  while (p < end && *p != '"' && *p != '\\' && *p != '\n' && *p >= 0) ++p;
  return p;
}

MetricType TypeFromText(std::string_view text, Format format, bool& known) {
  known = true;
  if (text == "counter") return MetricType::kCounter;
  if (text == "gauge") return MetricType::kGauge;
  if (text == "histogram") return MetricType::kHistogram;
  if (text == "summary") return MetricType::kSummary;
  if (format == Format::kText) {
    known = text == "untyped";
    return MetricType::kUnknown;
  }
  if (text == "gaugehistogram") return MetricType::kGaugeHistogram;
  if (text == "info") return MetricType::kInfo;
  if (text == "stateset") return MetricType::kStateset;
  known = text == "unknown";
  return MetricType::kUnknown;
}

}  // namespace

void AppendUnescaped(std::string& out, std::string_view raw) {
  while (true) {
    const size_t i = raw.find('\\');
    if (i == std::string_view::npos || i + 1 >= raw.size()) break;
    out.append(raw.substr(0, i));
    const char c = raw[i + 1];
    if (c == 'n') {
      out += '\n';
    } else if (c == '\\' || c == '"') {
      out += c;
    } else {
      out += '\\';
      out += c;
    }
    raw.remove_prefix(i + 2);
  }
  out.append(raw);
}

void Parser::Reset(std::string_view body, Format format) {
  begin_ = p_ = start_ = value_start_ = body.data();
  end_ = body.data() + body.size();
  format_ = format;
  type_ = MetricType::kUnknown;
  expected_ = nullptr;
}

Parser::Entry Parser::Next() { return format_ == Format::kText ? NextText() : NextOpenMetrics(); }

Parser::Entry Parser::NextAfterPrefix(const char* start, const char* value) {
  start_ = start;
  p_ = value_start_ = value;
  name_ = {};
  labels_.clear();
  const bool ok = format_ == Format::kText ? ParseTextSuffix() : ParseOpenMetricsSuffix();
  return ok ? Entry::kSeries : Entry::kError;
}

Parser::Entry Parser::NextText() {
  while (true) {
    start_ = p_;
    SkipBlanks();
    if (p_ == end_) return Entry::kEnd;
    if (*p_ != '\n') break;
    ++p_;
  }
  if (*p_ == '#') return NextTextComment();
  start_ = p_;
  if (!ParseSeries()) return Entry::kError;
  SkipBlanks();
  value_start_ = p_;
  return ParseTextSuffix() ? Entry::kSeries : Entry::kError;
}

Parser::Entry Parser::NextTextComment() {
  const char* line_end = static_cast<const char*>(memchr(p_, '\n', end_ - p_));
  const char* const next = line_end ? line_end + 1 : end_;
  if (!line_end) line_end = end_;
  ++p_;
  const char* keyword = p_;
  while (keyword < line_end && IsBlank(*keyword)) ++keyword;
  const std::string_view rest(keyword, line_end - keyword);
  const bool metadata = keyword > p_ && rest.size() > 4 && IsBlank(rest[4]) &&
                        (rest.starts_with("HELP") || rest.starts_with("TYPE"));
  if (!metadata) {
    p_ = next;
    return Entry::kComment;
  }
  p_ = keyword + 4;
  SkipBlanks();
  if (!ParseFamily()) return Entry::kError;
  std::string_view text;
  if (p_ < line_end) {
    text = std::string_view(p_ + 1, line_end - p_ - 1);
    if (text.find_first_not_of(" \t") == std::string_view::npos && IsBlank(*p_)) text = {};
  }
  const Entry entry = Metadata(rest.substr(0, 4), text);
  if (entry != Entry::kError) p_ = next;
  return entry;
}

Parser::Entry Parser::NextOpenMetrics() {
  start_ = p_;
  if (p_ == end_) return Wrong("the body to end with \"# EOF\""), Entry::kError;
  if (*p_ == '#') return NextOpenMetricsComment();
  if (!ParseSeries()) return Entry::kError;
  if (Peek() != ' ') return Wrong("a space and a value after the series"), Entry::kError;
  value_start_ = ++p_;
  return ParseOpenMetricsSuffix() ? Entry::kSeries : Entry::kError;
}

Parser::Entry Parser::NextOpenMetricsComment() {
  const std::string_view rest(p_, end_ - p_);
  if (rest.starts_with("# EOF")) {
    p_ += 5;
    if (Peek() == '\n') ++p_;
    if (p_ != end_) return Wrong("nothing after \"# EOF\""), Entry::kError;
    return Entry::kEnd;
  }
  if (!rest.starts_with("# HELP ") && !rest.starts_with("# TYPE ") &&
      !rest.starts_with("# UNIT ")) {
    return Wrong("HELP, TYPE, UNIT or EOF after \"# \""), Entry::kError;
  }
  p_ += 7;
  if (!ParseFamily()) return Entry::kError;
  if (Peek() != ' ') return Wrong("a space and a text after the metric name"), Entry::kError;
  const char* line_end = static_cast<const char*>(memchr(p_, '\n', end_ - p_));
  if (!line_end) return p_ = end_, Wrong("a line end after the metadata"), Entry::kError;
  const Entry entry = Metadata(rest.substr(2, 4), std::string_view(p_ + 1, line_end - p_ - 1));
  if (entry != Entry::kError) p_ = line_end + 1;
  return entry;
}

Parser::Entry Parser::Metadata(std::string_view keyword, std::string_view text) {
  text_ = text;
  if (keyword == "TYPE") {
    bool known = false;
    const MetricType type = TypeFromText(text, format_, known);
    if (!known) return Wrong("a metric type"), Entry::kError;
    type_ = type;
    return Entry::kType;
  }
  if (keyword == "HELP") {
    if (!IsValidUtf8(text)) return Wrong("a help text in valid UTF-8"), Entry::kError;
    return Entry::kHelp;
  }
  const bool fits = text.empty() || (family_.size() > text.size() && family_.ends_with(text) &&
                                     family_[family_.size() - text.size() - 1] == '_');
  if (!fits) return Wrong("a unit that the metric name ends with"), Entry::kError;
  return Entry::kUnit;
}

bool Parser::ParseFamily() {
  if (Peek() == '"') return ParseQuoted(family_, true);
  const char* const first = p_;
  if (!Is(Peek(), kNameStart)) return Wrong("a metric name");
  while (p_ < end_ && Is(*p_, kNameRest)) ++p_;
  family_ = std::string_view(first, p_ - first);
  return true;
}

bool Parser::ParseSeries() {
  labels_.clear();
  const char* const first = p_;
  if (Peek() == '{') {
    name_ = {};
    ++p_;
    if (!ParseLabels(false)) return false;
    return name_.data() ? true : Wrong("a metric name in the braces");
  }
  if (!Is(Peek(), kNameStart)) return Wrong("a metric name");
  while (p_ < end_ && Is(*p_, kNameRest)) ++p_;
  name_ = std::string_view(first, p_ - first);
  if (format_ == Format::kText) SkipBlanks();
  if (Peek() != '{') return true;
  ++p_;
  return ParseLabels(false);
}

// Past the opening brace; ends behind the closing one. A quoted string that no "=" follows is the
// metric name.
bool Parser::ParseLabels(bool exemplar) {
  const bool text = format_ == Format::kText;
  while (true) {
    if (text) SkipBlanks();
    if (Peek() == '}') return ++p_, true;
    RawLabel label;
    const bool quoted = Peek() == '"';
    if (quoted) {
      if (!ParseQuoted(label.name, !exemplar)) return false;
    } else {
      const char* const first = p_;
      if (!Is(Peek(), kLabelStart)) return Wrong("a label name");
      while (p_ < end_ && Is(*p_, kLabelRest)) ++p_;
      label.name = std::string_view(first, p_ - first);
    }
    if (text) SkipBlanks();
    if (quoted && !exemplar && (Peek() == ',' || Peek() == '}')) {
      if (name_.data()) return Wrong("one metric name");
      name_ = label.name;
      if (*p_++ == '}') return true;
      continue;
    }
    if (Peek() != '=') return Wrong("\"=\" after the label name");
    ++p_;
    if (text) SkipBlanks();
    if (Peek() != '"') return Wrong("a quoted label value");
    if (!ParseQuoted(label.value, text)) return false;
    if (!exemplar) labels_.push_back(label);
    if (text) SkipBlanks();
    if (Peek() == ',') {
      ++p_;
    } else if (!text && Peek() != '}') {
      return Wrong("\",\" or \"}\" after the label value");
    }
  }
}

bool Parser::ParseQuoted(std::string_view& out, bool newline_allowed) {
  const char* const first = ++p_;
  bool ascii = true;
  for (p_ = SkipPlain(p_, end_); p_ < end_; p_ = SkipPlain(p_ + 1, end_)) {
    const char c = *p_;
    if (c == '"') break;
    if (c == '\\') {
      if (p_ + 1 >= end_ || p_[1] == '\n') return Wrong("a character after the backslash");
      ascii = ascii && p_[1] >= 0;
      ++p_;
    } else if (c == '\n' && !newline_allowed) {
      return Wrong("a closing quote on this line");
    } else if (c < 0) {
      ascii = false;
    }
  }
  if (p_ >= end_) return p_ = end_, Wrong("a closing quote");
  out = std::string_view(first, p_ - first);
  ++p_;
  if (!ascii && !IsValidUtf8(out)) return p_ = first, Wrong("valid UTF-8");
  return true;
}

bool Parser::ParseFloatToken(double& value) {
  const char* const first = p_;
  if (const char* stop = ParsePlainNumber(p_, end_, value)) {
    if (*stop != '\t' || format_ == Format::kText) {
      p_ = stop;
      return true;
    }
  }
  const bool text = format_ == Format::kText;
  const char* stop = p_;
  while (stop < end_ && *stop != ' ' && *stop != '\n' &&
         !(text && (*stop == '\t' || *stop == '{'))) {
    ++stop;
  }
  if (stop == first) return Wrong("a value");
  const std::optional<double> parsed = ParseFloat(std::string_view(first, stop - first));
  if (!parsed) return Wrong("a number");
  value = *parsed;
  p_ = stop;
  return true;
}

bool Parser::ParseTextSuffix() {
  if (!ParseFloatToken(value_)) return false;
  value_length_ = p_ - value_start_;
  has_timestamp_ = has_exemplar_ = false;
  SkipBlanks();
  if (p_ < end_ && *p_ >= '0' && *p_ <= '9') {
    const auto [stop, code] = std::from_chars(p_, end_, timestamp_ms_);
    if (code != std::errc()) return Wrong("a timestamp in milliseconds");
    p_ = stop;
    has_timestamp_ = true;
    SkipBlanks();
  }
  if (p_ == end_) return true;
  if (*p_ != '\n')
    return Wrong(has_timestamp_ ? "the line to end" : "a timestamp or the line to end");
  ++p_;
  return true;
}

bool Parser::ParseOpenMetricsTimestamp(UnixMs* out) {
  double seconds = 0;
  const char* const first = p_;
  if (!ParseFloatToken(seconds)) return false;
  if (!std::isfinite(seconds)) return p_ = first, Wrong("a finite timestamp");
  if (out) *out = static_cast<UnixMs>(std::clamp(seconds * 1000, -9.2e18, 9.2e18));
  return true;
}

bool Parser::ParseOpenMetricsSuffix() {
  if (!ParseFloatToken(value_)) return false;
  value_length_ = p_ - value_start_;
  has_timestamp_ = has_exemplar_ = false;
  const auto at_exemplar = [&] { return std::string_view(p_, end_ - p_).starts_with(" # {"); };
  if (Peek() == ' ' && !at_exemplar()) {
    ++p_;
    if (!ParseOpenMetricsTimestamp(&timestamp_ms_)) return false;
    has_timestamp_ = true;
  }
  if (at_exemplar()) {
    has_exemplar_ = true;
    p_ += 4;
    double ignored = 0;
    if (!ParseLabels(true)) return false;
    if (Peek() != ' ') return Wrong("a space and a value after the exemplar's labels");
    ++p_;
    if (!ParseFloatToken(ignored)) return false;
    if (Peek() == ' ') {
      ++p_;
      if (!ParseOpenMetricsTimestamp(nullptr)) return false;
    }
  }
  if (p_ >= end_) return Wrong("a line end and \"# EOF\"");
  if (*p_ != '\n') return Wrong("the line to end");
  ++p_;
  return true;
}

Error Parser::error() const {
  const char* const at = std::min(p_, end_);
  const char* line_start = at;
  while (line_start > begin_ && line_start[-1] != '\n') --line_start;
  const int line = 1 + static_cast<int>(std::count(begin_, line_start, '\n'));
  const int column = 1 + static_cast<int>(at - line_start);
  const char* line_end = at;
  while (line_end < end_ && *line_end != '\n') ++line_end;
  const std::string got = at == end_ ? "the end of the body"
                          : *at == '\n'
                              ? "the end of the line"
                              : JsonQuote(std::string_view(at, std::min<size_t>(8, line_end - at)));
  const std::string_view excerpt(line_start, std::min<size_t>(120, line_end - line_start));
  return Error(ErrorKind::kInvalidArgument,
               fmt::format("line {}, column {}: expected {}, got {}, in {}", line, column,
                           expected_ ? expected_ : "an entry", got, JsonQuote(excerpt)))
      .At({{}, line, column});
}

}  // namespace picket::collectors::scrape
