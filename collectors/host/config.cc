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
}

}  // namespace picket::collectors::host
