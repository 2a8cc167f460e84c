// SPDX-License-Identifier: Apache-2.0
// The text formats of an exposition, read as slices of the body.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/model/metrics.h"

namespace picket::collectors::scrape {

enum class Format : uint8_t { kText, kOpenMetrics };

/// One label as it stands in the body, quotes removed, escapes kept. Ownership: views into the
/// body.
struct RawLabel {
  std::string_view name;
  std::string_view value;
};

/// The series part of a sample line. Ownership: views into the body.
struct RawSeries {
  std::string_view name;  ///< quotes removed, escapes kept
  std::span<const RawLabel> labels;
};

/// Appends a name or value with its escapes (\\ \" \n) resolved; any other backslash stays as it
/// is.
void AppendUnescaped(std::string& out, std::string_view raw);

/// Reads an exposition body entry by entry.
/// Accepts exactly what a Prometheus scrape accepts, so that a target that works there works here;
/// in OpenMetrics the semantic rules of the specification (units, ordering, counter values) are the
/// validator's matter, not a scrape's. Ownership: the body is borrowed; every view points into it.
/// Allocates only to grow its label array. Threads: one at a time. Cost: 50 to 70 ns a sample line.
/// Source: Prometheus exposition formats 0.0.4 (with quoted UTF-8 names); OpenMetrics 1.0.
class Parser {
 public:
  enum class Entry : uint8_t { kEnd, kSeries, kHelp, kType, kUnit, kComment, kError };

  Parser(std::string_view body, Format format) { Reset(body, format); }
  /// Begins anew and keeps what was allocated.
  void Reset(std::string_view body, Format format);

  /// The next entry. After kError or kEnd there is no next one.
  Entry Next();

  // Of the latest kSeries:
  RawSeries series() const { return {name_, labels_}; }
  /// From the start of the line to where the value begins, blanks included: what a following scrape
  /// can compare.
  std::string_view prefix() const { return {start_, static_cast<size_t>(value_start_ - start_)}; }
  /// The value as written.
  std::string_view value_text() const { return {value_start_, value_length_}; }
  double value() const { return value_; }
  bool has_timestamp() const { return has_timestamp_; }
  UnixMs timestamp_ms() const { return timestamp_ms_; }
  bool has_exemplar() const { return has_exemplar_; }

  // Of the latest kHelp, kType or kUnit:
  std::string_view family() const { return family_; }
  std::string_view text() const { return text_; }  ///< escapes kept
  /// What the latest TYPE said, whichever family it was about.
  MetricType type() const { return type_; }
  void set_type(MetricType type) { type_ = type; }

  /// Where the next entry starts. Seek puts the parser elsewhere in the same body, at the start of
  /// an entry.
  const char* position() const { return p_; }
  const char* end() const { return end_; }
  void Seek(const char* p) { p_ = p; }
  /// Only the value and what follows it, at `value`: used where a cache has recognised the series
  /// part at `start`. Yields kSeries (series() is then empty) or kError.
  Entry NextAfterPrefix(const char* start, const char* value);

  /// Why Next said kError, with line, column and an excerpt.
  Error error() const;

 private:
  Entry NextText();
  Entry NextTextComment();
  Entry NextOpenMetrics();
  Entry NextOpenMetricsComment();
  Entry Metadata(std::string_view keyword, std::string_view text);
  bool ParseFamily();
  bool ParseSeries();
  bool ParseLabels(bool exemplar);
  bool ParseQuoted(std::string_view& out, bool newline_allowed);
  bool ParseTextSuffix();
  bool ParseOpenMetricsSuffix();
  bool ParseFloatToken(double& value);
  bool ParseOpenMetricsTimestamp(UnixMs* out);
  void SkipBlanks() {
    while (p_ < end_ && (*p_ == ' ' || *p_ == '\t')) ++p_;
  }
  bool Wrong(const char* expected) {
    expected_ = expected;
    return false;
  }
  char Peek() const { return p_ < end_ ? *p_ : '\0'; }

  const char* begin_ = nullptr;
  const char* p_ = nullptr;
  const char* end_ = nullptr;
  const char* start_ = nullptr;  // of the entry
  const char* value_start_ = nullptr;
  size_t value_length_ = 0;
  Format format_ = Format::kText;
  MetricType type_ = MetricType::kUnknown;
  bool has_timestamp_ = false;
  bool has_exemplar_ = false;
  double value_ = 0;
  UnixMs timestamp_ms_ = 0;
  std::string_view name_;
  std::string_view family_;
  std::string_view text_;
  std::vector<RawLabel> labels_;
  const char* expected_ = nullptr;  // the cause of kError
};

}  // namespace picket::collectors::scrape
