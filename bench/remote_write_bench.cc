// SPDX-License-Identifier: Apache-2.0
// Rows of 1,000 series, 55 % constant, 25 % integer counters, 10 % float counters, 10 % gauges, as
// in the end-to-end load.
#include <benchmark/benchmark.h>

#include <random>

#include "exporters/remote_write/encoder.h"

namespace picket::exporters::remote_write {
namespace {

class Load {
 public:
  explicit Load(size_t n) : values_(n) {
    for (SeriesId i = 0; i < n; ++i) ids_.push_back(i);
    for (auto& v : values_) v = static_cast<double>(random_() % 100'000);
  }
  void Register(Encoder& encoder) const {
    auto metadata = std::make_shared<MetricMetadata>(MetricMetadata{
        MetricType::kCounter, "app_http_requests_total", "Requests served by the handler.", ""});
    for (const SeriesId id : ids_)
      encoder.OnSeries(id,
                       Labels{{"__name__", "app_metric_" + std::to_string(id / 20) + "_total"},
                              {"job", "load"},
                              {"instance", "127.0.0.1:18080"},
                              {"handler", "/api/v1/resource/" + std::to_string(id % 20)},
                              {"method", id % 2 == 0 ? "GET" : "POST"},
                              {"code", id % 3 == 0 ? "200" : "500"}},
                       metadata);
  }
  SampleRow Next() {
    t_ += 10'000;
    for (size_t i = 0; i < values_.size(); ++i) {
      const size_t kind = i % 20;
      if (kind >= 11 && kind < 16) values_[i] += static_cast<double>(random_() % 50);
      if (kind >= 16 && kind < 18) values_[i] += static_cast<double>(random_() % 1000) / 997.0;
      if (kind >= 18) values_[i] = static_cast<double>(random_() % 1'000'000) / 1009.0;
    }
    return {1, 1, t_, ids_, values_};
  }

 private:
  std::mt19937_64 random_{1};
  UnixMs t_ = 1'763'000'000'000;
  std::vector<SeriesId> ids_;
  std::vector<double> values_;
};

// range(0): v2; range(1): series in a row. Below 500 the row is gathered into a batch.
void EncodeRow(benchmark::State& state) {
  uint64_t bytes = 0, samples = 0;
  EncoderOptions o;
  o.v2 = state.range(0) != 0;
  Encoder encoder(o,
                  [&](const EncodedRequest& r) { bytes += r.body.size(), samples += r.samples; });
  Load load(static_cast<size_t>(state.range(1)));
  load.Register(encoder);
  std::vector<SampleRow> rows;
  std::vector<std::vector<double>> values;
  for (int i = 0; i < 16; ++i) {
    const SampleRow row = load.Next();
    values.emplace_back(row.values.begin(), row.values.end());
    rows.push_back(row);
  }
  for (size_t i = 0; i < rows.size(); ++i) rows[i].values = values[i];
  size_t k = 0;
  for (auto _ : state) encoder.OnRow(rows[k++ % rows.size()]);
  encoder.Flush(Duration::max(), true);
  state.SetItemsProcessed(state.iterations() * state.range(1));
  state.counters["ns_per_sample"] =
      benchmark::Counter(static_cast<double>(state.iterations() * state.range(1)) * 1e-9,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.counters["wire_B_per_sample"] = static_cast<double>(bytes) / static_cast<double>(samples);
}
BENCHMARK(EncodeRow)
    ->ArgNames({"v2", "series"})
    ->Args({0, 1000})
    ->Args({1, 1000})
    ->Args({0, 100})
    ->Args({1, 100});

void NewSeries(benchmark::State& state) {
  EncoderOptions o;
  o.v2 = true;
  const Load load(1000);
  for (auto _ : state) {
    Encoder encoder(o, [](const EncodedRequest&) {});
    load.Register(encoder);
  }
  state.SetItemsProcessed(state.iterations() * 1000);
}
BENCHMARK(NewSeries);

}  // namespace
}  // namespace picket::exporters::remote_write

BENCHMARK_MAIN();
