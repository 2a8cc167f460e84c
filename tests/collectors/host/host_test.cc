// SPDX-License-Identifier: Apache-2.0
#include "collectors/host/host.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <limits>
#include <mutex>

#include "collectors/host/file.h"
#include "collectors/host/filter.h"
#include "collectors/host/manager.h"
#include "collectors/host/statfs_guard.h"
#include "picket_source_dir.h"
#include "tests/collectors/host/host_dump.h"

namespace picket::collectors::host {
namespace {

HostConfig Recorded(const std::string& root) {
  HostConfig config;
  config.procfs = root + "/proc";
  config.sysfs = root + "/sys";
  config.udev_data = root + "/udev";
  config.stat.softirq = true;
  config.arp.netlink = false;
  return config;
}
const std::string kRecorded = std::string(PICKET_SOURCE_DIR) + "/tests/data/host";

class Host : public testing::Test {
 protected:
  void Read(const HostConfig& config) {
    HostReader reader(config, "node-1", intake, clock);
    errors = reader.Collect(1000).errors;
    values = intake.last;
  }
  /// A value, or a number no series here has.
  double Of(const std::string& series) const {
    const auto it = values.find(series);
    return it == values.end() ? -12345 : it->second;
  }
  ManualClock clock;
  RowIntake intake;
  std::map<std::string, std::string> errors;
  std::map<std::string, double> values;
};

TEST_F(Host, ReadsTheRecordedTree) {
  Read(Recorded(kRecorded));
  EXPECT_TRUE(errors.empty()) << errors.begin()->second;
  EXPECT_EQ(intake.duplicates, 0u);
  const std::pair<const char*, double> expected[] = {
      {"up", 1},
      {"node_cpu_seconds_total{cpu=\"0\", mode=\"user\"}", 1.01},
      {"node_cpu_seconds_total{cpu=\"1\", mode=\"idle\"}", 4},
      {"node_cpu_seconds_total{cpu=\"0\", mode=\"steal\"}", 0.01},
      {"node_cpu_guest_seconds_total{cpu=\"0\", mode=\"user\"}", 0.05},
      {"node_cpu_isolated{cpu=\"4\"}", 1},
      {"node_intr_total", 8885917},
      {"node_context_switches_total", 38014093},
      {"node_boot_time_seconds", 1418183276},
      {"node_forks_total", 26442},
      {"node_procs_running", 2},
      {"node_procs_blocked", 1},
      {"node_softirqs_total{vector=\"rcu\"}", 10},
      {"node_memory_MemTotal_bytes", 3742148.0 * 1024},
      {"node_memory_Active_anon_bytes", 2020004.0 * 1024},
      {"node_memory_HugePages_Total", 3},
      {"node_load1", 0.21},
      {"node_load15", 0.39},
      {"node_disk_reads_completed_total{device=\"sda\"}", 10},
      {"node_disk_read_bytes_total{device=\"sda\"}", 200 * 512},
      {"node_disk_write_time_seconds_total{device=\"sda\"}", 50 * 0.001},
      {"node_disk_flush_requests_time_seconds_total{device=\"sda\"}", 9 * 0.001},
      {"node_disk_io_now{device=\"dm-0\"}", 9},
      {"node_disk_info{device=\"sda\", major=\"8\", minor=\"0\", model=\"TOSHIBA\", "
       "rotational=\"0\", serial=\"S1\"}",
       1},
      {"node_disk_filesystem_info{device=\"sda\", type=\"ext4\", uuid=\"u-1\"}", 1},
      {"node_disk_ata_rotation_rate_rpm{device=\"sda\"}", 7200},
      {"node_network_receive_bytes_total{device=\"lo\"}", 100},
      {"node_network_transmit_compressed_total{device=\"eth0.5\"}", 16},
      {"node_pressure_io_waiting_seconds_total", 159886802 / 1000.0 / 1000.0},
      {"node_pressure_memory_stalled_seconds_total", 4e-6},
      {"node_filesystem_readonly{device=\"/dev/sda1\", fstype=\"ext4\", mountpoint=\"/\"}", 0},
      {"node_filesystem_readonly{device=\"/dev/sdb1\", device_error=\"statfs: No such file or "
       "directory\", fstype=\"xfs\", mountpoint=\"/no such place\"}",
       1},
      {"node_filesystem_device_error{device=\"/dev/sdb1\", device_error=\"statfs: No such file or "
       "directory\", fstype=\"xfs\", mountpoint=\"/no such place\"}",
       1},
      {"node_filesystem_mount_info{device=\"/dev/sda1\", major=\"254\", minor=\"1\", "
       "mountpoint=\"/\"}",
       1},
      {"node_filesystem_mount_info{device=\"/dev/sda1\", major=\"254\", minor=\"7\", "
       "mountpoint=\"/\"}",
       1},
      {"node_scrape_collector_success{collector=\"diskstats\"}", 1},
      {"node_arp_entries{device=\"eth0\"}", 1},
      {"node_filefd_maximum", 1631329},
      {"node_vmstat_oom_kill", 3},
      {"node_netstat_TcpExt_ListenDrops", 2},
      {"node_netstat_IpExt_InOctets", 6286396970},
      {"node_netstat_Tcp_CurrEstab", 4},
      {"node_softnet_processed_total{cpu=\"2\"}", 0x8e78},            // processor 1 is offline
      {"node_scrape_collector_success{collector=\"schedstat\"}", 0},  // no such file: no failure
  };
  for (const auto& [series, value] : expected) EXPECT_DOUBLE_EQ(Of(series), value) << series;
  for (const auto& [series, value] : values) {
    EXPECT_EQ(series.find("loop0"), std::string::npos) << series;            // excluded
    EXPECT_EQ(series.find("device=\"sda1\""), std::string::npos) << series;  // a partition
    EXPECT_EQ(series.find("overlay"), std::string::npos) << series;
  }
  EXPECT_EQ(Of("node_disk_discards_completed_total{device=\"dm-0\"}"),
            -12345);  // an older kernel's line is shorter
  EXPECT_EQ(Of("node_netstat_TcpExt_TW"), -12345);
  EXPECT_EQ(Of("node_vmstat_allocstall"), -12345);
  EXPECT_EQ(Of("node_network_receive_nohandler_total{device=\"lo\"}"), -12345);
}

TEST_F(Host, HasTheLabelsOfAScrape) {
  HostConfig config = Recorded(kRecorded);
  config.labels = Labels({{"env", "dev"}});
  Read(config);
  EXPECT_EQ(intake.label_sets[0].ToString(), R"(up{env="dev", instance="node-1", job="node"})");
  EXPECT_TRUE(intake.closed);
  EXPECT_TRUE(intake.held.empty());
}

TEST_F(Host, APartThatFailsLeavesTheOthers) {
  HostConfig config = Recorded(kRecorded);
  config.procfs = "/nowhere";
  Read(config);
  EXPECT_EQ(Of("node_scrape_collector_success{collector=\"meminfo\"}"), 0);
  EXPECT_EQ(Of("node_scrape_collector_success{collector=\"uname\"}"), 1);
  EXPECT_NE(errors["meminfo"].find("/nowhere/meminfo"), std::string::npos);
  EXPECT_FALSE(errors.contains("pressure"));  // a kernel may be without
}

TEST_F(Host, PartsCanBeTurnedOff) {
  HostConfig config = Recorded(kRecorded);
  config.cpu.enabled = config.filesystem.enabled = false;
  config.diskstats.device_exclude = "^sda";
  Read(config);
  for (const auto& [series, value] : values) {
    EXPECT_FALSE(series.starts_with("node_cpu") || series.starts_with("node_filesystem")) << series;
    EXPECT_EQ(series.find("\"sda"), std::string::npos) << series;
  }
  EXPECT_EQ(Of("node_disk_io_now{device=\"dm-0\"}"), 9);
}

/// A tree that can be changed between two looks.
class Changing : public Host {
 protected:
  Changing() {
    char name[] = "/tmp/picket-host-XXXXXX";
    root = mkdtemp(name);
    std::filesystem::copy(kRecorded, root, std::filesystem::copy_options::recursive);
  }
  ~Changing() override { std::filesystem::remove_all(root); }
  void Write(const std::string& file, const std::string& text) {
    std::ofstream(root + "/" + file, std::ios::trunc) << text;
  }
  std::string root;
};

TEST_F(Changing, KeepsItsLayoutAndEndsWhatVanishes) {
  HostReader reader(Recorded(root), "n", intake, clock);
  reader.Collect(1000);
  const uint64_t layout = intake.layout;
  const size_t interns = intake.interns;
  Write("proc/loadavg", "1.5 2 3 1/1 1\n");
  reader.Collect(2000);
  EXPECT_EQ(intake.layout, layout);
  EXPECT_EQ(intake.interns, interns);
  EXPECT_EQ(intake.last["node_load1"], 1.5);

  Write("proc/diskstats",
        "   8  16 sdb 1 0 0 0 0 0 0 0 0 0 0\n   8  0 sda 11 1 200 30 20 2 400 50 3 60 70\n");
  reader.Collect(3000);
  EXPECT_NE(intake.layout, layout);
  EXPECT_TRUE(IsStaleNan(intake.last["node_disk_io_now{device=\"dm-0\"}"]));
  EXPECT_TRUE(IsStaleNan(intake.last["node_disk_discards_completed_total{device=\"sda\"}"]));
  EXPECT_EQ(intake.last["node_disk_reads_completed_total{device=\"sda\"}"], 11);
  EXPECT_EQ(intake.last["node_disk_reads_completed_total{device=\"sdb\"}"], 1);
  reader.Collect(4000);
  EXPECT_FALSE(intake.last.contains("node_disk_io_now{device=\"dm-0\"}"));
  EXPECT_EQ(intake.held.size(), intake.last.size());
  reader.End(5000);
  for (const auto& [series, value] : intake.last) EXPECT_TRUE(IsStaleNan(value)) << series;
}

TEST_F(Changing, CountersDoNotGoBack) {
  HostReader reader(Recorded(root), "n", intake, clock);
  reader.Collect(1000);
  Write("proc/stat", "cpu0 100 1 41 500 3 0 2 1 5 1\n");
  reader.Collect(2000);
  EXPECT_DOUBLE_EQ(intake.last["node_cpu_seconds_total{cpu=\"0\", mode=\"user\"}"], 1.01);
  EXPECT_DOUBLE_EQ(intake.last["node_cpu_seconds_total{cpu=\"0\", mode=\"system\"}"], 0.41);
  Write("proc/stat", "cpu0 1 1 1 1 0 0 0 0 0 0\n");  // the processor was away
  reader.Collect(3000);
  EXPECT_DOUBLE_EQ(intake.last["node_cpu_seconds_total{cpu=\"0\", mode=\"user\"}"], 0.01);
}

TEST_F(Changing, TextfilesAreReadAnewWhenTheyChangeAndLeftOutWhenTheyAreWrong) {
  std::filesystem::create_directories(root + "/text");
  Write("text/a.prom", "# TYPE jobs_total counter\njobs_total{name=\"x\\\"y\"} 1\nbare +Inf\n");
  Write("text/b.prom", "other 1 1441205977284\n");
  Write("text/c.txt", "not_one 1\n");
  HostConfig config = Recorded(root);
  config.textfile.directories = {root + "/te*"};
  HostReader reader(config, "n", intake, clock);
  reader.Collect(1000);
  EXPECT_EQ(intake.last["jobs_total{name=\"x\\\"y\"}"], 1);
  EXPECT_EQ(intake.last["bare"], std::numeric_limits<double>::infinity());
  EXPECT_FALSE(intake.last.contains("other"));
  EXPECT_FALSE(intake.last.contains("not_one"));
  EXPECT_EQ(intake.last["node_textfile_scrape_error"], 1);
  EXPECT_TRUE(
      intake.last.contains("node_textfile_mtime_seconds{file=\"" + root + "/text/a.prom\"}"));

  Write("text/new", "jobs_total{name=\"z\"} 2\n");  // as a script does: aside, then renamed
  std::filesystem::rename(root + "/text/new", root + "/text/a.prom");
  std::filesystem::remove(root + "/text/b.prom");
  reader.Collect(2000);
  EXPECT_EQ(intake.last["jobs_total{name=\"z\"}"], 2);
  EXPECT_TRUE(IsStaleNan(intake.last["bare"]));
  EXPECT_EQ(intake.last["node_textfile_scrape_error"], 0);
  for (const char* bad : {"1a 1\n", "a{b=\"c\" 1\n", "a{b=c} 1\n", "a x\n", "a{b=\"c} 1\n",
                          "a{b=\"1\",b=\"2\"} 1\n", "a\n", "a{b=\"\xff\"} 1\n"}) {
    Write("text/bad.prom", bad);
    reader.Collect(3000);
    EXPECT_EQ(intake.last["node_textfile_scrape_error"], 1) << bad;
    EXPECT_EQ(intake.last["jobs_total{name=\"z\"}"], 2) << bad;
    std::filesystem::remove(root + "/text/bad.prom");
  }
}

TEST_F(Changing, ADeviceInSysfsThatGoesAndComesBackIsReadAnew) {
  const auto device = [this](const char* mtu) {
    std::filesystem::create_directories(root + "/sys/class/net/eth0");
    Write("sys/class/net/eth0/operstate", "up\n");
    Write("sys/class/net/eth0/mtu", mtu);
  };
  device("1500\n");
  HostReader reader(Recorded(root), "n", intake, clock);
  const std::string mtu = "node_network_mtu_bytes{device=\"eth0\"}";
  reader.Collect(1000);
  EXPECT_EQ(intake.last[mtu], 1500);
  std::filesystem::remove_all(root + "/sys/class/net/eth0");
  reader.Collect(2000);
  EXPECT_TRUE(IsStaleNan(intake.last[mtu]));
  reader.Collect(3000);
  device("9000\n");
  reader.Collect(4000);
  EXPECT_EQ(intake.last[mtu], 9000);
}

TEST_F(Changing, RefusedSeriesAreAskedForAgain) {
  HostReader reader(Recorded(root), "n", intake, clock);
  intake.refuse = true;
  reader.Collect(1000);
  EXPECT_TRUE(intake.last.empty());
  intake.refuse = false;
  reader.Collect(2000);
  EXPECT_EQ(intake.last["node_load1"], 0.21);
}

/// Lets a test wait for rows.
class WaitingIntake final : public RowIntake {
 public:
  SourceId OpenSource(std::string name) override {
    std::lock_guard lock(mutex_);
    ++open_;
    return RowIntake::OpenSource(std::move(name));
  }
  void CloseSource(SourceId source) override {
    std::lock_guard lock(mutex_);
    --open_;
    RowIntake::CloseSource(source);
    changed_.notify_all();
  }
  void Append(const SampleRow& row) override {
    std::lock_guard lock(mutex_);
    RowIntake::Append(row);
    ++rows_;
    changed_.notify_all();
  }
  bool Until(const std::function<bool()>& there) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), there);
  }
  int rows() const { return rows_; }
  int open() const { return open_; }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int rows_ = 0, open_ = 0;
};

