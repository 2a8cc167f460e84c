// SPDX-License-Identifier: Apache-2.0
// What the node is: os, dmi, selinux. Read anew only where it can change.
#include <sys/stat.h>

#include <ctime>
#include <map>

#include "collectors/host/attributes.h"
#include "collectors/host/collectors.h"
#include "collectors/host/file.h"
#include "core/base/strings.h"

namespace picket::collectors::host {
namespace {

class OsRelease final : public Part {
 public:
  explicit OsRelease(const HostConfig& config)
      : paths_{config.rootfs + "/etc/os-release", config.rootfs + "/usr/lib/os-release"} {}
  std::string_view name() const override { return "os"; }

  Status Tell(Row& row) override {
    static const Family info =
        Gauge("node_os_info",
              "A metric with a constant '1' value labeled by build_id, id, id_like, image_id, "
              "image_version, name, pretty_name, variant, variant_id, version, version_codename, "
              "version_id.",
              {"build_id", "id", "id_like", "image_id", "image_version", "name", "pretty_name",
               "variant", "variant_id", "version", "version_codename", "version_id"});
    static const Family version =
        Gauge("node_os_version", "Metric containing the major.minor part of the OS version.",
              {"id", "id_like", "name"});
    static const Family end = Gauge("node_os_support_end_timestamp_seconds",
                                    "Metric containing the end-of-life date timestamp of the OS.");
    if (!Refresh()) return NoData("no os-release in " + paths_[0]);
    const auto get = [&](std::string_view key) -> std::string_view {
      const auto it = values_.find(key);
      return it == values_.end() ? std::string_view() : it->second;
    };
    row.Tell(info,
             {get("BUILD_ID"), get("ID"), get("ID_LIKE"), get("IMAGE_ID"), get("IMAGE_VERSION"),
              get("NAME"), get("PRETTY_NAME"), get("VARIANT"), get("VARIANT_ID"), get("VERSION"),
              get("VERSION_CODENAME"), get("VERSION_ID")},
             1);
    const double number = MajorMinor(get("VERSION_ID"));
    if (number > 0) row.Tell(version, {get("ID"), get("ID_LIKE"), get("NAME")}, number);
    tm date{};
    const std::string until(get("SUPPORT_END"));
    if (strptime(until.c_str(), "%Y-%m-%d", &date))
      row.Tell(end, {}, static_cast<double>(timegm(&date)));
    return {};
  }

