// SPDX-License-Identifier: Apache-2.0
#include <map>

#include "collectors/host/collectors.h"
#include "collectors/host/file.h"
#include "collectors/host/filter.h"
#include "core/base/strings.h"

namespace picket::collectors::host {
namespace {

constexpr double kSectorBytes = 512.0;
constexpr double kMillisecond = 1.0 / 1000.0;

/// The fields of /proc/diskstats behind the device's name, in the kernel's order. Older kernels
/// have the first 11 or 15.
struct Field {
  Family family;
  double factor;
};
const Field kFields[] = {
    {{"node_disk_reads_completed_total",
      MetricType::kCounter,
      "The total number of reads completed successfully.",
      {"device"}},
     1},
    {{"node_disk_reads_merged_total",
      MetricType::kCounter,
      "The total number of reads merged.",
      {"device"}},
     1},
    {{"node_disk_read_bytes_total",
      MetricType::kCounter,
      "The total number of bytes read successfully.",
      {"device"}},
     kSectorBytes},
    {{"node_disk_read_time_seconds_total",
      MetricType::kCounter,
      "The total number of seconds spent by all reads.",
      {"device"}},
     kMillisecond},
    {{"node_disk_writes_completed_total",
      MetricType::kCounter,
      "The total number of writes completed successfully.",
      {"device"}},
     1},
    {{"node_disk_writes_merged_total",
      MetricType::kCounter,
      "The number of writes merged.",
      {"device"}},
     1},
    {{"node_disk_written_bytes_total",
      MetricType::kCounter,
      "The total number of bytes written successfully.",
      {"device"}},
     kSectorBytes},
    {{"node_disk_write_time_seconds_total",
      MetricType::kCounter,
      "The total number of seconds spent by all writes.",
      {"device"}},
     kMillisecond},
    {{"node_disk_io_now",
      MetricType::kGauge,
      "The number of I/Os currently in progress.",
      {"device"}},
     1},
    {{"node_disk_io_time_seconds_total",
      MetricType::kCounter,
      "Total seconds spent doing I/Os.",
      {"device"}},
     kMillisecond},
    {{"node_disk_io_time_weighted_seconds_total",
      MetricType::kCounter,
      "The weighted # of seconds spent doing I/Os.",
      {"device"}},
     kMillisecond},
    {{"node_disk_discards_completed_total",
      MetricType::kCounter,
      "The total number of discards completed successfully.",
      {"device"}},
     1},
    {{"node_disk_discards_merged_total",
      MetricType::kCounter,
      "The total number of discards merged.",
      {"device"}},
     1},
    {{"node_disk_discarded_sectors_total",
      MetricType::kCounter,
      "The total number of sectors discarded successfully.",
      {"device"}},
     1},
    {{"node_disk_discard_time_seconds_total",
      MetricType::kCounter,
      "This is the total number of seconds spent by all discards.",
      {"device"}},
     kMillisecond},
    {{"node_disk_flush_requests_total",
      MetricType::kCounter,
      "The total number of flush requests completed successfully",
      {"device"}},
     1},
    {{"node_disk_flush_requests_time_seconds_total",
      MetricType::kCounter,
      "This is the total number of seconds spent by all flush requests.",
      {"device"}},
     kMillisecond},
};
const Family kInfo{
    "node_disk_info",
    MetricType::kGauge,
    "Info of /sys/block/<block_device>.",
    {"device", "major", "minor", "path", "wwn", "model", "serial", "revision", "rotational"}};
const Family kFilesystem{"node_disk_filesystem_info",
                         MetricType::kGauge,
                         "Info about disk filesystem.",
                         {"device", "type", "usage", "uuid", "version"}};
const Family kMapper{"node_disk_device_mapper_info",
                     MetricType::kGauge,
                     "Info about disk device mapper.",
                     {"device", "name", "uuid", "vg_name", "lv_name", "lv_layer"}};
const std::pair<std::string, Family> kAta[] = {
    {"ID_ATA_WRITE_CACHE",
     {"node_disk_ata_write_cache", MetricType::kGauge, "ATA disk has a write cache.", {"device"}}},
    {"ID_ATA_WRITE_CACHE_ENABLED",
     {"node_disk_ata_write_cache_enabled",
      MetricType::kGauge,
      "ATA disk has its write cache enabled.",
      {"device"}}},
    {"ID_ATA_ROTATION_RATE_RPM",
     {"node_disk_ata_rotation_rate_rpm",
      MetricType::kGauge,
      "ATA disk rotation rate in RPMs (0 for SSDs).",
      {"device"}}},
};

class Disks final : public Part {
 public:
  explicit Disks(const HostConfig& config)
      : stats_(config.procfs + "/diskstats"),
        sys_block_(config.sysfs + "/block/"),
        udev_(config.udev_data + "/b"),
        exclude_(Filter::Compile(config.diskstats.device_exclude).value_or(Filter())) {}
  std::string_view name() const override { return "diskstats"; }

