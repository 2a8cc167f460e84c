// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <map>
#include <set>

#include "collectors/host/collectors.h"
#include "collectors/host/file.h"

namespace picket::collectors::host {
namespace {

constexpr std::array<std::string_view, 8> kModes{"user",   "nice", "system",  "idle",
                                                 "iowait", "irq",  "softirq", "steal"};
constexpr size_t kIdle = 3;
/// Idle time going back by this much means the processor was away, not that the kernel counts
/// badly.
constexpr double kJumpBackSeconds = 3.0;

const Family kSeconds{"node_cpu_seconds_total",
                      MetricType::kCounter,
                      "Seconds the CPUs spent in each mode.",
                      {"cpu", "mode"}};
const Family kGuest{"node_cpu_guest_seconds_total",
                    MetricType::kCounter,
                    "Seconds the CPUs spent in guests (VMs) for each mode.",
                    {"cpu", "mode"}};
const Family kIsolated{
    "node_cpu_isolated",
    MetricType::kGauge,
    "Whether each core is isolated, information from /sys/devices/system/cpu/isolated.",
    {"cpu"}};
const Family kCoreThrottles{"node_cpu_core_throttles_total",
                            MetricType::kCounter,
                            "Number of times this CPU core has been throttled.",
                            {"package", "core"}};
const Family kPackageThrottles{"node_cpu_package_throttles_total",
                               MetricType::kCounter,
                               "Number of times this CPU package has been throttled.",
                               {"package"}};

/// "0,2-4" as numbers.
std::vector<unsigned> ParseCpuList(std::string_view text) {
  std::vector<unsigned> out;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    const std::string_view range = text.substr(0, comma);
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
    const size_t dash = range.find('-');
    const uint64_t first = ToUint(range.substr(0, dash));
    const uint64_t last = dash == std::string_view::npos ? first : ToUint(range.substr(dash + 1));
    for (uint64_t i = first; !range.empty() && i <= last && i < first + 8192; ++i)
      out.push_back(static_cast<unsigned>(i));
  }
  return out;
}

class Cpu final : public Part {
 public:
  explicit Cpu(const HostConfig& config)
      : guest_(config.cpu.guest),
        stat_(config.procfs + "/stat"),
        devices_(config.sysfs + "/devices/system/cpu") {
    for (const unsigned cpu : ParseCpuList(ReadSmall(devices_ + "/isolated")))
      isolated_.push_back(std::to_string(cpu));
    FindThrottles();
  }
  std::string_view name() const override { return "cpu"; }

  Status Tell(Row& row) override {
    PICKET_ASSIGN(const std::string_view text, stat_.Read());
    Lines lines(text);
    for (std::string_view line; lines.Next(line);) {
      const std::string_view word = TakeWord(line);
      if (!word.starts_with("cpu")) break;
      if (word.size() > 3) TellCpu(row, word.substr(3), line);
    }
    for (const std::string& cpu : isolated_) row.Tell(kIsolated, {cpu}, 1);
    TellThrottles(row);
    return {};
  }

 private:
  using Seconds = std::array<double, 10>;  // the modes, guest, guest_nice

  void TellCpu(Row& row, std::string_view cpu, std::string_view line) {
    static const double hertz = static_cast<double>(sysconf(_SC_CLK_TCK));
    Seconds now{};
    for (double& value : now) value = ToDouble(TakeWord(line)) / hertz;
    auto it = latest_.find(cpu);
    if (it == latest_.end()) it = latest_.emplace(std::string(cpu), Seconds{}).first;
    Seconds& latest = it->second;
    if (latest[kIdle] - now[kIdle] >= kJumpBackSeconds) latest = {};
    // The kernel's own counters may go back a little; a counter must not.
    for (size_t i = 0; i < now.size(); ++i) latest[i] = std::max(latest[i], now[i]);
    for (size_t i = 0; i < kModes.size(); ++i) row.Tell(kSeconds, {cpu, kModes[i]}, latest[i]);
    if (!guest_) return;
    row.Tell(kGuest, {cpu, "user"}, latest[8]);
    row.Tell(kGuest, {cpu, "nice"}, latest[9]);
  }

  struct Throttle {
    std::string package, core;
    KernelFile count;
  };

  void FindThrottles() {
    std::set<std::pair<std::string, std::string>> cores;
    std::set<std::string> packages;
    std::error_code ignored;
    std::vector<std::string> paths;
    for (const auto& entry : std::filesystem::directory_iterator(devices_, ignored)) {
      const std::string file = entry.path().filename();
      if (file.starts_with("cpu") && file.size() > 3 && file[3] >= '0' && file[3] <= '9')
        paths.push_back(entry.path());
    }
    std::ranges::sort(paths);
    for (const std::string& path : paths) {
      const std::string package = ReadSmall(path + "/topology/physical_package_id");
      const std::string core = ReadSmall(path + "/topology/core_id");
      if (package.empty() || core.empty()) continue;
      const std::string of_core = path + "/thermal_throttle/core_throttle_count";
      const std::string of_package = path + "/thermal_throttle/package_throttle_count";
      if (!ReadSmall(of_core).empty() && cores.emplace(package, core).second)
        core_throttles_.push_back({package, core, KernelFile(of_core)});
      if (!ReadSmall(of_package).empty() && packages.insert(package).second) {
        package_throttles_.push_back({package, {}, KernelFile(of_package)});
      }
    }
  }

  void TellThrottles(Row& row) {
    for (Throttle& t : package_throttles_) {
      if (const auto count = t.count.Read())
        row.Tell(kPackageThrottles, {t.package}, ToDouble(*count));
    }
    for (Throttle& t : core_throttles_) {
      if (const auto count = t.count.Read())
        row.Tell(kCoreThrottles, {t.package, t.core}, ToDouble(*count));
    }
  }

  const bool guest_;
  KernelFile stat_;
  const std::string devices_;
  std::vector<std::string> isolated_;
  std::map<std::string, Seconds, std::less<>> latest_;
  std::vector<Throttle> core_throttles_, package_throttles_;
};

}  // namespace

std::unique_ptr<Part> MakeCpu(const HostConfig& config) { return std::make_unique<Cpu>(config); }

}  // namespace picket::collectors::host
