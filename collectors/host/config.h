// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <chrono>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/config/object.h"
#include "core/model/labels.h"

namespace picket::collectors::host {

struct Switch {
  bool enabled = true;
};
struct CpuConfig {
  bool enabled = true;
  bool guest = true;
};
struct DiskConfig {
  bool enabled = true;
  std::string device_exclude = R"(^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$)";
};
struct FilesystemConfig {
  bool enabled = true;
  std::string mount_points_exclude =
      "^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)";
  std::string fs_types_exclude =
      "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|"
      "iso9660|mqueue|nsfs|"
      "overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|tracefs)$";
  Milliseconds mount_timeout{std::chrono::seconds(5)};
};
struct NetworkConfig {
  bool enabled = true;
  std::string device_exclude;
};
struct NetstatConfig {
  bool enabled = true;
  std::string fields =
      "^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)|"
      "TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)|"
      "Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab)|"
      "Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$";
};
struct VmstatConfig {
  bool enabled = true;
  std::string fields = "^(oom_kill|pgpg|pswp|pg.*fault).*";
};
struct NetClassConfig {
  bool enabled = true;
  std::string ignored_devices = "^$";
  bool ignore_invalid_speed = false;
};
struct ArpConfig {
  bool enabled = true;
  std::string device_exclude;
  bool netlink = true;
};
struct HwmonConfig {
  bool enabled = true;
  std::string chip_include, chip_exclude;
};
struct PowerSupplyConfig {
  bool enabled = true;
  std::string ignored_supplies = "^$";
};
struct TextfileConfig {
  bool enabled = true;
  std::vector<std::string> directories;
};
struct StatConfig {
  bool enabled = true;
  bool softirq = false;
};

/// The node's own health under node_exporter's names, with its defaults.
struct HostConfig {
  bool enabled = true;
  Milliseconds interval{std::chrono::seconds(15)};
  std::string procfs = "/proc";
  std::string sysfs = "/sys";
  std::string rootfs = "/";
  std::string udev_data = "/run/udev/data";
  std::string job = "node";
  Labels labels;
  CpuConfig cpu;
  Switch meminfo, loadavg, uname, pressure;
  DiskConfig diskstats;
  FilesystemConfig filesystem;
  NetworkConfig netdev;
  StatConfig stat;
  NetstatConfig netstat;
  VmstatConfig vmstat;
  NetClassConfig netclass;
  ArpConfig arp;
  Switch sockstat, softnet, udp_queues, conntrack, bonding, filefd, entropy, schedstat, kernel_hung;
  Switch time, timex, os, dmi, selinux;
  HwmonConfig hwmon;
  PowerSupplyConfig powersupplyclass;
  TextfileConfig textfile;
  Switch cpufreq, edac, mdadm, nvme, rapl, thermal_zone, watchdog, xfs;
};

void Declare(config::Object<Switch>& o);
void Declare(config::Object<CpuConfig>& o);
void Declare(config::Object<DiskConfig>& o);
void Declare(config::Object<FilesystemConfig>& o);
void Declare(config::Object<NetworkConfig>& o);
void Declare(config::Object<StatConfig>& o);
void Declare(config::Object<NetstatConfig>& o);
void Declare(config::Object<VmstatConfig>& o);
void Declare(config::Object<NetClassConfig>& o);
void Declare(config::Object<ArpConfig>& o);
void Declare(config::Object<HwmonConfig>& o);
void Declare(config::Object<PowerSupplyConfig>& o);
void Declare(config::Object<TextfileConfig>& o);
void Declare(config::Object<HostConfig>& o);

}  // namespace picket::collectors::host
