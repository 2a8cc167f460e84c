// SPDX-License-Identifier: Apache-2.0
// The traces path alone, for the stories with real servers: a collector on ephemeral ports, its
// exporter, and the books. Usage: otlp_relay SPOOL_DIRECTORY ENDPOINT... Prints
// {"grpc":port,"http":port}; then, for each line read, the balances as one JSON object; ends with
// its input.
#include <fmt/format.h>

#include <csignal>
#include <cstdio>
#include <iostream>
#include <string>

#include "collectors/otlp/otlp.h"
#include "core/base/log.h"
#include "core/base/strings.h"
#include "exporters/otlp/exporter.h"

namespace picket {
namespace {

/// Calls by span name, as the last row said.
class PrintingIntake final : public MetricIntake {
 public:
  SourceId OpenSource(std::string) override { return 1; }
  void CloseSource(SourceId) override {}
  Result<SeriesId> Intern(SourceId, const Labels& labels,
                          std::shared_ptr<const MetricMetadata>) override {
    names_.push_back(labels.ToString());
    return static_cast<SeriesId>(names_.size() - 1);
  }
  void Release(SourceId, SeriesId) override {}
  void Append(const SampleRow& row) override {
    std::lock_guard lock(mutex_);
    for (size_t i = 0; i < row.series.size(); ++i) last_[names_[row.series[i]]] = row.values[i];
  }
  void AppendTimed(SourceId, std::span<const TimedSample>) override {}
  std::string Json() {
    std::lock_guard lock(mutex_);
    std::string out = "{";
    for (const auto& [name, value] : last_) {
      if (!name.starts_with("traces_spanmetrics_calls_total")) continue;
      out += (out.size() > 1 ? "," : "") + JsonQuote(name) + ":" + FormatFloat(value);
    }
    return out + "}";
  }

 private:
  std::vector<std::string> names_;
  std::mutex mutex_;  // guards last_
  std::map<std::string, double> last_;
};

int Main(int argc, char** argv) {
  if (argc < 3) return std::fprintf(stderr, "usage: otlp_relay SPOOL_DIRECTORY ENDPOINT...\n"), 2;
  log::Configure(log::Level::kInfo, log::Format::kLogfmt);
  net::Runtime runtime(2);
  PrintingIntake intake;
  Telemetry telemetry;
  BalanceBook balances;
  std::vector<exporters::otlp::OtlpExporterConfig> backends;
  for (int i = 2; i < argc; ++i) {
    auto& backend = backends.emplace_back();
    backend.endpoint = argv[i];
    backend.retry.max_backoff = Milliseconds(500);
  }
  spool::SpoolOptions spool;
  spool.directory = argv[1];
  auto exporter = exporters::otlp::OtlpExporter::Open(
      backends, exporters::otlp::OtlpExporterDeps{runtime, telemetry, balances, spool});
  if (!exporter) return std::fprintf(stderr, "%s\n", exporter.error().ToString().c_str()), 1;
  (*exporter)->Start();
  collectors::otlp::OtlpConfig config;
  config.grpc = config.http = "127.0.0.1:0";
  config.span_metrics.interval = Milliseconds(200);
  collectors::otlp::OtlpCollector collector(
      config, collectors::otlp::OtlpDeps{runtime, intake, telemetry, balances});
  collector.SetSinks({*exporter});
  if (auto started = collector.Start(); !started)
    return std::fprintf(stderr, "%s\n", started.error().ToString().c_str()), 1;
  std::printf("{\"grpc\":%d,\"http\":%d}\n", collector.grpc_port(), collector.http_port());
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) {
    std::string out = "{";
    for (const auto& b : balances.Read()) {
      out += fmt::format("{}:{{\"in\":{},\"out\":{},\"dropped\":{},\"queued\":{}}},",
                         JsonQuote(b.component + " " + b.instance), b.in, b.out, b.dropped,
                         b.queued());
    }
    std::printf("%s\"calls\":%s}\n", out.c_str(), intake.Json().c_str());
    std::fflush(stdout);
  }
  collector.Stop(std::chrono::seconds(2));
  (*exporter)->Stop(std::chrono::seconds(5));
  exporter->reset();
  runtime.Stop();
  return 0;
}

}  // namespace
}  // namespace picket

int main(int argc, char** argv) { return picket::Main(argc, argv); }
