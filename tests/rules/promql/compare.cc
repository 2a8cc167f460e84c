// SPDX-License-Identifier: Apache-2.0
#include "tests/rules/promql/compare.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "core/model/metrics.h"
#include "rules/promql/eval/histogram.h"
#include "rules/promql/eval/histogram_math.h"

namespace picket::rules::promql {

using Wrong = std::optional<std::string>;

bool Close(double a, double b) {
  if (IsStaleNan(a) || IsStaleNan(b)) return IsStaleNan(a) && IsStaleNan(b);
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  if (a == b) return true;
  constexpr double kEpsilon = 1e-6;
  const double difference = std::fabs(a - b);
  const double sum = std::fabs(a) + std::fabs(b);
  if (a == 0 || b == 0 || sum < std::numeric_limits<double>::min())
    return difference < kEpsilon * std::numeric_limits<double>::min();
  return difference / std::min(sum, std::numeric_limits<double>::max()) < kEpsilon;
}

bool CloseHistograms(const HistogramValue& x, const HistogramValue& y, bool hint) {
  HistogramValue a = x;
  HistogramValue b = y;
  Compact(a);
  Compact(b);
  const auto all = [](const std::vector<double>& p, const std::vector<double>& q) {
    return std::equal(p.begin(), p.end(), q.begin(), q.end(), Close);
  };
  return a.schema == b.schema && Close(a.zero_threshold, b.zero_threshold) &&
         Close(a.zero_count, b.zero_count) && Close(a.count, b.count) && Close(a.sum, b.sum) &&
         a.custom_values == b.custom_values && a.positive_spans == b.positive_spans &&
         a.negative_spans == b.negative_spans && all(a.positive_buckets, b.positive_buckets) &&
         all(a.negative_buckets, b.negative_buckets) && (!hint || a.hint == b.hint);
}

namespace {

std::string HistogramDump(const HistogramValue& h) {
  return fmt::format("schema {} zero {}@{} hint {} {}", h.schema, h.zero_count, h.zero_threshold,
                     static_cast<int>(h.hint), HistogramText(h));
}

Wrong ComparePoint(const SlotValue& expected, const double* value, const HistogramValue* histogram,
                   std::string_view at) {
  if (expected.histogram) {
    if (histogram == nullptr) return fmt::format("expected a histogram at {}", at);
    if (!CloseHistograms(*expected.histogram, *histogram, expected.hint_written))
      return fmt::format("expected {} at {}, got {}", HistogramDump(*expected.histogram), at,
                         HistogramDump(*histogram));
    return {};
  }
  if (value == nullptr)
    return fmt::format("expected {} at {}, got {}", *expected.value, at,
                       histogram != nullptr ? HistogramDump(*histogram) : "nothing");
  if (!Close(*expected.value, *value))
    return fmt::format("expected {} at {}, got {}", *expected.value, at, *value);
  return {};
}

Wrong CheckVector(const Eval& eval, const std::vector<VectorSample>& vector) {
  std::vector<bool> met(eval.series.size(), false);
  for (size_t i = 0; i < vector.size(); ++i) {
    const VectorSample& sample = vector[i];
    const std::string name = sample.labels.ToString();
    const auto it = std::find_if(eval.series.begin(), eval.series.end(),
                                 [&](const SeriesLine& s) { return s.labels == sample.labels; });
    if (it == eval.series.end()) return fmt::format("unexpected series {} {}", name, sample.value);
    const auto k = static_cast<size_t>(it - eval.series.begin());
    if (met[k]) return fmt::format("series {} twice", name);
    met[k] = true;
    if (eval.ordered && k != i) return fmt::format("{} expected at place {}, got {}", name, k, i);
    if (it->values.size() != 1) return "an instant expectation needs one value";
    if (auto wrong = ComparePoint(it->values[0], sample.histogram ? nullptr : &sample.value,
                                  sample.histogram.get(), name))
      return wrong;
  }
  for (size_t k = 0; k < met.size(); ++k)
    if (!met[k]) return fmt::format("series {} is missing", eval.series[k].labels.ToString());
  return {};
}

Wrong CheckMatrix(const std::vector<SeriesLine>& expected, const std::vector<MatrixSeries>& matrix,
                  int64_t start, int64_t step) {
  if (!std::is_sorted(
          matrix.begin(), matrix.end(),
          [](const MatrixSeries& a, const MatrixSeries& b) { return a.labels < b.labels; }))
    return "the result is not sorted by labels";
  std::vector<const SeriesLine*> wanted;
  for (const SeriesLine& line : expected)
    if (std::any_of(line.values.begin(), line.values.end(),
                    [](const SlotValue& v) { return !v.omitted(); }))
      wanted.push_back(&line);
  for (const MatrixSeries& series : matrix)
    if (std::none_of(wanted.begin(), wanted.end(),
                     [&](const SeriesLine* s) { return s->labels == series.labels; }))
      return fmt::format("unexpected series {} with {} points", series.labels.ToString(),
                         series.times_ms.size());
  for (const SeriesLine* line : wanted) {
    const auto it = std::find_if(matrix.begin(), matrix.end(),
                                 [&](const MatrixSeries& s) { return s.labels == line->labels; });
    if (it == matrix.end()) return fmt::format("series {} is missing", line->labels.ToString());
    size_t floats = 0;
    size_t histograms = 0;
    for (size_t i = 0; i < line->values.size(); ++i) {
      const int64_t t = start + static_cast<int64_t>(i) * step;
      if (line->values[i].omitted()) continue;
      const bool is_float = floats < it->times_ms.size() && it->times_ms[floats] == t;
      const bool is_histogram =
          histograms < it->histogram_times_ms.size() && it->histogram_times_ms[histograms] == t;
      if (auto wrong = ComparePoint(line->values[i], is_float ? &it->values[floats] : nullptr,
                                    is_histogram ? it->histograms[histograms].get() : nullptr,
                                    fmt::format("{} at {}", line->labels.ToString(), t)))
        return wrong;
      floats += is_float ? 1 : 0;
      histograms += is_histogram ? 1 : 0;
    }
    if (floats != it->times_ms.size() || histograms != it->histograms.size())
      return fmt::format("series {} has points that were not expected", line->labels.ToString());
  }
  return {};
}

Wrong CheckKind(const std::vector<Expectation>& expected, const std::vector<std::string>& actual,
                bool none, std::string_view kind) {
  if (none && !actual.empty()) return fmt::format("unexpected {}: {}", kind, actual.front());
  if (expected.empty()) return {};
  const auto fits = [](const Expectation& e, const std::string& text) {
    if (e.message) return *e.message == text;
    if (e.regex) return RE2::PartialMatch(text, *e.regex);
    return true;
  };
  for (const Expectation& e : expected)
    if (std::none_of(actual.begin(), actual.end(),
                     [&](const std::string& a) { return fits(e, a); }))
      return fmt::format("no {} as expected ({}), got {}", kind,
                         e.message.value_or(e.regex.value_or("any")),
                         actual.empty() ? "none" : actual.front());
  for (const std::string& a : actual)
    if (std::none_of(expected.begin(), expected.end(),
                     [&](const Expectation& e) { return fits(e, a); }))
      return fmt::format("{} that was not expected: {}", kind, a);
  return {};
}

}  // namespace

Wrong CheckResult(const Eval& eval, const QueryResult& result) {
  if (eval.text) {
    if (result.type != ValueType::kString) return "expected a string";
    if (result.string != *eval.text)
      return fmt::format("expected \"{}\", got \"{}\"", *eval.text, result.string);
    return {};
  }
  if (eval.scalar) {
    if (result.type != ValueType::kScalar) return "expected a scalar";
    if (!Close(*eval.scalar, result.scalar))
      return fmt::format("expected {}, got {}", *eval.scalar, result.scalar);
    return {};
  }
  if (eval.range_vector)
    return CheckMatrix(eval.series, result.matrix, eval.range_vector->start_ms,
                       eval.range_vector->step_ms);
  if (eval.range) return CheckMatrix(eval.series, result.matrix, eval.start_ms, eval.step_ms);
  if (result.type == ValueType::kScalar) return "got a scalar, expected a vector";
  return CheckVector(eval, result.vector);
}

Wrong CheckAnnotations(const Eval& eval, const QueryResult& result) {
  if (auto wrong = CheckKind(eval.warn, result.warnings, eval.no_warn, "warning")) return wrong;
  return CheckKind(eval.info, result.infos, eval.no_info, "info");
}

Wrong CheckFailure(const Eval& eval, const std::string& message) {
  if (!eval.fail) return "failed: " + message;
  if (eval.fail->message && *eval.fail->message != message)
    return fmt::format("expected the error \"{}\", got \"{}\"", *eval.fail->message, message);
  if (eval.fail->regex && !RE2::PartialMatch(message, *eval.fail->regex))
    return fmt::format("expected an error like \"{}\", got \"{}\"", *eval.fail->regex, message);
  return {};
}

}  // namespace picket::rules::promql
