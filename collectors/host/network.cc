// SPDX-License-Identifier: Apache-2.0
#include <map>

#include "collectors/host/collectors.h"
#include "collectors/host/file.h"
#include "collectors/host/filter.h"

namespace picket::collectors::host {
namespace {

Family Of(const std::string& statistic) {
  return {"node_network_" + statistic + "_total",
          MetricType::kCounter,
          "Network device statistic " + statistic + ".",
          {"device"}};
}

/// The columns of /proc/net/dev, in the kernel's order.
const Family kColumns[] = {
    Of("receive_bytes"),      Of("receive_packets"),   Of("receive_errs"),
    Of("receive_drop"),       Of("receive_fifo"),      Of("receive_frame"),
    Of("receive_compressed"), Of("receive_multicast"), Of("transmit_bytes"),
    Of("transmit_packets"),   Of("transmit_errs"),     Of("transmit_drop"),
    Of("transmit_fifo"),      Of("transmit_colls"),    Of("transmit_carrier"),
    Of("transmit_compressed")};
/// Not in that file, but in sysfs.
const Family kNoHandler = Of("receive_nohandler");

class Network final : public Part {
 public:
  explicit Network(const HostConfig& config)
      : file_(config.procfs + "/net/dev"),
        sys_(config.sysfs + "/class/net/"),
        exclude_(Filter::Compile(config.netdev.device_exclude).value_or(Filter())) {}
  std::string_view name() const override { return "netdev"; }

  Status Tell(Row& row) override {
    PICKET_ASSIGN(const std::string_view text, file_.Read());
    Lines lines(text);
    for (std::string_view line; lines.Next(line);) {
      const size_t colon = line.rfind(':');  // an alias may have one in its name
      if (colon == std::string_view::npos) continue;
      std::string_view device = line.substr(0, colon);
      device = TakeWord(device);
      if (device.empty() || exclude_.Excludes(device)) continue;
      line.remove_prefix(colon + 1);
      for (const Family& family : kColumns)
        row.Tell(family, {device}, static_cast<double>(ToUint(TakeWord(line))));
      TellNoHandler(row, device);
    }
    return {};
  }

 private:
  void TellNoHandler(Row& row, std::string_view device) {
    auto it = no_handler_.find(device);
    if (it == no_handler_.end()) {
      it = no_handler_
               .emplace(std::string(device),
                        KernelFile(sys_ + std::string(device) + "/statistics/rx_nohandler"))
               .first;
    }
    std::string_view value;
    if (const auto text = it->second.Read()) {
      value = *text;
      row.Tell(kNoHandler, {device},
               static_cast<double>(ToUint(value.substr(0, value.find('\n')))));
    }
  }

  KernelFile file_;
  const std::string sys_;
  const Filter exclude_;
  std::map<std::string, KernelFile, std::less<>> no_handler_;
};

}  // namespace

std::unique_ptr<Part> MakeNetwork(const HostConfig& config) {
  return std::make_unique<Network>(config);
}

}  // namespace picket::collectors::host
