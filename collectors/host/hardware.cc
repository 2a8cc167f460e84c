// SPDX-License-Identifier: Apache-2.0
// Devices in sysfs: edac, nvme, watchdog.
#include "collectors/host/attributes.h"
#include "collectors/host/collectors.h"
#include "collectors/host/file.h"

namespace picket::collectors::host {
namespace {

bool IsNumber(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

/// "mc#0csrow#0channel#0" is mc0_csrow0_channel0.
std::string Words(std::optional<std::string_view> label) {
  if (!label) return "unknown";
  std::string out;
  for (size_t i = 0; i < label->size(); ++i) {
    const std::string_view rest = label->substr(i);
    if (rest.starts_with("csrow") || rest.starts_with("channel")) out += '_';
    if (rest[0] != '#') out += rest[0];
  }
  return out;
}

class Edac final : public Part {
 public:
  explicit Edac(const HostConfig& config) : root_(config.sysfs + "/devices/system/edac/mc") {}
  std::string_view name() const override { return "edac"; }

  Status Tell(Row& row) override {
    static const Family ce = Count("node_edac_correctable_errors_total",
                                   "Total correctable memory errors.", {"controller"});
    static const Family ue = Count("node_edac_uncorrectable_errors_total",
                                   "Total uncorrectable memory errors.", {"controller"});
    static const Family row_ce =
        Count("node_edac_csrow_correctable_errors_total",
              "Total correctable memory errors for this csrow.", {"controller", "csrow"});
    static const Family row_ue =
        Count("node_edac_csrow_uncorrectable_errors_total",
              "Total uncorrectable memory errors for this csrow.", {"controller", "csrow"});
    files_.NextTurn();
    for (const std::string& folder : NamesIn(root_)) {
      if (!folder.starts_with("mc") || !IsNumber(std::string_view(folder).substr(2))) continue;
      const std::string mc = folder.substr(2), path = root_ + "/" + folder;
      TellFile(row, path + "/ce_count", ce, {mc});
      TellFile(row, path + "/ce_noinfo_count", row_ce, {mc, "unknown"});
      TellFile(row, path + "/ue_count", ue, {mc});
      TellFile(row, path + "/ue_noinfo_count", row_ue, {mc, "unknown"});
      for (const std::string& inner : NamesIn(path)) {
        if (!inner.starts_with("csrow")) continue;
        const std::string csrow = inner.substr(5), below = path + "/" + inner;
        TellFile(row, below + "/ce_count", row_ce, {mc, csrow});
        TellFile(row, below + "/ue_count", row_ue, {mc, csrow});
        TellChannels(row, mc, csrow, below);
      }
    }
    return {};
  }

 private:
  void TellFile(Row& row, const std::string& path, const Family& family,
                std::initializer_list<std::string_view> labels) {
    if (const auto value = files_.Number(path)) row.Tell(family, labels, *value);
  }
  void TellChannels(Row& row, const std::string& mc, const std::string& csrow,
                    const std::string& path) {
    static const std::vector<std::string> labels{"controller", "csrow", "channel", "dimm_label"};
    static const Family ce = Count("node_edac_channel_correctable_errors_total",
                                   "Total correctable memory errors for this channel.", labels);
    static const Family ue = Count("node_edac_channel_uncorrectable_errors_total",
                                   "Total uncorrectable memory errors for this channel.", labels);
    for (const std::string& file : NamesIn(path)) {
      if (!file.starts_with("ch") || !file.ends_with("_ce_count")) continue;
      const std::string channel = file.substr(2, file.find('_') - 2);
      const std::string label = Words(files_.Read(path + "/ch" + channel + "_dimm_label"));
      const std::string base = path + "/ch" + channel;
      TellFile(row, base + "_ce_count", ce, {mc, csrow, channel, label});
      TellFile(row, base + "_ue_count", ue, {mc, csrow, channel, label});
    }
  }
  const std::string root_;
  Attributes files_;
};

class Nvme final : public Part {
 public:
  explicit Nvme(const HostConfig& config) : root_(config.sysfs + "/class/nvme") {}
  std::string_view name() const override { return "nvme"; }

  Status Tell(Row& row) override {
    static const Family info = Gauge(
        "node_nvme_info", "Non-numeric data from /sys/class/nvme/<device>, value is always 1.",
        {"device", "firmware_revision", "model", "serial", "state", "cntlid"});
    const auto devices = ListFolder(root_);
    if (!devices) return Fail(OrNoData(devices.error()));
    files_.NextTurn();
    for (const std::string& device : *devices) {
      const std::string path = root_ + "/" + device + "/";
      row.Tell(
          info,
          {device, files_.Text(path + "firmware_rev"), files_.Text(path + "model"),
           files_.Text(path + "serial"), files_.Text(path + "state"), files_.Text(path + "cntlid")},
          1);
      for (const std::string& inner : NamesIn(path)) {
        // nvme0n1, or nvme0c1n1 with several paths.
        const size_t n = inner.rfind('n');
        if (inner.starts_with("nvme") && n != std::string::npos && n > 0 &&
            IsNumber(std::string_view(inner).substr(n + 1)))
          TellNamespace(row, device, inner.substr(n + 1), path + inner + "/");
      }
    }
    return {};
  }

 private:
  void TellNamespace(Row& row, const std::string& device, const std::string& nsid,
                     const std::string& path) {
    static const std::vector<std::string> labels{"device", "nsid"};
    static const Family info =
        Gauge("node_nvme_namespace_info", "Information about NVMe namespaces. Value is always 1",
              {"device", "nsid", "ana_state"});
    static const Family capacity =
        Gauge("node_nvme_namespace_capacity_bytes",
              "Capacity of the NVMe namespace in bytes. Computed as namespace_size * "
              "namespace_logical_block_size",
              labels);
    static const Family size = Gauge("node_nvme_namespace_size_bytes",
                                     "Size of the NVMe namespace in bytes. Available in "
                                     "/sys/class/nvme/<device>/<namespace>/size",
                                     labels);
    static const Family used = Gauge("node_nvme_namespace_used_bytes",
                                     "Used space of the NVMe namespace in bytes. Available in "
                                     "/sys/class/nvme/<device>/<namespace>/nuse",
                                     labels);
    static const Family block =
        Gauge("node_nvme_namespace_logical_block_size_bytes",
              "Logical block size of the NVMe namespace in bytes. Usually 4Kb. Available in "
              "/sys/class/nvme/<device>/<namespace>/queue/logical_block_size",
              labels);
    std::string state = files_.Text(path + "ana_state");
    if (state.empty()) state = "unknown";
    row.Tell(info, {device, nsid, state}, 1);
    const auto blocks = files_.Number(path + "size");
    const auto in_use = files_.Number(path + "nuse");
    const auto bytes = files_.Number(path + "queue/logical_block_size");
    if (!blocks || !in_use || !bytes) return;
    row.Tell(size, {device, nsid}, *blocks * *bytes);
    row.Tell(used, {device, nsid}, *in_use * *bytes);
    row.Tell(block, {device, nsid}, *bytes);
    row.Tell(capacity, {device, nsid}, *blocks * *bytes);
  }
  const std::string root_;
  Attributes files_;
};

class Watchdog final : public Part {
 public:
  explicit Watchdog(const HostConfig& config) : root_(config.sysfs + "/class/watchdog") {}
  std::string_view name() const override { return "watchdog"; }

  Status Tell(Row& row) override {
    static const auto of = [](const char* file, const char* unit = "") {
      return std::pair(
          file, Gauge(std::string("node_watchdog_") + file + unit,
                      std::string("Value of /sys/class/watchdog/<watchdog>/") + file, {"name"}));
    };
    static const std::pair<const char*, Family> kFiles[] = {of("bootstatus"),
                                                            of("fw_version"),
                                                            of("nowayout"),
                                                            of("timeleft", "_seconds"),
                                                            of("timeout", "_seconds"),
                                                            of("pretimeout", "_seconds"),
                                                            of("access_cs0")};
    static const Family info =
        Gauge("node_watchdog_info", "Info of /sys/class/watchdog/<watchdog>",
              {"name", "options", "identity", "state", "status", "pretimeout_governor"});
    const auto dogs = ListFolder(root_);
    if (!dogs) return Fail(OrNoData(dogs.error()));
    files_.NextTurn();
    for (const std::string& dog : *dogs) {
      const std::string path = root_ + "/" + dog + "/";
      for (const auto& [file, family] : kFiles) {
        if (const auto value = files_.Number(path + file)) row.Tell(family, {dog}, *value);
      }
      row.Tell(info,
               {dog, files_.Text(path + "options"), files_.Text(path + "identity"),
                files_.Text(path + "state"), files_.Text(path + "status"),
                files_.Text(path + "pretimeout_governor")},
               1);
    }
    return {};
  }

 private:
  const std::string root_;
  Attributes files_;
};

}  // namespace

std::unique_ptr<Part> MakeEdac(const HostConfig& c) { return std::make_unique<Edac>(c); }
std::unique_ptr<Part> MakeNvme(const HostConfig& c) { return std::make_unique<Nvme>(c); }
std::unique_ptr<Part> MakeWatchdog(const HostConfig& c) { return std::make_unique<Watchdog>(c); }

}  // namespace picket::collectors::host
