// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <filesystem>
#include <mutex>

#include "agent/wiring/ways_in/way_in.h"
#include "collectors/logs/collector.h"

namespace picket::wiring {
namespace {

/// The files that standard output and error go to, under the names they have now.
std::vector<std::string> OwnLogs() {
  std::vector<std::string> out;
  for (const char* stream : {"/proc/self/fd/1", "/proc/self/fd/2"}) {
    std::error_code ec;
    if (!std::filesystem::is_regular_file(stream, ec)) continue;
    if (auto path = std::filesystem::read_symlink(stream, ec); !ec) out.push_back(path.string());
  }
  return out;
}

/// Made when the first file is asked for: its thread costs nothing before.
class Logs final : public WayIn {
 public:
  explicit Logs(const WayInNeeds& needs) : needs_(needs) {}

  Status Apply(const agent::RootConfig& config) override {
    auto collector = Collector();
    if (!collector) {
      if (config.collectors.logs.empty()) return {};
      collectors::logs::Environment env;
      env.balances = &needs_.balances;
      env.telemetry = &needs_.telemetry;
      env.intake = &needs_.hub;
      env.budget = &needs_.budget;
      env.folder = needs_.data_dir.empty() ? "" : needs_.data_dir + "/logs";
      env.own_logs = OwnLogs();
      PICKET_ASSIGN(collector, collectors::logs::LogCollector::Make(std::move(env)));
      std::lock_guard lock(mutex_);
      collector_ = collector;
    }
    return collector->ApplyConfig(config.collectors.logs, needs_.destinations.LogDestinations());
  }
  /// Its rest is read while queues drain: the files are its buffer.
  void Stop(Duration) override {}
  void Drain(Duration within) override {
    if (const auto collector = Collector()) collector->Stop(within);
  }

  void AppendStatus(agent::Json& j) const override {
    j.Key("logs").Open('[');
    if (const auto collector = Collector())
      for (const auto& f : collector->Files())
        j.Open('{')
            .Field("path", f.path)
            .Field("size_bytes", f.size)
            .Field("read_bytes", f.read_offset)
            .Field("acked_bytes", f.acked_offset)
            .Field("lag_bytes", f.lag_bytes)
            .Field("lag_seconds", f.lag_seconds)
            .Field("last_error", f.last_error)
            .Close('}');
    j.Close(']');
  }

  std::vector<std::string> Findings() const override {
    const auto collector = Collector();
    if (!collector) return {};
    return {fmt::format("following {} log files", collector->Files().size())};
  }

 private:
  std::shared_ptr<collectors::logs::LogCollector> Collector() const {
    std::lock_guard lock(mutex_);
    return collector_;
  }

  const WayInNeeds needs_;
  mutable std::mutex mutex_;
  std::shared_ptr<collectors::logs::LogCollector> collector_;
};

}  // namespace

std::unique_ptr<WayIn> MakeLogs(const WayInNeeds& needs) { return std::make_unique<Logs>(needs); }

}  // namespace picket::wiring
