// SPDX-License-Identifier: Apache-2.0
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <filesystem>

#include "core/spool/spool.h"

namespace picket::spool {
namespace {

struct Fixture {
  explicit Fixture(bool memory) {
    std::string pattern = (std::filesystem::temp_directory_path() / "picket-bench-XXXXXX").string();
    directory = ::mkdtemp(pattern.data());
    SpoolOptions o;
    o.directory = directory;
    o.max_bytes = 256_MiB;
    spool = memory ? Spool::OpenMemory(o) : *Spool::Open(o);
    consumer = *spool->OpenConsumer("bench", std::make_shared<Balance>("bench", "", "items"));
  }
  ~Fixture() {
    consumer.reset();
    spool.reset();
    std::filesystem::remove_all(directory);
  }
  std::string directory;
  std::unique_ptr<Spool> spool;
  std::unique_ptr<Consumer> consumer;
};

// range(0): bytes of a body; range(1): memory. Appended, read back, settled: what one request
// costs.
void AppendAndSettle(benchmark::State& state) {
  Fixture f(state.range(1) != 0);
  const std::string body(static_cast<size_t>(state.range(0)), 'x');
  for (auto _ : state) {
    if (!f.spool->Append({1, 0, 1000, 1}, body)) state.SkipWithError("append");
    if (auto d = f.consumer->Take(0)) std::move(*d).Delivered();
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(AppendAndSettle)
    ->ArgNames({"bytes", "memory"})
    ->Args({12'000, 0})
    ->Args({200'000, 0})
    ->Args({12'000, 1});

// A backlog: appended only, the oldest dropped at the cap.
void Append(benchmark::State& state) {
  Fixture f(false);
  const std::string body(static_cast<size_t>(state.range(0)), 'x');
  uint16_t lane = 0;
  for (auto _ : state)
    if (!f.spool->Append({1, static_cast<uint16_t>(lane++ % kLanes), 1000, 1}, body))
      state.SkipWithError("append");
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(Append)->Arg(12'000)->Arg(200'000);

void Reopen(benchmark::State& state) {
  Fixture f(false);
  for (int i = 0; i < 10'000; ++i)
    (void)f.spool->Append({1, static_cast<uint16_t>(i % kLanes), 1000, 1},
                          std::string(12'000, 'x'));
  for (auto _ : state) {
    f.consumer.reset();
    f.spool.reset();
    SpoolOptions o;
    o.directory = f.directory;
    o.max_bytes = 256_MiB;
    f.spool = *Spool::Open(o);
    f.consumer = *f.spool->OpenConsumer("bench", std::make_shared<Balance>("bench", "", "items"));
  }
}
BENCHMARK(Reopen)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace picket::spool

BENCHMARK_MAIN();
