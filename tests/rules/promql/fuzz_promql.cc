// SPDX-License-Identifier: Apache-2.0
// Any text is parsed; what parses must print to itself and evaluate within tight limits.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "rules/promql/engine.h"
#include "rules/promql/json.h"
#include "rules/promql/memory_store.h"
#include "rules/promql/series_values.h"

namespace {

using namespace picket;
using namespace picket::rules::promql;

const MemoryStore& Store() {
  static const MemoryStore* store = [] {
    auto* out = new MemoryStore;
    for (const char* line : {"a_total{x=\"1\",y=\"a\"} 0+5x20 3+2x20",
                             "a_total{x=\"2\",y=\"b\"} 1 stale 4 _ 9 NaN Inf", "b{x=\"1\"} 1 2 3",
                             "h_bucket{le=\"1\"} 1x20", "h_bucket{le=\"+Inf\"} 5x20",
                             "n{x=\"1\"} {{schema:1 sum:3 count:4 buckets:[1 2 1]}}x10",
                             "n{x=\"2\"} {{schema:-53 sum:1 count:3 "
                             "custom_values:[5 10] buckets:[1 2]}}x10"}) {
      auto series = ParseSeriesLine(line);
      std::vector<MemoryStore::Sample> samples;
      for (size_t i = 0; i < series->values.size(); ++i)
        if (!series->values[i].omitted())
          samples.push_back({static_cast<int64_t>(i) * 60'000, series->values[i].value.value_or(0),
                             series->values[i].histogram});
      out->Append(series->labels, std::move(samples));
    }
    return out;
  }();
  return *store;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  auto expression = Parse(text, ParseOptions::Everything());
  if (!expression) {
    if (expression.error().position().line == 0) std::abort();  // every parse error has a place
    return 0;
  }
  const std::string printed = Print(**expression);
  auto again = Parse(printed, ParseOptions::Everything());
  if (!again || Print(**again) != printed) std::abort();
  Selectors(**expression);
  Reach(**expression);
  const Engine engine(EngineOptions{
      .timeout = Milliseconds(200), .max_samples = 2'000, .delayed_name_removal = true});
  for (const int64_t t : {int64_t{-1'000}, int64_t{600'000}})
    if (auto result = engine.Instant(**expression, Store(), t)) {
      std::string json;
      AppendJson(json, *result);
    }
  (void)engine.Range(**expression, Store(), 0, 600'000, Milliseconds(60'000));
  return 0;
}
