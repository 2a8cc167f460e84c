// SPDX-License-Identifier: Apache-2.0
// What sysfs says of network devices: netclass, bonding.
#include <net/if.h>

#include "collectors/host/attributes.h"
#include "collectors/host/collectors.h"
#include "collectors/host/file.h"
#include "collectors/host/filter.h"

namespace picket::collectors::host {
namespace {

Family Property(const std::string& name, MetricType type = MetricType::kGauge) {
  return {"node_network_" + name, type, "Network device property: " + name, {"device"}};
}
struct Field {
  const char* file;
  Family family;
};
const Field kFields[] = {
    {"addr_assign_type", Property("address_assign_type")},
    {"carrier", Property("carrier")},
    {"carrier_changes", Property("carrier_changes_total", MetricType::kCounter)},
    {"carrier_up_count", Property("carrier_up_changes_total", MetricType::kCounter)},
    {"carrier_down_count", Property("carrier_down_changes_total", MetricType::kCounter)},
    {"dev_id", Property("device_id")},
    {"dormant", Property("dormant")},
    {"flags", Property("flags")},
    {"ifindex", Property("iface_id")},
    {"iflink", Property("iface_link")},
    {"link_mode", Property("iface_link_mode")},
    {"mtu", Property("mtu_bytes")},
    {"netdev_group", Property("net_dev_group")},
    {"name_assign_type", Property("name_assign_type")},
    {"tx_queue_len", Property("transmit_queue_length")},
    {"type", Property("protocol_type")}};
const Family kSpeed = Property("speed_bytes");
const Family kUp =
    Gauge("node_network_up", "Value is 1 if operstate is 'up', 0 otherwise.", {"device"});
const Family kInfo =
    Gauge("node_network_info", "Non-numeric data from /sys/class/net/<iface>, value is always 1.",
          {"device", "address", "broadcast", "duplex", "operstate", "adminstate", "ifalias"});

class NetClass final : public Part {
 public:
  explicit NetClass(const HostConfig& config)
      : root_(config.sysfs + "/class/net"),
        ignored_(Filter::Compile(config.netclass.ignored_devices).value_or(Filter())),
        ignore_invalid_speed_(config.netclass.ignore_invalid_speed) {}
  std::string_view name() const override { return "netclass"; }

  Status Tell(Row& row) override {
    const auto devices = ListFolder(root_);
    if (!devices) return Fail(OrNoData(devices.error()));
    files_.NextTurn();
    for (const std::string& device : *devices) {
      if (device == "bonding_masters" || ignored_.Excludes(device)) continue;
      TellDevice(row, device, root_ + "/" + device + "/");
    }
    return {};
  }

 private:
  void TellDevice(Row& row, const std::string& device, const std::string& path) {
    const std::string state = files_.Text(path + "operstate");
    if (state.empty()) return;  // not a device, or gone meanwhile
    row.Tell(kUp, {device}, state == "up" ? 1 : 0);
    const auto flags = files_.Number(path + "flags");
    const std::string_view admin = !flags                                          ? "unknown"
                                   : (static_cast<uint64_t>(*flags) & IFF_UP) != 0 ? "up"
                                                                                   : "down";
    row.Tell(kInfo,
             {device, files_.Text(path + "address"), files_.Text(path + "broadcast"),
              files_.Text(path + "duplex"), state, admin, files_.Text(path + "ifalias")},
             1);
    for (const Field& field : kFields) {
      if (const auto value = files_.Number(path + field.file))
        row.Tell(field.family, {device}, *value);
    }
    // Megabits; -1 is unknown.
    const auto speed = files_.Number(path + "speed");
    if (speed && (*speed >= 0 || !ignore_invalid_speed_))
      row.Tell(kSpeed, {device}, *speed * 1000 * 1000 / 8);
  }

  const std::string root_;
  const Filter ignored_;
  const bool ignore_invalid_speed_;
  Attributes files_;
};

class Bonding final : public Part {
 public:
  explicit Bonding(const HostConfig& config) : root_(config.sysfs + "/class/net/") {}
  std::string_view name() const override { return "bonding"; }

  Status Tell(Row& row) override {
    static const Family slaves = Gauge(
        "node_bonding_slaves", "Number of configured slaves per bonding interface.", {"master"});
    static const Family active =
        Gauge("node_bonding_active", "Number of active slaves per bonding interface.", {"master"});
    files_.NextTurn();
    const auto text = files_.Read(root_ + "bonding_masters");
    if (!text) return NoData("no bonding here");
    const std::string all(*text);
    std::string_view masters = all;
    for (auto master = TakeWord(masters); !master.empty(); master = TakeWord(masters)) {
      const std::string names = files_.Text(root_ + std::string(master) + "/bonding/slaves");
      std::string_view rest = names;
      int count = 0, up = 0;
      for (auto slave = TakeWord(rest); !slave.empty(); slave = TakeWord(rest)) {
        const std::string base = root_ + std::string(master);
        auto status =
            files_.Read(base + "/lower_" + std::string(slave) + "/bonding_slave/mii_status");
        if (!status)  // kernels before 3.16
          status = files_.Read(base + "/slave_" + std::string(slave) + "/bonding_slave/mii_status");
        ++count;
        up += status == "up";
      }
      row.Tell(slaves, {master}, count);
      row.Tell(active, {master}, up);
    }
    return {};
  }

 private:
  const std::string root_;
  Attributes files_;
};

}  // namespace

std::unique_ptr<Part> MakeNetClass(const HostConfig& c) { return std::make_unique<NetClass>(c); }
std::unique_ptr<Part> MakeBonding(const HostConfig& c) { return std::make_unique<Bonding>(c); }

}  // namespace picket::collectors::host
