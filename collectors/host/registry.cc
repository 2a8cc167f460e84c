// SPDX-License-Identifier: Apache-2.0
// Every part in one line: when it is on, and what makes it.
#include "collectors/host/collectors.h"

namespace picket::collectors::host {
namespace {

struct Entry {
  bool (*enabled)(const HostConfig&);
  std::unique_ptr<Part> (*make)(const HostConfig&);
};
template <auto member>
constexpr Entry On(std::unique_ptr<Part> (*make)(const HostConfig&)) {
  return {[](const HostConfig& c) { return (c.*member).enabled; }, make};
}

using C = HostConfig;
constexpr Entry kParts[] = {
    On<&C::arp>(MakeArp),
    On<&C::bonding>(MakeBonding),
    On<&C::conntrack>(MakeConntrack),
    On<&C::cpu>(MakeCpu),
    On<&C::cpufreq>(MakeCpuFreq),
    On<&C::diskstats>(MakeDisks),
    On<&C::dmi>(MakeDmi),
    On<&C::edac>(MakeEdac),
    On<&C::entropy>(MakeEntropy),
    On<&C::filefd>(MakeFilefd),
    On<&C::filesystem>(MakeFilesystems),
    On<&C::hwmon>(MakeHwmon),
    On<&C::kernel_hung>(MakeKernelHung),
    On<&C::loadavg>(MakeLoad),
    On<&C::mdadm>(MakeMdadm),
    On<&C::meminfo>(MakeMemory),
    On<&C::netclass>(MakeNetClass),
    On<&C::netdev>(MakeNetwork),
    On<&C::netstat>(MakeNetstat),
    On<&C::nvme>(MakeNvme),
    On<&C::os>(MakeOsRelease),
    On<&C::powersupplyclass>(MakePowerSupply),
    On<&C::pressure>(MakePressure),
    On<&C::rapl>(MakeRapl),
    On<&C::schedstat>(MakeSchedstat),
    On<&C::selinux>(MakeSelinux),
    On<&C::sockstat>(MakeSockstat),
    On<&C::softnet>(MakeSoftnet),
    On<&C::stat>(MakeStat),
    On<&C::textfile>(MakeTextfile),
    On<&C::thermal_zone>(MakeThermal),
    On<&C::time>(MakeTime),
    On<&C::timex>(MakeTimex),
    On<&C::udp_queues>(MakeUdpQueues),
    On<&C::uname>(MakeUname),
    On<&C::vmstat>(MakeVmstat),
    On<&C::watchdog>(MakeWatchdog),
    On<&C::xfs>(MakeXfs),
};

}  // namespace

std::vector<std::unique_ptr<Part>> MakeParts(const HostConfig& config) {
  std::vector<std::unique_ptr<Part>> parts;
  for (const Entry& entry : kParts) {
    if (entry.enabled(config)) parts.push_back(entry.make(config));
  }
  return parts;
}

}  // namespace picket::collectors::host
