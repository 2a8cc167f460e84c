// SPDX-License-Identifier: Apache-2.0
// The store on the mix of promql-rules.md 5c: 55 % constant, 25 % integer counters, 10 % float
// counters, 10 % gauges.
#include <benchmark/benchmark.h>
#include <malloc.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "store/tsdb/tsdb.h"

namespace picket::store::tsdb {
namespace {

using Rng = std::mt19937_64;

/// Targets whose rows are prepared beforehand, so that only the store is measured.
struct Load {
  struct Target {
    SourceId source;
    std::vector<SeriesId> ids;
    std::vector<std::vector<double>> rows;
  };
  std::vector<Target> targets;

  static std::vector<std::vector<double>> Rows(size_t series, size_t rows, uint64_t seed,
                                               bool full_precision) {
    Rng rng(seed);
    std::vector<double> now(series);
    for (size_t i = 0; i < series; ++i) now[i] = static_cast<double>(rng() % 1'000'000);
    std::vector<std::vector<double>> out;
    std::uniform_real_distribution<double> uniform(0, 1);
    for (size_t r = 0; r < rows; ++r) {
      for (size_t i = 0; i < series; ++i) {
        const size_t kind = (i * 37) % 100;
        if (kind < 55) continue;
        if (kind < 80)
          now[i] += static_cast<double>(rng() % 200);
        else if (kind < 90)
          now[i] += full_precision ? uniform(rng) * 10 : static_cast<double>(rng() % 1000) / 100;
        else
          now[i] = full_precision ? uniform(rng) * 100 : static_cast<double>(rng() % 10'000) / 100;
      }
      out.push_back(now);
    }
    return out;
  }
};

std::unique_ptr<Tsdb> OpenStore(const std::string& dir, const Clock& clock) {
  TsdbOptions options;
  options.data_dir = dir;
  options.clock = &clock;
  options.config.max_bytes = Bytes(uint64_t{2} << 30);
  return *Tsdb::Open(std::move(options));
}

Labels SeriesLabels(size_t target, size_t i) {
  const std::string instance = "10.0.0." + std::to_string(target) + ":9100";
  return Labels{{"__name__", "metric_" + std::to_string(i / 10)},
                {"instance", instance},
                {"job", "node"},
                {"namespace", "shop"},
                {"pod", "pod-" + std::to_string(target)},
                {"node", "worker-1"},
                {"mode", "mode_" + std::to_string(i % 10)}};
}

Load Fill(Tsdb& store, size_t targets, size_t series) {
  Load load;
  for (size_t t = 0; t < targets; ++t) {
    Load::Target target{store.OpenSource("target " + std::to_string(t)), {}, {}};
    for (size_t i = 0; i < series; ++i)
      target.ids.push_back(*store.Intern(target.source, SeriesLabels(t, i), nullptr));
    load.targets.push_back(std::move(target));
  }
  return load;
}

size_t ResidentAnonymous() {
  std::ifstream in("/proc/self/status");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("RssAnon:")) return std::stoul(line.substr(8)) * 1024;
  return 0;
}

/// Rows of 100 targets in turn, sealing included. Argument: full-precision floats or written
/// decimals.
void Append(benchmark::State& state) {
  ManualClock clock;
  const std::string dir = std::filesystem::temp_directory_path() / "picket-tsdb-bench";
  std::filesystem::remove_all(dir);
  auto store = OpenStore(dir, clock);
  constexpr size_t kTargets = 100, kSeries = 1000, kRows = 120;
  Load load = Fill(*store, kTargets, kSeries);
  const auto rows = Load::Rows(kSeries, kRows, 1, state.range(0) != 0);
  UnixMs now = clock.NowMs();
  size_t r = 0;
  for (auto _ : state) {
    now += 15'000;
    clock.Advance(std::chrono::seconds(15));
    for (const auto& target : load.targets)
      store->Append({target.source, 1, now, target.ids, rows[r % kRows]});
    ++r;
  }
  const auto samples = static_cast<double>(state.iterations()) * kTargets * kSeries;
  state.SetItemsProcessed(static_cast<int64_t>(samples));
  state.counters["ns/sample"] =
      benchmark::Counter(samples * 1e-9, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  const TsdbStats stats = store->Stats();
  if (stats.sealed_samples > 0)
    state.counters["B/sample"] =
        static_cast<double>(stats.sealed_bytes) / static_cast<double>(stats.sealed_samples);
  state.counters["MB"] = static_cast<double>(stats.TotalBytes()) * 1e-6;
  store.reset();
  std::filesystem::remove_all(dir);
}
BENCHMARK(Append)->Arg(1)->Arg(0)->Unit(benchmark::kMillisecond)->Iterations(480);

/// A store with 100,000 series x 2 h at 15 s.
struct Window {
  ManualClock clock;
  std::string dir = std::filesystem::temp_directory_path() / "picket-tsdb-bench-window";
  std::unique_ptr<Tsdb> store;
  UnixMs now = 0;
  Window() {
    std::filesystem::remove_all(dir);
    store = OpenStore(dir, clock);
    const Load load = Fill(*store, 100, 1000);
    const auto rows = Load::Rows(1000, 480, 1, true);
    for (const auto& row : rows) {
      clock.Advance(std::chrono::seconds(15));
      now = clock.NowMs();
      for (const auto& target : load.targets)
        store->Append({target.source, 1, now, target.ids, row});
    }
  }
  ~Window() { std::filesystem::remove_all(dir); }
  static Window& Get() {
    static Window window;
    return window;
  }
};

void Reopen(benchmark::State& state) {
  Window& w = Window::Get();
  for (auto _ : state) {
    state.PauseTiming();
    w.store.reset();
    state.ResumeTiming();
    w.store = OpenStore(w.dir, w.clock);
  }
  const TsdbStats stats = w.store->Stats();
  state.counters["MB"] = static_cast<double>(stats.TotalBytes()) * 1e-6;
  state.counters["series"] = static_cast<double>(stats.series);
  state.counters["samples"] = static_cast<double>(stats.sealed_samples);
}
BENCHMARK(Reopen)->Unit(benchmark::kMillisecond)->Iterations(5);

void SelectRange(benchmark::State& state, const char* name, const char* value, Milliseconds range) {
  Window& w = Window::Get();
  const Matcher matchers[] = {*Matcher::Make(Matcher::Type::kRegex, name, value)};
  size_t samples = 0, series = 0;
  for (auto _ : state) {
    const auto set = *w.store->Select(matchers, w.now - range.count(), w.now);
    series = set->series().size();
    for (const auto& s : set->series()) samples += s.values.size();
  }
  state.counters["series"] = static_cast<double>(series);
  state.counters["ns/sample"] =
      benchmark::Counter(static_cast<double>(samples) * 1e-9,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK_CAPTURE(SelectRange, one_metric_5m, "__name__", "metric_7", std::chrono::minutes(5))
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(SelectRange, one_metric_2h, "__name__", "metric_7", std::chrono::hours(2))
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(SelectRange, one_target_2h, "instance", "10.0.0.5:9100", std::chrono::hours(2))
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(SelectRange, everything_2h, "job", "node", std::chrono::hours(2))
    ->Unit(benchmark::kMillisecond);

void SelectInstant(benchmark::State& state) {
  Window& w = Window::Get();
  const Matcher matchers[] = {Matcher::Equal("__name__", "metric_7")};
  size_t series = 0;
  for (auto _ : state)
    series += (*w.store->SelectInstant(matchers, w.now, std::chrono::minutes(5)))->series().size();
  state.counters["ns/series"] =
      benchmark::Counter(static_cast<double>(series) * 1e-9,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(SelectInstant)->Unit(benchmark::kMicrosecond);

/// Anonymous memory of a series that exists and has sent one row.
void IdleSeries(benchmark::State& state) {
  for (auto _ : state) {
    ManualClock clock;
    malloc_trim(0);
    const size_t before = ResidentAnonymous();
    const std::string dir = std::filesystem::temp_directory_path() / "picket-tsdb-bench-idle";
    std::filesystem::remove_all(dir);
    auto store = OpenStore(dir, clock);
    Load load = Fill(*store, 100, 1000);
    const std::vector<double> row(1000, 1.0);
    for (const auto& target : load.targets)
      store->Append({target.source, 1, clock.NowMs(), target.ids, row});
    load = {};
    malloc_trim(0);
    state.counters["B/series"] = static_cast<double>(ResidentAnonymous() - before) / 100'000;
    state.counters["B/series accounted"] =
        static_cast<double>(store->Stats().index_bytes) / 100'000;
    store.reset();
    std::filesystem::remove_all(dir);
  }
}
BENCHMARK(IdleSeries)->Unit(benchmark::kMillisecond)->Iterations(1);

}  // namespace
}  // namespace picket::store::tsdb

BENCHMARK_MAIN();
