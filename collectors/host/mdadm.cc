// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "collectors/host/attributes.h"
#include "collectors/host/collectors.h"
#include "collectors/host/file.h"
#include "core/base/strings.h"

namespace picket::collectors::host {
namespace {

const Family kState =
    Gauge("node_md_state", "Indicates the state of md-device.", {"device", "state"});
const Family kDisks =
    Gauge("node_md_disks", "Number of active/failed/spare disks of device.", {"device", "state"});
const Family kRequired =
    Gauge("node_md_disks_required", "Total number of disks of device.", {"device"});
const Family kBlocks = Gauge("node_md_blocks", "Total number of blocks on device.", {"device"});
const Family kSynced =
    Gauge("node_md_blocks_synced", "Number of blocks synced on device.", {"device"});
const Family kDegraded =
    Gauge("node_md_degraded", "Number of degraded disks on device.", {"device"});
const Family kRaidDisks =
    Gauge("node_md_raid_disks", "Number of raid disks on device.", {"device"});

size_t CountOf(std::string_view text, std::string_view what) {
  size_t n = 0;
  for (size_t at = text.find(what); at != std::string_view::npos; at = text.find(what, at + 1)) ++n;
  return n;
}

/// "(16775552/195310144)", "[8/6]": the two numbers of the last such pair; false when there is
/// none.
bool FindPair(std::string_view text, char open, char close, uint64_t& first, uint64_t& second) {
  for (size_t at = text.rfind(open); at != std::string_view::npos;
       at = at == 0 ? std::string_view::npos : text.rfind(open, at - 1)) {
    const std::string_view rest = text.substr(at + 1);
    const size_t slash = rest.find('/'), end = rest.find(close);
    if (slash == std::string_view::npos || end == std::string_view::npos || slash > end) continue;
    const std::string_view a = rest.substr(0, slash), b = rest.substr(slash + 1, end - slash - 1);
    const auto digits = [](std::string_view s) {
      return !s.empty() && s.find_first_not_of("0123456789") == std::string_view::npos;
    };
    if (!digits(a) || !digits(b)) continue;
    first = ToUint(a);
    second = ToUint(b);
    return true;
  }
  return false;
}

class Mdadm final : public Part {
 public:
  explicit Mdadm(const HostConfig& config)
      : file_(config.procfs + "/mdstat"), sys_block_(config.sysfs + "/block") {}
  std::string_view name() const override { return "mdadm"; }

  Status Tell(Row& row) override {
    const auto text = file_.Read();
    if (!text) return Fail(OrNoData(text.error()));
    // An array is a line at the margin and the ones below it that are not.
    std::string_view device;
    std::vector<std::string_view> below;
    Lines lines(*text);
    for (std::string_view line; lines.Next(line);) {
      if (!line.empty() && (line[0] == ' ' || line[0] == '\t')) {
        below.push_back(Trim(line));
        continue;
      }
      TellArray(row, device, below);
      below.clear();
      device = line.starts_with("Personalities") || line.starts_with("unused") ? "" : line;
    }
    TellArray(row, device, below);
    TellSysfs(row);
    return {};
  }

 private:
  static void TellArray(Row& row, std::string_view line,
                        const std::vector<std::string_view>& below) {
    std::string_view rest = line;
    const std::string_view name = TakeWord(rest);
    TakeWord(rest);  // ":"
    std::string_view state = TakeWord(rest);
    if (name.empty() || state.empty() || below.empty()) return;
    std::string_view status = below[0];
    const uint64_t blocks = ToUint(TakeWord(status));
    uint64_t required = 0, active = 0, synced = blocks;
    if (line.find("raid0") != std::string_view::npos ||
        line.find("linear") != std::string_view::npos) {
      required = active = CountOf(line, "[");
    } else if (state != "inactive" && !FindPair(status, '[', ']', required, active)) {
      return;
    }
    const size_t at = below.size() > 1 && below[1].starts_with("bitmap") ? 2 : 1;
    if (const std::string_view sync = at < below.size() ? below[at] : ""; !sync.empty()) {
      const auto has = [&](std::string_view word) {
        return sync.find(word) != std::string_view::npos;
      };
      if (has("recovery"))
        state = "recovering";
      else if (has("check"))
        state = "check";
      else if (has("resync"))
        state = "resync";
      uint64_t total = 0;
      if (has("PENDING") || has("DELAYED"))
        synced = 0;
      else if (has("recovery") || has("check") || has("resync"))
        FindPair(sync, '(', ')', synced, total);
    }
    for (const std::string_view s : {"active", "inactive", "recovering", "resync", "check"})
      row.Tell(kState, {name, s}, s == state ? 1 : 0);
    row.Tell(kRequired, {name}, static_cast<double>(required));
    row.Tell(kDisks, {name, "active"}, static_cast<double>(active));
    row.Tell(kDisks, {name, "failed"}, static_cast<double>(CountOf(line, "(F)")));
    row.Tell(kDisks, {name, "spare"}, static_cast<double>(CountOf(line, "(S)")));
    row.Tell(kBlocks, {name}, static_cast<double>(blocks));
    row.Tell(kSynced, {name}, static_cast<double>(synced));
  }

  void TellSysfs(Row& row) {
    files_.NextTurn();
    for (const std::string& device : NamesIn(sys_block_)) {
      if (!device.starts_with("md")) continue;
      const std::string path = sys_block_ + "/" + device + "/md/";
      const auto disks = files_.Number(path + "raid_disks");
      if (!disks) continue;
      row.Tell(kRaidDisks, {device}, *disks);
      // Without redundancy nothing can be degraded, and there is no such file.
      row.Tell(kDegraded, {device}, files_.Number(path + "degraded").value_or(0));
    }
  }

  KernelFile file_;
  const std::string sys_block_;
  Attributes files_;
};

}  // namespace

std::unique_ptr<Part> MakeMdadm(const HostConfig& c) { return std::make_unique<Mdadm>(c); }

}  // namespace picket::collectors::host
