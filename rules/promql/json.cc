// SPDX-License-Identifier: Apache-2.0
#include "rules/promql/json.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "core/base/strings.h"
#include "rules/promql/eval/histogram.h"

namespace picket::rules::promql {
namespace {

template <class T>
void AppendInteger(std::string& out, T value) {
  char buffer[24];
  out.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr);
}

/// Most values are whole numbers, which need no search for the shortest form.
void AppendFloat(std::string& out, double value) {
  if (std::fabs(value) < 1e15 && value == std::trunc(value) &&
      !(value == 0 && std::signbit(value))) {
    AppendInteger(out, static_cast<int64_t>(value));
    return;
  }
  const double magnitude = std::fabs(value);
  if (!(magnitude >= 1e-6 && magnitude < 1e21)) {
    out += FormatFloat(value);
    return;
  }
  char buffer[64];
  out.append(buffer,
             std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed).ptr);
}

/// Seconds with as many decimals as the milliseconds need.
void AppendTime(std::string& out, UnixMs ms) {
  if (ms < 0) out += '-';
  const uint64_t magnitude = ms < 0 ? 0 - static_cast<uint64_t>(ms) : static_cast<uint64_t>(ms);
  AppendInteger(out, magnitude / 1000);
  if (const auto fraction = static_cast<unsigned>(magnitude % 1000); fraction != 0) {
    out += '.';
    out += static_cast<char>('0' + fraction / 100);
    out += static_cast<char>('0' + fraction / 10 % 10);
    out += static_cast<char>('0' + fraction % 10);
    while (out.back() == '0') out.pop_back();
  }
}

void AppendPoint(std::string& out, UnixMs ms, double value) {
  out += '[';
  AppendTime(out, ms);
  out += ",\"";
  AppendFloat(out, value);
  out += "\"]";
}

/// [rule, lower, upper, count]; rule 0: left-open, 1: right-open, 2: open, 3: closed.
void AppendHistogram(std::string& out, UnixMs ms, const HistogramValue& histogram) {
  out += '[';
  AppendTime(out, ms);
  out += ",{\"count\":\"" + FormatFloat(histogram.count) + "\",\"sum\":\"" +
         FormatFloat(histogram.sum) + '"';
  bool first = true;
  ForEachBucket(histogram, [&](const HistogramBucket& b) {
    if (b.count == 0) return;
    const int rule = b.lower_closed ? (b.upper_closed ? 3 : 1) : (b.upper_closed ? 0 : 2);
    out += first ? ",\"buckets\":[" : ",";
    first = false;
    out += fmt::format("[{},\"{}\",\"{}\",\"{}\"]", rule, FormatFloat(b.lower),
                       FormatFloat(b.upper), FormatFloat(b.count));
  });
  out += first ? "}]" : "]}]";
}

void AppendSeries(std::string& out, const MatrixSeries& series) {
  out += "{\"metric\":" + series.labels.ToJson();
  if (!series.times_ms.empty()) {
    out += ",\"values\":[";
    for (size_t i = 0; i < series.times_ms.size(); ++i) {
      if (i > 0) out += ',';
      AppendPoint(out, series.times_ms[i], series.values[i]);
    }
    out += ']';
  }
  if (!series.histograms.empty()) {
    out += ",\"histograms\":[";
    for (size_t i = 0; i < series.histograms.size(); ++i) {
      if (i > 0) out += ',';
      AppendHistogram(out, series.histogram_times_ms[i], *series.histograms[i]);
    }
    out += ']';
  }
  out += '}';
}

void AppendSample(std::string& out, const VectorSample& sample, UnixMs ms) {
  out += "{\"metric\":" + sample.labels.ToJson();
  if (sample.histogram) {
    out += ",\"histogram\":";
    AppendHistogram(out, ms, *sample.histogram);
  } else {
    out += ",\"value\":";
    AppendPoint(out, ms, sample.value);
  }
  out += '}';
}

}  // namespace

void AppendJson(std::string& out, const QueryResult& result) {
  out += fmt::format("\"resultType\":\"{}\",\"result\":", ValueTypeName(result.type));
  switch (result.type) {
    case ValueType::kScalar:
      AppendPoint(out, result.time_ms, result.scalar);
      return;
    case ValueType::kString:
      out += '[';
      AppendTime(out, result.time_ms);
      out += ',';
      AppendJsonQuoted(out, result.string);
      out += ']';
      return;
    default:
      break;
  }
  out += '[';
  bool first = true;
  for (const VectorSample& sample : result.vector) {
    if (!first) out += ',';
    first = false;
    AppendSample(out, sample, result.time_ms);
  }
  for (const MatrixSeries& series : result.matrix) {
    if (!first) out += ',';
    first = false;
    AppendSeries(out, series);
  }
  out += ']';
}

}  // namespace picket::rules::promql