  Status Tell(Row& row) override {
    PICKET_ASSIGN(const std::string_view text, stats_.Read());
    Lines lines(text);
    for (std::string_view line; lines.Next(line);) {
      const std::string_view major = TakeWord(line), minor = TakeWord(line),
                             device = TakeWord(line);
      if (device.empty() || Excluded(device)) continue;
      TellDevice(row, device, major, minor, line);
    }
    return {};
  }

 private:
  using Properties = std::map<std::string, std::string, std::less<>>;

  /// The pattern is asked once a device.
  bool Excluded(std::string_view device) {
    const auto it = excluded_.find(device);
    return it != excluded_.end()
               ? it->second
               : excluded_.emplace(std::string(device), exclude_.Excludes(device)).first->second;
  }

  void TellDevice(Row& row, std::string_view device, std::string_view major, std::string_view minor,
                  std::string_view rest) {
    const Properties p = ReadProperties(std::string(major) + ":" + std::string(minor));
    const auto get = [&](std::string_view key) -> std::string_view {
      const auto it = p.find(key);
      return it == p.end() ? std::string_view() : it->second;
    };
    std::string_view serial = get("SCSI_IDENT_SERIAL");
    if (serial.empty()) serial = get("ID_SERIAL_SHORT");
    if (serial.empty()) serial = get("ID_SERIAL");
    const std::string rotational =
        ReadSmall(sys_block_ + std::string(device) + "/queue/rotational");
    row.Tell(kInfo,
             {device, major, minor, get("ID_PATH"), get("ID_WWN"), get("ID_MODEL"), serial,
              get("ID_REVISION"), rotational.empty() ? "0" : rotational},
             1);
    for (const Field& field : kFields) {
      const std::string_view word = TakeWord(rest);
      if (word.empty()) break;
      row.Tell(field.family, {device}, static_cast<double>(ToUint(word)) * field.factor);
    }
    if (const auto type = get("ID_FS_TYPE"); !type.empty()) {
      row.Tell(kFilesystem,
               {device, type, get("ID_FS_USAGE"), get("ID_FS_UUID"), get("ID_FS_VERSION")}, 1);
    }
    if (const auto name = get("DM_NAME"); !name.empty()) {
      row.Tell(
          kMapper,
          {device, name, get("DM_UUID"), get("DM_VG_NAME"), get("DM_LV_NAME"), get("DM_LV_LAYER")},
          1);
    }
    if (get("ID_ATA").empty()) return;
    for (const auto& [key, family] : kAta) {
      if (p.contains(key)) row.Tell(family, {device}, ToDouble(get(key)));
    }
  }

  /// udev's E:KEY=VALUE lines.
  Properties ReadProperties(const std::string& number) const {
    Properties out;
    KernelFile file(udev_ + number);
    const auto text = file.Read();
    if (!text) return out;
    Lines lines(*text);
    for (std::string_view line; lines.Next(line);) {
      if (!line.starts_with("E:")) continue;
      line.remove_prefix(2);
      const size_t equal = line.find('=');
      if (equal != std::string_view::npos)
        out.emplace(line.substr(0, equal), line.substr(equal + 1));
    }
    return out;
  }

  KernelFile stats_;
  const std::string sys_block_;
  const std::string udev_;
  const Filter exclude_;
  std::map<std::string, bool, std::less<>> excluded_;
};

}  // namespace

std::unique_ptr<Part> MakeDisks(const HostConfig& config) {
  return std::make_unique<Disks>(config);
}

}  // namespace picket::collectors::host
