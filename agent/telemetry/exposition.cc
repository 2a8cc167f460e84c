// SPDX-License-Identifier: Apache-2.0
#include "agent/telemetry/exposition.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "agent/version.h"

namespace picket::agent {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

void Add(MetricFamily& family, const TelemetryLabels& labels, double value) {
  ClientMetric m;
  for (const auto& [name, v] : labels) m.label.push_back({name, v});
  if (family.type == MetricType::Counter)
    m.counter.value = value;
  else
    m.gauge.value = value;
  family.metric.push_back(std::move(m));
}

MetricFamily Family(std::string name, std::string help, MetricType type) {
  MetricFamily f;
  f.name = std::move(name);
  f.help = std::move(help);
  f.type = type;
  return f;
}

void AddBalances(std::vector<MetricFamily>& out, const BalanceBook& book) {
  auto in = Family("picket_component_in_total", "Items taken in.", MetricType::Counter);
  auto sent = Family("picket_component_out_total", "Items handed on.", MetricType::Counter);
  auto dropped =
      Family("picket_component_dropped_total", "Items lost, by reason.", MetricType::Counter);
  auto queued =
      Family("picket_component_queued", "Items held: in - out - dropped.", MetricType::Gauge);
  for (const Balance::Snapshot& s : book.Read()) {
    const TelemetryLabels labels = {
        {"component", s.component}, {"instance", s.instance}, {"unit", s.unit}};
    Add(in, labels, static_cast<double>(s.in));
    Add(sent, labels, static_cast<double>(s.out));
    Add(queued, labels, static_cast<double>(s.queued()));
    for (const auto& [reason, n] : s.dropped_by_reason) {
      TelemetryLabels with = labels;
      with.emplace_back("reason", reason);
      Add(dropped, with, static_cast<double>(n));
    }
  }
  for (auto* f : {&in, &sent, &dropped, &queued}) out.push_back(std::move(*f));
}

void AddProcess(std::vector<MetricFamily>& out) {
  const ProcessUsage u = ReadProcessUsage();
  auto one = [&](const char* name, const char* help, MetricType type, double value) {
    out.push_back(Family(name, help, type));
    Add(out.back(), {}, value);
  };
  one("process_cpu_seconds_total", "User and system time.", MetricType::Counter, u.cpu_seconds);
  one("process_resident_memory_bytes", "Resident memory.", MetricType::Gauge,
      static_cast<double>(u.rss_bytes));
  one("process_virtual_memory_bytes", "Virtual memory.", MetricType::Gauge,
      static_cast<double>(u.virtual_bytes));
  one("process_open_fds", "Open file descriptors.", MetricType::Gauge,
      static_cast<double>(u.open_fds));
  one("process_max_fds", "Most file descriptors allowed.", MetricType::Gauge,
      static_cast<double>(u.max_fds));
  one("process_threads", "Threads.", MetricType::Gauge, static_cast<double>(u.threads));
  one("process_start_time_seconds", "Start, in Unix time.", MetricType::Gauge,
      u.start_time_seconds);
  out.push_back(Family("picket_build_info", "The version that runs.", MetricType::Gauge));
  Add(out.back(), {{"version", kVersion}}, 1);
}

// The fields of /proc/self/stat after the command name, which may itself hold spaces.
std::vector<std::string> StatFields() {
  std::ifstream in("/proc/self/stat");
  std::string text((std::istreambuf_iterator<char>(in)), {});
  const size_t paren = text.rfind(')');
  std::vector<std::string> fields;
  if (paren == std::string::npos) return fields;
  std::istringstream rest(text.substr(paren + 1));
  for (std::string f; rest >> f;) fields.push_back(f);
  return fields;
}

double BootTime() {
  std::ifstream in("/proc/stat");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("btime ")) return std::strtod(line.c_str() + 6, nullptr);
  return 0;
}

}  // namespace

ProcessUsage ReadProcessUsage() {
  ProcessUsage u;
  const auto stat = StatFields();
  const auto number = [&](size_t field) {  // numbered as in proc(5)
    return field - 3 < stat.size() ? std::strtod(stat[field - 3].c_str(), nullptr) : 0;
  };
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  u.cpu_seconds = (number(14) + number(15)) / ticks;
  u.threads = static_cast<uint64_t>(number(20));
  static const double boot = BootTime();
  u.start_time_seconds = boot + number(22) / ticks;
  u.virtual_bytes = static_cast<uint64_t>(number(23));
  u.rss_bytes = static_cast<uint64_t>(number(24)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) u.max_fds = limit.rlim_cur;
  std::error_code ec;
  for (auto it = std::filesystem::directory_iterator("/proc/self/fd", ec);
       !ec && it != std::filesystem::directory_iterator(); it.increment(ec))
    ++u.open_fds;
  return u;
}

std::string RenderMetrics(const Telemetry& telemetry, const BalanceBook& balances) {
  std::vector<MetricFamily> families;
  for (const Telemetry::Family& f : telemetry.Collect()) {
    families.push_back(
        Family(f.name, f.help,
               f.kind == MetricRow::Kind::kCounter ? MetricType::Counter : MetricType::Gauge));
    for (const Telemetry::Sample& s : f.samples) Add(families.back(), s.labels, s.value);
  }
  AddBalances(families, balances);
  AddProcess(families);
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace picket::agent