 private:
  /// Parses the file when it is another one than last time.
  bool Refresh() {
    for (const std::string& path : paths_) {
      struct stat now{};
      if (stat(path.c_str(), &now) != 0) continue;
      const std::string mark = path + " " + std::to_string(now.st_ino) + " " +
                               std::to_string(now.st_mtim.tv_sec) + "." +
                               std::to_string(now.st_mtim.tv_nsec);
      if (mark == mark_) return true;
      mark_ = mark;
      Parse(ReadSmall(path));
      return true;
    }
    return false;
  }
  void Parse(std::string_view text) {
    values_.clear();
    Lines lines(text);
    for (std::string_view line; lines.Next(line);) {
      line = Trim(line);
      const size_t equal = line.find('=');
      if (equal == std::string_view::npos || line.starts_with('#')) continue;
      std::string_view value = Trim(line.substr(equal + 1));
      const char quote = value.empty() ? '\0' : value[0];
      if (value.size() >= 2 && (quote == '"' || quote == '\'') && value.back() == quote)
        value = value.substr(1, value.size() - 2);
      std::string plain;
      for (size_t i = 0; i < value.size(); ++i) {
        if (quote == '"' && value[i] == '\\' && i + 1 < value.size()) ++i;
        plain += value[i];
      }
      values_[std::string(line.substr(0, equal))] = std::move(plain);
    }
  }
  static double MajorMinor(std::string_view text) {
    size_t n = 0;
    bool point = false;
    while (n < text.size() &&
           ((text[n] >= '0' && text[n] <= '9') || (text[n] == '.' && !point && n > 0)))
      point |= text[n++] == '.';
    return ToDouble(text.substr(0, n));
  }
  const std::string paths_[2];
  std::string mark_;
  std::map<std::string, std::string, std::less<>> values_;
};

/// The mainboard's names for itself do not change while it runs: read once.
class Dmi final : public Part {
 public:
  explicit Dmi(const HostConfig& config) {
    static constexpr std::pair<const char*, const char*> kFields[] = {
        {"bios_date", "bios_date"},
        {"bios_release", "bios_release"},
        {"bios_vendor", "bios_vendor"},
        {"bios_version", "bios_version"},
        {"board_asset_tag", "board_asset_tag"},
        {"board_name", "board_name"},
        {"board_serial", "board_serial"},
        {"board_vendor", "board_vendor"},
        {"board_version", "board_version"},
        {"chassis_asset_tag", "chassis_asset_tag"},
        {"chassis_serial", "chassis_serial"},
        {"chassis_vendor", "chassis_vendor"},
        {"chassis_version", "chassis_version"},
        {"product_family", "product_family"},
        {"product_name", "product_name"},
        {"product_serial", "product_serial"},
        {"product_sku", "product_sku"},
        {"product_uuid", "product_uuid"},
        {"product_version", "product_version"},
        {"system_vendor", "sys_vendor"}};
    family_ = Gauge("node_dmi_info",
                    "A metric with a constant '1' value labeled by bios_date, bios_release, "
                    "bios_vendor, bios_version, board_asset_tag, board_name, board_serial, "
                    "board_vendor, board_version, chassis_asset_tag, chassis_serial, "
                    "chassis_vendor, chassis_version, product_family, product_name, "
                    "product_serial, product_sku, product_uuid, product_version, system_vendor if "
                    "provided by DMI.");
    for (const auto& [label, file] : kFields) {
      const std::string path = config.sysfs + "/class/dmi/id/" + file;
      if (const std::string value = ReadSmall(path); !value.empty()) {
        family_.labels.emplace_back(label);
        values_.push_back(ValidUtf8(value));
      }
    }
    there_ = ListFolder(config.sysfs + "/class/dmi/id").has_value();
  }
  std::string_view name() const override { return "dmi"; }
  Status Tell(Row& row) override {
    if (!there_) return NoData("no DMI here");
    row.Tell(family_, std::vector<std::string_view>(values_.begin(), values_.end()), 1);
    return {};
  }

 private:
  Family family_;
  std::vector<std::string> values_;
  bool there_ = false;
};

class Selinux final : public Part {
 public:
  explicit Selinux(const HostConfig& config)
      : root_(config.sysfs + "/fs/selinux/"), config_file_(config.rootfs + "/etc/selinux/config") {}
  std::string_view name() const override { return "selinux"; }
  Status Tell(Row& row) override {
    static const Family enabled =
        Gauge("node_selinux_enabled", "SELinux is enabled, 1 is true, 0 is false");
    static const Family configured =
        Gauge("node_selinux_config_mode", "Configured SELinux enforcement mode");
    static const Family current =
        Gauge("node_selinux_current_mode", "Current SELinux enforcement mode");
    files_.NextTurn();
    const auto enforcing = files_.Number(root_ + "enforce");
    row.Tell(enabled, {}, enforcing ? 1 : 0);
    if (!enforcing) return {};
    row.Tell(configured, {}, ConfiguredMode());
    row.Tell(current, {}, *enforcing);
    return {};
  }

 private:
  /// 1 enforcing, 0 permissive, -1 otherwise.
  double ConfiguredMode() {
    const std::string text = ReadSmall(config_file_);
    Lines lines(text);
    for (std::string_view line; lines.Next(line);) {
      line = Trim(line);
      if (!line.starts_with("SELINUX=")) continue;
      const std::string_view mode = Trim(line.substr(8));
      return mode == "enforcing" ? 1 : mode == "permissive" ? 0 : -1;
    }
    return -1;
  }
  const std::string root_, config_file_;
  Attributes files_;
};

}  // namespace

std::unique_ptr<Part> MakeOsRelease(const HostConfig& c) { return std::make_unique<OsRelease>(c); }
std::unique_ptr<Part> MakeDmi(const HostConfig& c) { return std::make_unique<Dmi>(c); }
std::unique_ptr<Part> MakeSelinux(const HostConfig& c) { return std::make_unique<Selinux>(c); }

}  // namespace picket::collectors::host
