// SPDX-License-Identifier: Apache-2.0
// Runs the host collectors on the recorded host of a conformance folder and compares names, labels
// and values with node_exporter's own expected output. Prints passed of total by collector and each
// failing series. With --dump: prints the series of this host as text, for the comparison with a
// running node_exporter. Exit: 0 all as expected, 1 something differs, 77 the folder is missing.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/base/strings.h"
#include "picket_source_dir.h"
#include "tests/collectors/host/host_dump.h"

namespace picket::collectors::host {
namespace {

namespace fs = std::filesystem;

std::string ReadFile(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

/// A line of a file in the archive. NULLBYTE is a byte 0; a last EOF takes the line end away.
std::string ArchiveLine(std::string_view line, bool& no_newline) {
  std::string out;
  no_newline = false;
  while (!line.empty()) {
    if (line.starts_with("\\NULLBYTE") || line.starts_with("\\EOF")) {
      const size_t n = line[1] == 'N' ? 9 : 4;
      out += line.substr(1, n - 1);
      line.remove_prefix(n);
    } else if (line.starts_with("NULLBYTE")) {
      out += '\0';
      line.remove_prefix(8);
    } else if (line == "EOF") {
      no_newline = true;
      break;
    } else {
      out += line[0];
      line.remove_prefix(1);
    }
  }
  return out;
}

/// Unpacks a ttar archive. Source: the fixtures' README.
void Unpack(const fs::path& archive, const fs::path& to) {
  const std::string text = ReadFile(archive);
  const std::vector<std::string_view> lines = Split(text, '\n');
  fs::path path;
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string_view line = lines[i];
    if (line.starts_with("Directory: ")) {
      fs::create_directories(to / line.substr(11));
    } else if (line.starts_with("Path: ")) {
      path = to / line.substr(6);
      fs::create_directories(path.parent_path());
    } else if (line.starts_with("SymlinkTo: ")) {
      std::error_code ignored;
      fs::create_symlink(line.substr(11), path, ignored);
    } else if (line.starts_with("Lines: ")) {
      std::ofstream out(path, std::ios::binary);
      for (int n = std::atoi(std::string(line.substr(7)).c_str()); n > 0 && i + 1 < lines.size();
           --n) {
        bool no_newline = false;
        out << ArchiveLine(lines[++i], no_newline);
        if (!no_newline) out << '\n';
      }
    }
  }
}

std::map<std::string, double> Read(const HostConfig& config) {
  RowIntake intake;
  HostReader reader(config, "host", intake, SystemClock::Get());
  reader.Collect(1);
  return intake.last;
}

/// "name{a="b"} 1" with its labels sorted, as our own series are printed.
bool ParseSeries(std::string_view line, const std::string& sysfs, std::string& series,
                 double& value) {
  if (line.empty() || line[0] == '#') return false;
  const size_t space = line.rfind(' ');
  value = std::strtod(std::string(line.substr(space + 1)).c_str(), nullptr);
  std::string_view name = line.substr(0, space);
  const size_t brace = name.find('{');
  LabelsBuilder labels;
  labels.Set(kMetricName, name.substr(0, brace));
  if (brace != std::string_view::npos) {
    name = name.substr(brace + 1);
    while (!name.starts_with('}') && !name.empty()) {
      const size_t equal = name.find('=');
      std::string text;
      size_t i = equal + 2;
      for (; name[i] != '"'; ++i) {
        if (name[i] == '\\') ++i;
        text += name[i] == 'n' && name[i - 1] == '\\' ? '\n' : name[i];
      }
      labels.Set(name.substr(0, equal), text);
      name.remove_prefix(std::min(name.size(), i + (name.substr(i + 1).starts_with(',') ? 2 : 1)));
    }
  }
  // A path of the recording machine, where ours has the unpacked tree's.
  if (const std::string path(labels.Get("path")); path.starts_with("collector/fixtures/sys/"))
    labels.Set("path", sysfs + path.substr(22));
  series = labels.Build().ToString();
  return true;
}

/// Which collector a series is of; empty: not one of ours.
std::string CollectorOf(std::string_view series) {
  static constexpr std::pair<std::string_view, std::string_view> kPrefixes[] = {
      {"node_cpu_seconds_total", "cpu"},
      {"node_cpu_guest_seconds_total", "cpu"},
      {"node_cpu_isolated", "cpu"},
      {"node_cpu_core_throttles_total", "cpu"},
      {"node_cpu_package_throttles_total", "cpu"},
      {"node_memory_numa_", ""},
      {"node_memory_", "meminfo"},
      {"node_load", "loadavg"},
      {"node_disk_", "diskstats"},
      {"node_pressure_", "pressure"},
      {"node_network_transmit_queue_length", "netclass"},
      {"node_network_receive_", "netdev"},
      {"node_network_transmit_", "netdev"},
      {"node_network_", "netclass"},
      {"node_boot_time_seconds", "stat"},
      {"node_context_switches_total", "stat"},
      {"node_forks_total", "stat"},
      {"node_intr_total", "stat"},
      {"node_procs_running", "stat"},
      {"node_procs_blocked", "stat"},
      {"node_softirqs_total", "stat"},
      {"node_hwmon_", "hwmon"},
      {"node_power_supply_", "powersupplyclass"},
      {"node_cpu_scaling_", "cpufreq"},
      {"node_edac_", "edac"},
      {"node_md_", "mdadm"},
      {"node_nvme_", "nvme"},
      {"node_rapl_", "rapl"},
      {"node_thermal_zone_", "thermal_zone"},
      {"node_cooling_device_", "thermal_zone"},
      {"node_watchdog_", "watchdog"},
      {"node_xfs_", "xfs"},
      {"node_textfile_scrape_error", "textfile"},
      {"testmetric", "textfile"},
      {"node_arp_", "arp"},
      {"node_bonding_", "bonding"},
      {"node_nf_conntrack_", "conntrack"},
      {"node_dmi_", "dmi"},
      {"node_entropy_", "entropy"},
      {"node_filefd_", "filefd"},
      {"node_kernel_hung_", "kernel_hung"},
      {"node_netstat_", "netstat"},
      {"node_os_", "os"},
      {"node_schedstat_", "schedstat"},
      {"node_sockstat_", "sockstat"},
      {"node_softnet_", "softnet"},
      {"node_time_clock", "time"},
      {"node_udp_queues", "udp_queues"},
      {"node_vmstat_", "vmstat"}};
  for (const auto& [prefix, collector] : kPrefixes) {
    if (series.starts_with(prefix)) return std::string(collector);
  }
  return {};
}

/// Left out of every comparison with this recording: they come from the machine that made it.
bool LeftOut(std::string_view series) {
  for (const std::string_view name :
       {"node_network_receive_bytes_total", "node_network_receive_packets_total",
        "node_network_transmit_bytes_total", "node_network_transmit_packets_total"}) {
    if (series.starts_with(name)) return true;
  }
  return false;
}

struct Tally {
  int passed = 0, total = 0;
};

int Compare(const fs::path& fixtures, const std::string& sysfs,
            const std::map<std::string, double>& got) {
  std::map<std::string, Tally> tallies;
  std::map<std::string, double> expected;
  const std::string text = ReadFile(fixtures / "e2e-output.txt");
  int failures = 0, others = 0;
  for (const std::string_view line : Split(text, '\n')) {
    std::string series;
    double value = 0;
    if (!ParseSeries(line, sysfs, series, value) || LeftOut(series)) continue;
    const std::string collector = CollectorOf(series);
    others += collector.empty();
    if (collector.empty()) continue;
    expected[series] = value;
    Tally& tally = tallies[collector];
    ++tally.total;
    const auto it = got.find(series);
    // The network counters of the recording are its own machine's: there names and labels are
    // compared.
    const bool live = collector == "netdev";
    if (it != got.end() && (live || it->second == value)) {
      ++tally.passed;
      continue;
    }
    ++failures;
    std::printf("  FAIL %s: expected %s, got %s\n", series.c_str(), FormatFloat(value).c_str(),
                it == got.end() ? "nothing" : FormatFloat(it->second).c_str());
  }
  for (const auto& [series, value] : got) {
    const std::string collector = CollectorOf(series);
    if (collector.empty() || LeftOut(series) || expected.contains(series) ||
        (collector == "netdev" && series.find("\"lo\"") == std::string::npos))
      continue;
    ++failures;
    ++tallies[collector].total;
    std::printf("  FAIL unexpected %s %s\n", series.c_str(), FormatFloat(value).c_str());
  }
  for (const auto& [collector, tally] : tallies)
    std::printf("host/%s: %d of %d\n", collector.c_str(), tally.passed, tally.total);
  std::printf("host: %d further series are of collectors that Picket does not have\n", others);
  return failures == 0 ? 0 : 1;
}

/// Each folder of files beside what is expected of it alone.
int CompareTextfiles(const fs::path& root) {
  int passed = 0, total = 0;
  for (const auto& entry : fs::directory_iterator(root)) {
    if (entry.path().extension() != ".out") continue;
    const std::string name = entry.path().stem();
    HostConfig config;
    config.textfile.directories = {root /
                                   (name == "glob_extra_dimension" ? "*_extra_dimension" : name)};
    std::map<std::string, double> expected, got;
    const std::string text = ReadFile(entry.path());
    for (const std::string_view line : Split(text, '\n')) {
      std::string series;
      double value = 0;
      if (ParseSeries(line, "", series, value) && !series.starts_with("node_textfile_mtime"))
        expected[series] = value;
    }
    for (const auto& [series, value] : Read(config)) {
      const bool other = series.starts_with("node_") || series == "up";
      if (!other || series == "node_textfile_scrape_error") got[series] = value;
    }
    ++total;
    passed += got == expected;
    if (got == expected) continue;
    std::printf("  FAIL textfile/%s\n", name.c_str());
    for (const auto& [series, value] : got) {
      if (!expected.contains(series) || expected[series] != value)
        std::printf("    got %s %s\n", series.c_str(), FormatFloat(value).c_str());
    }
    for (const auto& [series, value] : expected) {
      if (!got.contains(series))
        std::printf("    expected %s %s\n", series.c_str(), FormatFloat(value).c_str());
    }
  }
  std::printf("host/textfile folders: %d of %d\n", passed, total);
  return passed == total ? 0 : 1;
}

int Main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "--dump") {
    for (const auto& [series, value] : Read(HostConfig{}))
      std::printf("%s %s\n", series.c_str(), FormatFloat(value).c_str());
    return 0;
  }
  const char* env = std::getenv("PICKET_CONFORMANCE");
  const fs::path root = argc > 1 ? fs::path(argv[1])
                        : env    ? fs::path(env)
                                 : fs::path(PICKET_SOURCE_DIR) / "../shared/conformance";
  const fs::path fixtures = root / "host/fixtures";
  if (!fs::exists(fixtures / "e2e-output.txt")) {
    std::printf("SKIPPED: no recorded host at %s (set PICKET_CONFORMANCE)\n", fixtures.c_str());
    return 77;
  }
  char name[] = "/tmp/picket-host-conformance-XXXXXX";
  const fs::path work = mkdtemp(name);
  Unpack(fixtures / "sys.ttar", work);
  Unpack(fixtures / "udev.ttar", work);
  HostConfig config;
  config.procfs = fixtures / "proc";
  config.sysfs = work / "sys";
  config.udev_data = work / "udev/data";
  config.stat.softirq = true;
  // They ask the running kernel.
  config.filesystem.enabled = config.uname.enabled = config.netdev.enabled = false;
  config.timex.enabled = config.selinux.enabled = false;
  // As the recording was made.
  config.rootfs = fixtures;
  config.arp.netlink = false;
  config.arp.device_exclude = "nope";
  config.netclass.ignored_devices = "(dmz|int)";
  config.netclass.ignore_invalid_speed = true;
  config.hwmon.chip_include = "(applesmc|asus_nb_wmi|coretemp|hwmon4|ieee80211|nct6779)";
  config.textfile.directories = {fixtures / "textfile/two_metric_files"};
  std::map<std::string, double> got = Read(config);
  // node_exporter asked the kernel it ran on for `lo`; so do we.
  for (const auto& [series, value] : Read(HostConfig{})) {
    if (CollectorOf(series) == "netdev" && series.find("device=\"lo\"") != std::string::npos)
      got.emplace(series, value);
  }
  const int code = Compare(fixtures, config.sysfs, got) | CompareTextfiles(fixtures / "textfile");
  fs::remove_all(work);
  return code;
}

}  // namespace
}  // namespace picket::collectors::host

int main(int argc, char** argv) { return picket::collectors::host::Main(argc, argv); }