TEST(HostManager, LooksAtOnceThenAtEveryIntervalUntilItEnds) {
  WaitingIntake intake;
  Telemetry telemetry;
  BalanceBook balances;
  net::Runtime runtime(1);
  HostManager manager({runtime, intake, SystemClock::Get(), telemetry, balances, "node-1"});
  HostConfig config = Recorded(kRecorded);
  config.interval = Milliseconds(100);
  manager.ApplyConfig(config);
  manager.ApplyConfig(config);  // nothing new
  ASSERT_TRUE(intake.Until([&] { return intake.rows() >= 3; }));
  ASSERT_TRUE(intake.Until([&] { return intake.open() == 1; }));
  EXPECT_TRUE(manager.state().running);
  EXPECT_GT(manager.state().series, 50u);
  config.enabled = false;
  manager.ApplyConfig(config);
  ASSERT_TRUE(intake.Until([&] { return intake.open() == 0; }));
  ASSERT_TRUE(intake.Until([&] { return IsStaleNan(intake.last["up"]); }));
  manager.Stop(std::chrono::seconds(5));
  const auto book = balances.Read();
  ASSERT_EQ(book.size(), 1u);
  EXPECT_EQ(book[0].queued(), 0);
}

TEST(StatfsGuard, GivesUpAMountThatHangsAndComesBackToIt) {
  std::mutex mutex;
  std::condition_variable changed;
  bool open = false;
  int hanging = 0;
  StatfsGuard guard(Milliseconds(2000), [&](const char* path, struct statvfs* out) {
    if (std::string(path) == "/hangs") {
      std::unique_lock lock(mutex);
      ++hanging;
      changed.wait(lock, [&] { return open; });
      --hanging;
      changed.notify_all();
    }
    out->f_blocks = 7;
    return 0;
  });
  EXPECT_EQ(guard.Ask("/a")->f_blocks, 7u);
  EXPECT_EQ(guard.Ask("/hangs").error().kind(), ErrorKind::kTimeout);
  EXPECT_EQ(guard.Ask("/hangs").error().kind(), ErrorKind::kTimeout);  // at once
  EXPECT_EQ(guard.Ask("/a")->f_blocks, 7u);                            // the others go on
  std::unique_lock lock(mutex);
  EXPECT_EQ(hanging, 1);
  open = true;
  changed.notify_all();
  EXPECT_TRUE(changed.wait_for(lock, std::chrono::seconds(20), [&] { return hanging == 0; }));
}

TEST(KernelFile, ReadsAnewAndSaysWhatIsMissing) {
  KernelFile file("/nowhere/x");
  EXPECT_NE(file.Read().error().ToString().find("/nowhere/x"), std::string::npos);
  KernelFile stat("/proc/self/stat");
  ASSERT_TRUE(stat.Read());
  ASSERT_TRUE(stat.Read());
  EXPECT_FALSE(stat.Read()->empty());
}

TEST(Config, ChecksPatterns) {
  EXPECT_TRUE(config::FromYaml<HostConfig>("netdev: {device_exclude: '^veth'}"));
  EXPECT_FALSE(config::FromYaml<HostConfig>("netdev: {device_exclude: '('}"));
  EXPECT_FALSE(config::FromYaml<HostConfig>("interval: 1ms"));
}

}  // namespace
}  // namespace picket::collectors::host
