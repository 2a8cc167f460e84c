// SPDX-License-Identifier: Apache-2.0
#include "collectors/host/config.h"

#include "collectors/host/filter.h"

namespace picket::collectors::host {
namespace {

constexpr std::string_view kEnabled = "Whether this part is collected.";

template <class T>
config::FieldRef<std::string> Pattern(config::Object<T>& o, std::string_view name,
                                      std::string T::* member, std::string_view text) {
  return o.Field(name, member, text)
      .NoExpand()
      .Check([](const std::string& pattern, config::Reporter& r) {
        if (auto filter = Filter::Compile(pattern); !filter)
          r.Error("", filter.error().message(), "Write a regular expression of RE2.");
      });
}

}  // namespace

void Declare(config::Object<Switch>& o) { o.Field("enabled", &Switch::enabled, kEnabled); }

void Declare(config::Object<CpuConfig>& o) {
  o.Field("enabled", &CpuConfig::enabled, kEnabled);
  o.Field("guest", &CpuConfig::guest, "Whether time spent in guests is told too.");
}

void Declare(config::Object<DiskConfig>& o) {
  o.Field("enabled", &DiskConfig::enabled, kEnabled);
  Pattern(o, "device_exclude", &DiskConfig::device_exclude, "Devices to leave out.");
}

void Declare(config::Object<FilesystemConfig>& o) {
  o.Field("enabled", &FilesystemConfig::enabled, kEnabled);
  Pattern(o, "mount_points_exclude", &FilesystemConfig::mount_points_exclude,
          "Mount points to leave out.");
  Pattern(o, "fs_types_exclude", &FilesystemConfig::fs_types_exclude,
          "Types of file systems to leave out.");
  o.Field("mount_timeout", &FilesystemConfig::mount_timeout,
          "How long a mount may take to answer before it counts as stuck.")
      .Min(Milliseconds(1));
}

void Declare(config::Object<NetworkConfig>& o) {
  o.Field("enabled", &NetworkConfig::enabled, kEnabled);
  Pattern(o, "device_exclude", &NetworkConfig::device_exclude,
          "Devices to leave out; empty is none.");
}

void Declare(config::Object<StatConfig>& o) {
  o.Field("enabled", &StatConfig::enabled, kEnabled);
  o.Field("softirq", &StatConfig::softirq, "Whether soft interrupts are told by vector.");
}

void Declare(config::Object<NetstatConfig>& o) {
  o.Field("enabled", &NetstatConfig::enabled, kEnabled);
  Pattern(o, "fields", &NetstatConfig::fields, "Fields to tell, as Protocol_Field.");
}

void Declare(config::Object<VmstatConfig>& o) {
  o.Field("enabled", &VmstatConfig::enabled, kEnabled);
  Pattern(o, "fields", &VmstatConfig::fields, "Fields to tell.");
}

void Declare(config::Object<NetClassConfig>& o) {
  o.Field("enabled", &NetClassConfig::enabled, kEnabled);
  Pattern(o, "ignored_devices", &NetClassConfig::ignored_devices, "Devices to leave out.");
  o.Field("ignore_invalid_speed", &NetClassConfig::ignore_invalid_speed,
          "Whether a speed the device does not know is left out rather than told as negative.");
}

void Declare(config::Object<ArpConfig>& o) {
  o.Field("enabled", &ArpConfig::enabled, kEnabled);
  Pattern(o, "device_exclude", &ArpConfig::device_exclude, "Devices to leave out; empty is none.");
  o.Field("netlink", &ArpConfig::netlink,
          "Whether the kernel is asked over netlink, which knows IPv6 neighbours too, rather than "
          "/proc/net/arp.");
}

void Declare(config::Object<HwmonConfig>& o) {
  o.Field("enabled", &HwmonConfig::enabled, kEnabled);
  Pattern(o, "chip_include", &HwmonConfig::chip_include, "Chips to take in; empty is all.");
  Pattern(o, "chip_exclude", &HwmonConfig::chip_exclude, "Chips to leave out; empty is none.");
}

void Declare(config::Object<PowerSupplyConfig>& o) {
  o.Field("enabled", &PowerSupplyConfig::enabled, kEnabled);
  Pattern(o, "ignored_supplies", &PowerSupplyConfig::ignored_supplies, "Supplies to leave out.");
}

void Declare(config::Object<TextfileConfig>& o) {
  o.Field("enabled", &TextfileConfig::enabled, kEnabled);
  o.Field("directories", &TextfileConfig::directories,
          "Folders whose *.prom files are taken in; patterns as of a shell.");
}

void Declare(config::Object<HostConfig>& o) {
  o.Doc("The node's own health, under node_exporter's names.");
  o.Field("enabled", &HostConfig::enabled, "Whether the host is watched.");
  o.Field("interval", &HostConfig::interval, "How often.").Min(Milliseconds(100));
  o.Field("procfs", &HostConfig::procfs, "Where procfs is mounted.").Path();
  o.Field("sysfs", &HostConfig::sysfs, "Where sysfs is mounted.").Path();
  o.Field("rootfs", &HostConfig::rootfs,
          "Where the host's root is mounted, when this is a container.")
      .Path();
  o.Field("udev_data", &HostConfig::udev_data, "Where udev keeps what it knows of devices.").Path();
  o.Field("job", &HostConfig::job, "The label `job` of the series.");
  o.Field("labels", &HostConfig::labels, "Further labels of the series.");
  o.Field("cpu", &HostConfig::cpu, "Time by processor and mode, throttling, isolation.");
  o.Field("meminfo", &HostConfig::meminfo, "Memory.");
  o.Field("loadavg", &HostConfig::loadavg, "Load averages.");
  o.Field("diskstats", &HostConfig::diskstats, "Block devices.");
  o.Field("filesystem", &HostConfig::filesystem, "Mounted file systems.");
  o.Field("netdev", &HostConfig::netdev, "Network devices.");
  o.Field("stat", &HostConfig::stat, "Boot time, forks, interrupts, processes.");
  o.Field("uname", &HostConfig::uname, "The kernel's name for itself.");
  o.Field("pressure", &HostConfig::pressure, "Pressure stall information.");
  o.Field("netstat", &HostConfig::netstat, "Counters of IP, ICMP, TCP and UDP.");
  o.Field("sockstat", &HostConfig::sockstat, "Sockets by protocol and state.");
  o.Field("softnet", &HostConfig::softnet, "Packets processed, dropped and squeezed by processor.");
  o.Field("udp_queues", &HostConfig::udp_queues, "Bytes waiting in UDP queues.");
  o.Field("conntrack", &HostConfig::conntrack, "The connection tracking table.");
  o.Field("arp", &HostConfig::arp, "Neighbours by network device.");
  o.Field("netclass", &HostConfig::netclass, "State and properties of network devices.");
  o.Field("bonding", &HostConfig::bonding, "Bonded network devices.");
  o.Field("vmstat", &HostConfig::vmstat, "Paging and out-of-memory kills.");
  o.Field("filefd", &HostConfig::filefd, "File descriptors in use.");
  o.Field("entropy", &HostConfig::entropy, "Random bits there are.");
  o.Field("schedstat", &HostConfig::schedstat, "Scheduler run and wait time by processor.");
  o.Field("kernel_hung", &HostConfig::kernel_hung, "Tasks the kernel found hung.");
  o.Field("time", &HostConfig::time, "The clock, its zone and its source.");
  o.Field("timex", &HostConfig::timex, "How well the clock is synchronised.");
  o.Field("os", &HostConfig::os, "The operating system's name and version.");
  o.Field("dmi", &HostConfig::dmi, "The machine's make, from its firmware.");
  o.Field("selinux", &HostConfig::selinux, "Whether SELinux is on.");
  o.Field("hwmon", &HostConfig::hwmon, "Temperatures, fans, voltages and power of the hardware.");
  o.Field("thermal_zone", &HostConfig::thermal_zone, "Thermal zones and cooling devices.");
  o.Field("cpufreq", &HostConfig::cpufreq, "Processor frequencies.");
  o.Field("powersupplyclass", &HostConfig::powersupplyclass, "Batteries and power supplies.");
  o.Field("rapl", &HostConfig::rapl, "Energy the processor took.");
  o.Field("edac", &HostConfig::edac, "Memory errors found and corrected.");
  o.Field("nvme", &HostConfig::nvme, "NVMe devices and namespaces.");
  o.Field("mdadm", &HostConfig::mdadm, "Software RAID.");
  o.Field("watchdog", &HostConfig::watchdog, "Watchdog timers.");
  o.Field("xfs", &HostConfig::xfs, "XFS' own counters.");
  o.Field("textfile", &HostConfig::textfile, "Series that scripts leave in files.");
}

}  // namespace picket::collectors::host
