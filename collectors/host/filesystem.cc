// SPDX-License-Identifier: Apache-2.0
#include <charconv>
#include <map>
#include <set>

#include "collectors/host/collectors.h"
#include "collectors/host/file.h"
#include "collectors/host/filter.h"
#include "collectors/host/statfs_guard.h"
#include "core/base/strings.h"

namespace picket::collectors::host {
namespace {

Family Of(const char* name, const char* help) {
  return {name, MetricType::kGauge, help, {"device", "mountpoint", "fstype", "device_error"}};
}
const Family kSize = Of("node_filesystem_size_bytes", "Filesystem size in bytes.");
const Family kFree = Of("node_filesystem_free_bytes", "Filesystem free space in bytes.");
const Family kAvailable =
    Of("node_filesystem_avail_bytes", "Filesystem space available to non-root users in bytes.");
const Family kFiles = Of("node_filesystem_files", "Filesystem total file nodes.");
const Family kFilesFree = Of("node_filesystem_files_free", "Filesystem total free file nodes.");
const Family kPurgeable =
    Of("node_filesystem_purgeable_bytes",
       "Filesystem space available including purgeable space (MacOS specific).");
const Family kReadonly = Of("node_filesystem_readonly", "Filesystem read-only status.");
const Family kDeviceError =
    Of("node_filesystem_device_error",
       "Whether an error occurred while getting statistics for the given device.");
const Family kMountInfo{"node_filesystem_mount_info",
                        MetricType::kGauge,
                        "Filesystem mount information.",
                        {"device", "major", "minor", "mountpoint"}};

/// "\040" and its like in mountinfo.
std::string Unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned code = 0;
    if (text[i] == '\\' && i + 3 < text.size() &&
        std::from_chars(text.data() + i + 1, text.data() + i + 4, code, 8).ptr ==
            text.data() + i + 4) {
      out += static_cast<char>(code);
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

struct Mount {
  std::string device, mountpoint, type, major, minor;
  bool readonly = false;
};

bool HasOption(std::string_view options, std::string_view wanted) {
  for (const std::string_view option : Split(options, ',')) {
    if (option == wanted) return true;
  }
  return false;
}

/// One line of mountinfo. Source: Linux, Documentation/filesystems/proc.rst, 3.5.
bool ParseMount(std::string_view line, Mount& mount) {
  const size_t dash = line.find(" - ");
  if (dash == std::string_view::npos) return false;
  std::string_view head = line.substr(0, dash), tail = line.substr(dash + 3);
  TakeWord(head);
  TakeWord(head);
  const std::string_view number = TakeWord(head);
  TakeWord(head);
  mount.mountpoint = Unescape(TakeWord(head));
  mount.readonly = HasOption(TakeWord(head), "ro");
  mount.type = TakeWord(tail);
  mount.device = Unescape(TakeWord(tail));
  mount.readonly |= HasOption(TakeWord(tail), "ro");
  const size_t colon = number.find(':');
  mount.major = number.substr(0, colon);
  mount.minor = colon == std::string_view::npos ? "" : number.substr(colon + 1);
  return !mount.mountpoint.empty();
}

class Filesystems final : public Part {
 public:
  explicit Filesystems(const HostConfig& config)
      : ours_(config.procfs + "/1/mountinfo"),
        own_(config.procfs + "/self/mountinfo"),
        rootfs_(config.rootfs == "/" ? "" : config.rootfs),
        mounts_exclude_(Filter::Compile(config.filesystem.mount_points_exclude).value_or(Filter())),
        types_exclude_(Filter::Compile(config.filesystem.fs_types_exclude).value_or(Filter())),
        guard_(config.filesystem.mount_timeout) {}
  std::string_view name() const override { return "filesystem"; }

  Status Tell(Row& row) override {
    Result<std::string_view> text = ours_.Read();
    if (!text) text = own_.Read();  // another's mounts are not ours to see
    if (!text) return Fail(text.error());
    seen_.clear();
    Lines lines(*text);
    for (std::string_view line; lines.Next(line);) {
      Mount mount;
      if (ParseMount(line, mount)) TellMount(row, mount);
    }
    return {};
  }

 private:
  void TellMount(Row& row, const Mount& m) {
    const std::string shown = Stripped(m.mountpoint);
    if (mounts_exclude_.Excludes(shown) || types_exclude_.Excludes(m.type)) return;
    // Two mounts on one another show the upper one's figures once, and both numbers.
    const bool first = seen_.insert(m.device + '\0' + shown + '\0' + m.type).second;
    const bool numbered =
        seen_.insert(m.device + '\0' + shown + '\0' + m.major + ':' + m.minor).second;
    if (!first && !numbered) return;
    const Result<struct statvfs> st = guard_.Ask(rootfs_ + shown);
    if (st && numbered) row.Tell(kMountInfo, {m.device, m.major, m.minor, shown}, 1);
    if (!first) return;
    const std::string error = st ? "" : st.error().message();
    const auto tell = [&](const Family& family, double value) {
      row.Tell(family, {m.device, shown, m.type, error}, value);
    };
    tell(kDeviceError, st ? 0 : 1);
    tell(kReadonly, m.readonly ? 1 : 0);
    if (!st) return;
    const auto unit = static_cast<double>(st->f_frsize);
    tell(kSize, static_cast<double>(st->f_blocks) * unit);
    tell(kFree, static_cast<double>(st->f_bfree) * unit);
    tell(kAvailable, static_cast<double>(st->f_bavail) * unit);
    tell(kFiles, static_cast<double>(st->f_files));
    tell(kFilesFree, static_cast<double>(st->f_ffree));
    tell(kPurgeable, 0);
  }

  /// The path as the host has it, where its root is mounted elsewhere.
  std::string Stripped(const std::string& path) const {
    if (rootfs_.empty() || !path.starts_with(rootfs_)) return path;
    const std::string rest = path.substr(rootfs_.size());
    return rest.empty() ? "/" : rest;
  }

  KernelFile ours_, own_;
  const std::string rootfs_;
  const Filter mounts_exclude_, types_exclude_;
  StatfsGuard guard_;
  std::set<std::string> seen_;
};

}  // namespace

std::unique_ptr<Part> MakeFilesystems(const HostConfig& config) {
  return std::make_unique<Filesystems>(config);
}

}  // namespace picket::collectors::host
