// SPDX-License-Identifier: Apache-2.0
// Speaks of series and queries, so that a case reads as a story.
#pragma once
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "rules/promql/engine.h"
#include "rules/promql/json.h"
#include "rules/promql/memory_store.h"
#include "rules/promql/series_values.h"

namespace picket::rules::promql {

class PromqlTest : public ::testing::Test {
 protected:
  /// One sample every `step_ms` from 0 on: Load("up{job=\"a\"} 1 0 1").
  void Load(std::string_view line, int64_t step_ms = 60'000) {
    auto series = ParseSeriesLine(line);
    ASSERT_TRUE(series) << series.error().ToString();
    std::vector<MemoryStore::Sample> samples;
    for (size_t i = 0; i < series->values.size(); ++i)
      if (const SlotValue& slot = series->values[i]; !slot.omitted())
        samples.push_back(
            {static_cast<int64_t>(i) * step_ms, slot.value.value_or(0), slot.histogram});
    store_.Append(series->labels, std::move(samples));
  }

  Result<QueryResult> Query(std::string_view text, UnixMs t) {
    PICKET_ASSIGN(const ExpressionPtr expression, Parse(text, ParseOptions::Everything()));
    return engine_.Instant(*expression, store_, t);
  }
  Result<QueryResult> QueryRange(std::string_view text, UnixMs start, UnixMs end, int64_t step_ms) {
    PICKET_ASSIGN(const ExpressionPtr expression, Parse(text, ParseOptions::Everything()));
    return engine_.Range(*expression, store_, start, end, Milliseconds(step_ms));
  }
  /// The answer as the API's JSON, or the error.
  std::string Answer(std::string_view text, UnixMs t) { return Text(Query(text, t)); }
  std::string AnswerRange(std::string_view text, UnixMs start, UnixMs end, int64_t step_ms) {
    return Text(QueryRange(text, start, end, step_ms));
  }
  static std::string Text(const Result<QueryResult>& result) {
    if (!result) return result.error().ToString();
    std::string out;
    AppendJson(out, *result);
    return out;
  }

  MemoryStore store_;
  Engine engine_;
};

}  // namespace picket::rules::promql
