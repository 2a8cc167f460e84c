// SPDX-License-Identifier: Apache-2.0
// One look at the host, as it happens every interval: reading the kernel's files and writing the
// row.
#include <benchmark/benchmark.h>

#include "collectors/host/host.h"
#include "picket_source_dir.h"

namespace picket::collectors::host {
namespace {

class NullIntake final : public MetricIntake {
 public:
  SourceId OpenSource(std::string) override { return 1; }
  void CloseSource(SourceId) override {}
  Result<SeriesId> Intern(SourceId, const Labels&, std::shared_ptr<const MetricMetadata>) override {
    return next_++;
  }
  void Release(SourceId, SeriesId) override {}
  void Append(const SampleRow& row) override { benchmark::DoNotOptimize(row.values.data()); }
  void AppendTimed(SourceId, std::span<const TimedSample>) override {}

 private:
  SeriesId next_ = 0;
};

void Look(benchmark::State& state, const std::string& root) {
  HostConfig config;
  if (!root.empty()) {
    config.procfs = root + "/proc";
    config.sysfs = root + "/sys";
    config.udev_data = root + "/udev";
  }
  NullIntake intake;
  HostReader reader(config, "n", intake, SystemClock::Get());
  size_t series = 0;
  for (auto _ : state) series = reader.Collect(static_cast<UnixMs>(state.iterations())).series;
  state.counters["series"] = static_cast<double>(series);
}
BENCHMARK_CAPTURE(Look, this_host, "");
BENCHMARK_CAPTURE(Look, recorded_tree, std::string(PICKET_SOURCE_DIR) + "/tests/data/host");

}  // namespace
}  // namespace picket::collectors::host

BENCHMARK_MAIN();
