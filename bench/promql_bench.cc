// SPDX-License-Identifier: Apache-2.0
// The query shapes of the table "Rules and queries": 241 steps over 2,400 series (8,000 buckets for
// the quantile), the whole answer as JSON; and instant rules over more series. The store is in
// memory, its samples decoded: what is measured is the engine, not the decoding.
#include <benchmark/benchmark.h>

#include <deque>
#include <random>
#include <string>

#include "rules/promql/engine.h"
#include "rules/promql/json.h"

namespace {

using namespace picket;
using namespace picket::rules::promql;

constexpr int64_t kScrape = 15'000;
constexpr size_t kSamples = 520;  // 2 h and the first windows

/// Metrics by name, each a list of series with shared timestamps.
class BenchStore final : public Querier {
 public:
  BenchStore() {
    for (size_t i = 0; i < kSamples; ++i) times_.push_back(static_cast<int64_t>(i) * kScrape);
    Counters("a_total", 2400, {});
    Counters("b_total", 2400, {});
    Targets("target_labels", 100);
    Buckets("h_bucket", 8000);
    Counters("rule_total", 76'896, {});
  }

  Result<std::unique_ptr<SeriesSet>> Select(std::span<const Matcher> matchers, UnixMs min_ms,
                                            UnixMs max_ms) const override {
    struct Set final : SeriesSet {
      std::span<const SeriesColumns> series() const override { return list; }
      std::vector<SeriesColumns> list;
    };
    auto set = std::make_unique<Set>();
    const auto begin = std::lower_bound(times_.begin(), times_.end(), min_ms) - times_.begin();
    const auto end = std::upper_bound(times_.begin(), times_.end(), max_ms) - times_.begin();
    const auto count = static_cast<size_t>(std::max<std::ptrdiff_t>(0, end - begin));
    for (const auto& [name, list] : metrics_) {
      if (!std::all_of(matchers.begin(), matchers.end(), [&](const Matcher& m) {
            return m.name() != kMetricName || m.Matches(name);
          }))
        continue;
      set->list.reserve(list.size());
      for (const Series& s : list) {
        SeriesColumns columns;
        columns.labels = &s.labels;
        columns.times_ms = std::span(times_).subspan(static_cast<size_t>(begin), count);
        columns.values = std::span(s.values).subspan(static_cast<size_t>(begin), count);
        set->list.push_back(columns);
      }
    }
    return set;
  }
  std::vector<Labels> SelectLabels(std::span<const Matcher>, UnixMs, UnixMs) const override {
    return {};
  }
  std::vector<std::string> LabelNames(std::span<const Matcher>) const override { return {}; }
  std::vector<std::string> LabelValues(std::string_view, std::span<const Matcher>) const override {
    return {};
  }
  std::vector<std::shared_ptr<const MetricMetadata>> Metadata() const override { return {}; }
  UnixMs OldestMs() const override { return 0; }

 private:
  struct Series {
    Labels labels;
    std::vector<double> values;
  };

  std::vector<double> Rising(double step) {
    std::vector<double> out;
    double v = 0;
    for (size_t i = 0; i < kSamples; ++i)
      out.push_back(v += std::floor(step * static_cast<double>(random_() % 100)));
    return out;
  }
  void Counters(const std::string& name, size_t count, const std::string&) {
    auto& list = metrics_[name];
    for (size_t i = 0; i < count; ++i)
      list.push_back({Labels({{"__name__", name},
                              {"instance", "10.0.0." + std::to_string(i % 100) + ":8080"},
                              {"job", "shop"},
                              {"path", "/api/v1/items/" + std::to_string(i / 100)},
                              {"code", i % 10 == 0 ? "500" : "200"}}),
                      Rising(1)});
  }
  void Targets(const std::string& name, size_t count) {
    auto& list = metrics_[name];
    for (size_t i = 0; i < count; ++i)
      list.push_back({Labels({{"__name__", name},
                              {"instance", "10.0.0." + std::to_string(i % 100) + ":8080"},
                              {"node", "node-" + std::to_string(i / 10)}}),
                      std::vector<double>(kSamples, 1.0)});
  }
  void Buckets(const std::string& name, size_t count) {
    auto& list = metrics_[name];
    constexpr const char* kBounds[] = {"0.005", "0.01", "0.05", "0.1", "0.5", "1", "5", "+Inf"};
    for (size_t i = 0; i < count / 8; ++i) {
      std::vector<double> total(kSamples, 0);
      for (const char* le : kBounds) {
        const std::vector<double> more = Rising(0.2);
        for (size_t k = 0; k < kSamples; ++k) total[k] += more[k];
        list.push_back({Labels({{"__name__", name},
                                {"instance", "10.0.0." + std::to_string(i % 100) + ":8080"},
                                {"path", "/" + std::to_string(i / 100)},
                                {"le", le}}),
                        total});
      }
    }
  }

  std::mt19937_64 random_{1};
  std::vector<UnixMs> times_;
  std::map<std::string, std::deque<Series>> metrics_;
};

const BenchStore& Store() {
  static const BenchStore store;
  return store;
}

void Range(benchmark::State& state, const std::string& query) {
  auto expression = Parse(query);
  const Engine engine;
  Store();
  const UnixMs end = static_cast<int64_t>(kSamples - 1) * kScrape;
  size_t bytes = 0;
  for (auto _ : state) {
    auto result =
        engine.Range(**expression, Store(), end - 240 * 30'000, end, Milliseconds(30'000));
    if (!result) state.SkipWithError(result.error().message().c_str());
    std::string json;
    AppendJson(json, *result);
    bytes = json.size();
  }
  state.counters["answer_bytes"] = static_cast<double>(bytes);
}

void Instant(benchmark::State& state, const std::string& query) {
  auto expression = Parse(query);
  const Engine engine;
  const UnixMs end = static_cast<int64_t>(kSamples - 1) * kScrape;
  uint64_t results = 0;
  for (auto _ : state) {
    auto result = engine.Instant(**expression, Store(), end);
    if (!result) state.SkipWithError(result.error().message().c_str());
    results = result->vector.size();
  }
  state.counters["results"] = static_cast<double>(results);
}

void ParseOnly(benchmark::State& state) {
  for (auto _ : state)
    benchmark::DoNotOptimize(
        Parse("histogram_quantile(0.99, sum by (le, job) "
              "(rate(http_request_duration_seconds_bucket{job=~\"a|b\"}[5m])))"));
}

}  // namespace

BENCHMARK_CAPTURE(Range, selector, "a_total")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Range, sum_by, "sum by (instance) (a_total)")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Range, rate, "rate(a_total[1m])")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Range, sum_by_rate, "sum by (instance) (rate(a_total[1m]))")
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Range, division, "a_total / b_total")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Range, group_left, "a_total * on (instance) group_left (node) target_labels")
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Range, histogram_quantile, "histogram_quantile(0.9, h_bucket)")
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Instant, rule_sum_by_rate, "sum by (instance, code) (rate(rule_total[5m]))")
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Instant, rule_small, "sum by (code) (rate(a_total[5m]))")
    ->Unit(benchmark::kMillisecond);
BENCHMARK(ParseOnly)->Unit(benchmark::kMicrosecond);

BENCHMARK_MAIN();
