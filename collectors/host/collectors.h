// SPDX-License-Identifier: Apache-2.0
// The parts of the host's health. Each reads some files of the kernel's and tells its series in a
// fixed order. Source: node_exporter 1.12, whose names, labels and units these are.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "collectors/host/config.h"
#include "collectors/host/row.h"
#include "core/base/result.h"

namespace picket::collectors::host {

/// One part. Threads: one at a time; may block on the kernel.
/// Errors: what keeps the part from telling anything; kUnsupported where the host does not have
/// what the part tells of. What concerns one device or line is left out.
class Part {
 public:
  virtual ~Part() = default;
  virtual std::string_view name() const = 0;
  virtual Status Tell(Row& row) = 0;
};

std::unique_ptr<Part> MakeArp(const HostConfig& config);
std::unique_ptr<Part> MakeBonding(const HostConfig& config);
std::unique_ptr<Part> MakeConntrack(const HostConfig& config);
std::unique_ptr<Part> MakeCpu(const HostConfig& config);
std::unique_ptr<Part> MakeCpuFreq(const HostConfig& config);
std::unique_ptr<Part> MakeDisks(const HostConfig& config);
std::unique_ptr<Part> MakeDmi(const HostConfig& config);
std::unique_ptr<Part> MakeEdac(const HostConfig& config);
std::unique_ptr<Part> MakeEntropy(const HostConfig& config);
std::unique_ptr<Part> MakeFilefd(const HostConfig& config);
std::unique_ptr<Part> MakeFilesystems(const HostConfig& config);
std::unique_ptr<Part> MakeHwmon(const HostConfig& config);
std::unique_ptr<Part> MakeKernelHung(const HostConfig& config);
std::unique_ptr<Part> MakeLoad(const HostConfig& config);
std::unique_ptr<Part> MakeMdadm(const HostConfig& config);
std::unique_ptr<Part> MakeMemory(const HostConfig& config);
std::unique_ptr<Part> MakeNetClass(const HostConfig& config);
std::unique_ptr<Part> MakeNetstat(const HostConfig& config);
std::unique_ptr<Part> MakeNetwork(const HostConfig& config);
std::unique_ptr<Part> MakeNvme(const HostConfig& config);
std::unique_ptr<Part> MakeOsRelease(const HostConfig& config);
std::unique_ptr<Part> MakePowerSupply(const HostConfig& config);
std::unique_ptr<Part> MakePressure(const HostConfig& config);
std::unique_ptr<Part> MakeRapl(const HostConfig& config);
std::unique_ptr<Part> MakeSchedstat(const HostConfig& config);
std::unique_ptr<Part> MakeSelinux(const HostConfig& config);
std::unique_ptr<Part> MakeSockstat(const HostConfig& config);
std::unique_ptr<Part> MakeSoftnet(const HostConfig& config);
std::unique_ptr<Part> MakeStat(const HostConfig& config);
std::unique_ptr<Part> MakeTextfile(const HostConfig& config);
std::unique_ptr<Part> MakeThermal(const HostConfig& config);
std::unique_ptr<Part> MakeTime(const HostConfig& config);
std::unique_ptr<Part> MakeTimex(const HostConfig& config);
std::unique_ptr<Part> MakeUdpQueues(const HostConfig& config);
std::unique_ptr<Part> MakeUname(const HostConfig& config);
std::unique_ptr<Part> MakeVmstat(const HostConfig& config);
std::unique_ptr<Part> MakeWatchdog(const HostConfig& config);
std::unique_ptr<Part> MakeXfs(const HostConfig& config);

/// The enabled ones, by name.
std::vector<std::unique_ptr<Part>> MakeParts(const HostConfig& config);

}  // namespace picket::collectors::host
