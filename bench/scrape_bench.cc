// SPDX-License-Identifier: Apache-2.0
// The scrape path in parts: plain parse, the predictive cache hot and over many targets, and its
// allocations. A body is 1,000 series: 55 % constant, 25 % integer counters, 10 % float counters,
// 10 % gauges; or the file named by PICKET_BENCH_BODY.
#include <benchmark/benchmark.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <new>
#include <random>
#include <sstream>

#include "collectors/scrape/cache.h"

namespace {
std::atomic<uint64_t> allocations{0};
}
void* operator new(size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* p = std::malloc(size)) return p;
  throw std::bad_alloc();
}
void* operator new(size_t size, std::align_val_t align) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  const size_t a = static_cast<size_t>(align);
  if (void* p = std::aligned_alloc(a, (size + a - 1) / a * a)) return p;
  throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, size_t, std::align_val_t) noexcept { std::free(p); }

namespace picket::collectors::scrape {
namespace {

/// Hands out numbers for series without looking at them.
class CountingResolver : public SeriesResolver {
 public:
  Result<Answer> Resolve(const RawSeries&, MetricType,
                         std::shared_ptr<const MetricMetadata>) override {
    return Answer{Kind::kKept, next_++};
  }
  void Release(SeriesId) override {}

 private:
  SeriesId next_ = 0;
};

/// Bodies of one target at successive instants.
std::vector<std::string> Generated(uint32_t target, int count) {
  std::vector<std::string> bodies;
  std::mt19937 random(target + 1);
  std::vector<double> values(1000);
  for (double& v : values) v = static_cast<double>(random() % 100'000);
  for (int n = 0; n < count; ++n) {
    std::string body;
    for (int i = 0; i < 1000; ++i) {
      const int family = i / 20;
      if (i % 20 == 0) {
        body += "# HELP shop_family_" + std::to_string(family) +
                "_total Things the shop has counted.\n# TYPE shop_family_" +
                std::to_string(family) + "_total counter\n";
      }
      const int kind = i % 20;
      if (kind >= 11 && kind < 16) values[i] += random() % 1000;
      if (kind >= 16 && kind < 18) values[i] += static_cast<double>(random()) / 1e9;
      if (kind >= 18) values[i] = static_cast<double>(random()) / 1e6;
      char value[40];
      snprintf(value, sizeof value, kind < 16 ? "%.0f" : "%.15g", values[i]);
      body += "shop_family_" + std::to_string(family) +
              "_total{method=\"GET\",path=\"/api/v1/items/" + std::to_string(kind) +
              "\",status=\"200\",zone=\"eu-" + std::to_string(target % 7) + "\"} " + value + "\n";
    }
    bodies.push_back(std::move(body));
  }
  return bodies;
}

/// The file of PICKET_BENCH_BODY, every second instant with other integers.
std::vector<std::string> Bodies(uint32_t target, int count) {
  const char* path = std::getenv("PICKET_BENCH_BODY");
  if (!path) return Generated(target, count);
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  std::vector<std::string> bodies;
  for (int n = 0; n < count; ++n) {
    std::string body = text.str();
    for (size_t i = 1; i + 1 < body.size(); ++i) {
      if (body[i + 1] == '\n' && body[i] >= '0' && body[i] <= '8' && i % 5 < 2) body[i] += n % 2;
    }
    bodies.push_back(std::move(body));
  }
  return bodies;
}

void PlainParse(benchmark::State& state) {
  const std::string body = Bodies(0, 1)[0];
  Parser parser({}, Format::kText);
  uint64_t samples = 0;
  for (auto _ : state) {
    parser.Reset(body, Format::kText);
    double sum = 0;
    for (Parser::Entry e = parser.Next(); e != Parser::Entry::kEnd; e = parser.Next()) {
      if (e == Parser::Entry::kError) return state.SkipWithError("bad body");
      if (e == Parser::Entry::kSeries) sum += parser.value(), ++samples;
    }
    benchmark::DoNotOptimize(sum);
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * body.size()));
  state.counters["ns/sample"] =
      benchmark::Counter(static_cast<double>(samples) / 1e9,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(PlainParse);

void Predicted(benchmark::State& state) {
  const auto targets = static_cast<uint32_t>(state.range(0));
  std::vector<std::vector<std::string>> bodies;
  std::vector<SeriesCache> caches;
  CountingResolver resolver;
  SeriesCache::Scratch scratch;
  ScrapeCounts counts;
  int64_t bytes = 0;
  for (uint32_t t = 0; t < targets; ++t) {
    bodies.push_back(Bodies(t, 2));
    caches.emplace_back(SeriesCache::Options{});
    if (!caches.back().Scan(bodies[t][0], Format::kText, resolver, scratch, counts))
      return state.SkipWithError("bad body");
    caches.back().Commit(resolver);
  }
  uint64_t samples = 0, scrapes = 0, turn = 0;
  const uint64_t before = allocations.load();
  for (auto _ : state) {
    ++turn;
    for (uint32_t t = 0; t < targets; ++t) {
      const std::string& body = bodies[t][turn % 2];
      if (!caches[t].Scan(body, Format::kText, resolver, scratch, counts))
        return state.SkipWithError("bad body");
      benchmark::DoNotOptimize(caches[t].row().values.data());
      caches[t].Commit(resolver);
      samples += counts.scraped;
      bytes += static_cast<int64_t>(body.size());
      ++scrapes;
    }
  }
  state.SetBytesProcessed(bytes);
  size_t memory = 0;
  for (const SeriesCache& cache : caches) memory += cache.memory();
  state.counters["allocs/scrape"] =
      static_cast<double>(allocations.load() - before) / static_cast<double>(scrapes);
  state.counters["B/series"] =
      static_cast<double>(memory) / static_cast<double>(counts.scraped * targets);
  state.counters["ns/sample"] =
      benchmark::Counter(static_cast<double>(samples) / 1e9,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(Predicted)->ArgName("targets")->Arg(1)->Arg(600);

/// One line leaves and one comes in every scrape: the order is rewritten each time.
void Churning(benchmark::State& state) {
  std::vector<std::string> bodies = Bodies(0, 2);
  for (int n = 0; n < 2; ++n)
    bodies[n].insert(bodies[n].find('\n', bodies[n].size() / 2) + 1,
                     "churn_" + std::to_string(n) + " 1\n");
  CountingResolver resolver;
  SeriesCache cache({});
  SeriesCache::Scratch scratch;
  ScrapeCounts counts;
  uint64_t samples = 0, turn = 0;
  for (auto _ : state) {
    if (!cache.Scan(bodies[++turn % 2], Format::kText, resolver, scratch, counts))
      return state.SkipWithError("bad body");
    benchmark::DoNotOptimize(cache.row().values.data());
    cache.Commit(resolver);
    samples += counts.scraped;
  }
  state.counters["ns/sample"] =
      benchmark::Counter(static_cast<double>(samples) / 1e9,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(Churning);

}  // namespace
}  // namespace picket::collectors::scrape

BENCHMARK_MAIN();
