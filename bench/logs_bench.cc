// SPDX-License-Identifier: Apache-2.0
// CRI lines to Loki bytes, stage by stage, on a file in the page cache. CPU time of the one thread;
// items are lines.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>

#include "collectors/logs/lines.h"
#include "collectors/logs/source_file.h"
#include "collectors/logs/streams.h"
#include "collectors/logs/tailer.h"
#include "exporters/loki/encoder.h"
#include "exporters/loki/queue.h"

namespace {

using namespace picket;
using namespace picket::collectors::logs;
using exporters::loki::PushEncoder;
using exporters::loki::StreamQueue;

constexpr int kLines = 200'000;

/// JSON records of 216 B on average behind a CRI prefix, as the log-collectors-benchmark of
/// VictoriaMetrics writes.
struct Corpus {
  Corpus() {
    ::mkdtemp(folder);
    std::minstd_rand random(1);
    static const char* kLevels[] = {"info", "info", "info", "debug", "warn", "error"};
    static const char* kPaths[] = {"/api/v1/cart", "/api/v1/orders", "/healthz",
                                   "/api/v1/users/login"};
    std::FILE* f = std::fopen((path()).c_str(), "w");
    for (int i = 0; i < kLines; ++i) {
      const unsigned long a = random(), b = random();
      bytes += static_cast<uint64_t>(std::fprintf(
          f,
          "2026-03-01T12:%02d:%02d.%09dZ stdout F "
          "{\"level\":\"%s\",\"ts\":\"2026-03-01T12:%02d:%02d.%06dZ\","
          "\"msg\":\"request served\",\"trace_id\":\"%016lx%016lx\",\"path\":\"%s\",\"status\":%d,"
          "\"duration_ms\":%lu.%03lu,\"sequence_id\":%d}\n",
          i / 3600 % 60, i / 60 % 60, i * 997 % 1'000'000'000, kLevels[a % 6], i / 3600 % 60,
          i / 60 % 60, i * 31 % 1'000'000, a * 2654435761UL, b * 40503UL, kPaths[b % 4],
          a % 50 == 0 ? 500 : 200, a % 300, b % 1000, i));
    }
    std::fclose(f);
  }
  ~Corpus() {
    ::unlink(path().c_str());
    ::rmdir(folder);
  }
  std::string path() const { return std::string(folder) + "/0.log"; }
  char folder[32] = "/tmp/picket_logs_bench_XXXXXX";
  uint64_t bytes = 0;
};

const Corpus& TheCorpus() {
  static const Corpus corpus;
  return corpus;
}

enum class Until { kRead, kParse, kSplit, kEncode, kSnappy };

void Pipeline(benchmark::State& state, Until until, bool fields) {
  const Corpus& corpus = TheCorpus();
  auto file = SourceFile::Open(corpus.path());
  JsonConfig json;
  if (fields) json.fields = {{"level", "level"}, {"trace_id", "trace_id"}};
  StreamSplitter splitter(json);
  StreamTable table;
  uint64_t lines = 0, out_bytes = 0;
  for (auto _ : state) {
    LineAssembler assembler(Format::kCri, 256 * 1024);
    LogStreams streams{
        Labels{{"namespace", "shop"}, {"pod", "web-5d"}, {"container", "app"}}, {}, {}};
    StreamQueue queue({});
    PushEncoder encoder;
    for (uint64_t offset = 0; offset < corpus.bytes;) {
      Reading reading;
      reading.arena = std::make_shared<Arena>();
      std::string& arena = reading.arena->bytes;
      const size_t wanted = std::min<uint64_t>(256 * 1024, corpus.bytes - offset);
      arena.reserve(wanted + 64);
      if (!(*file)->Read(offset, wanted, arena)) std::abort();
      if (until == Until::kRead) {
        const auto n = static_cast<uint64_t>(std::count(arena.begin(), arena.end(), '\n'));
        lines += n;
        offset += arena.size();
        continue;
      }
      LineCounts counts;
      offset += assembler.Feed(
          arena, {.begin = 0, .at = {1, offset}, .done = 0, .last = false, .now = 0, .steady = {}},
          reading.records, counts);
      for (const auto& list : reading.records) reading.lines += list.size();
      lines += reading.lines;
      if (until == Until::kParse) continue;
      for (LogBatch& batch : splitter.Split(reading, streams, table)) queue.Add(batch, {});
      if (until == Until::kSplit) {
        queue.Clear();
        continue;
      }
      while (queue.ReadyBytes() >= 1 << 20 || (offset >= corpus.bytes && !queue.empty())) {
        const auto selection = queue.Take(1 << 20);
        encoder.Clear();
        for (const auto& s : selection.streams) {
          encoder.AddStream(s.labels_text, s.slices);
          queue.Release(s.id);
        }
        out_bytes += until == Until::kSnappy ? encoder.Compress().size() : encoder.raw().size();
      }
    }
  }
  state.SetItemsProcessed(static_cast<int64_t>(lines));
  state.SetBytesProcessed(static_cast<int64_t>(corpus.bytes) * state.iterations());
  state.counters["out/in"] =
      static_cast<double>(out_bytes) /
      static_cast<double>(corpus.bytes * static_cast<uint64_t>(state.iterations()));
}

BENCHMARK_CAPTURE(Pipeline, read, Until::kRead, false)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Pipeline, parse, Until::kParse, false)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Pipeline, queue, Until::kSplit, false)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Pipeline, encode, Until::kEncode, false)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Pipeline, snappy, Until::kSnappy, false)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Pipeline, encode_json, Until::kEncode, true)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Pipeline, snappy_json, Until::kSnappy, true)->Unit(benchmark::kMillisecond);

/// The whole collector (rounds, marks, checkpoint on disk) into a sink that accepts at once.
void Collector(benchmark::State& state) {
  class Accept : public LogSink {
   public:
    void OnLogs(const LogBatch& batch) override {
      Receipt::Hold hold(batch.receipt);
      lines += batch.records.size();
      hold.Settle();
    }
    uint64_t HeldBytes() const override { return 0; }
    uint64_t lines = 0;
  };
  const Corpus& corpus = TheCorpus();
  auto sink = std::make_shared<Accept>();
  for (auto _ : state) {
    Environment env;
    env.folder = std::string(corpus.folder) + "/state";
    auto tailer = *Tailer::Make(env);
    LogsConfig config;
    config.files = {corpus.path()};
    config.start_at = StartAt::kBeginning;
    if (!tailer->Apply({config}, {{"bench", sink}}, {})) std::abort();
    const uint64_t goal = sink->lines + kLines;
    while (sink->lines < goal) tailer->Step();
    tailer->Close();
    tailer.reset();
    for (const char* name : {"/checkpoint", "/lock"}) ::unlink((env.folder + name).c_str());
    ::rmdir(env.folder.c_str());
  }
  state.SetItemsProcessed(static_cast<int64_t>(sink->lines));
  state.SetBytesProcessed(static_cast<int64_t>(corpus.bytes) * state.iterations());
}
BENCHMARK(Collector)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
