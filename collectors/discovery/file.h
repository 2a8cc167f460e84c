// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "collectors/discovery/discoverer.h"
#include "core/base/result.h"

namespace picket::collectors::discovery {

/// The groups in the text of a watched file: a list of {targets, labels} as YAML or JSON. Each gets
/// __meta_filepath. Errors: kInvalidArgument with every finding and its place; nothing of a file
/// with an error is used. Source: Prometheus documentation, <file_sd_config>.
Result<std::vector<TargetGroup>> ParseTargetFile(const std::string& path, std::string text);

/// Watches files. A change is noticed within poll_interval by inode, size and time of change. A
/// file that cannot be read keeps its groups and says so in errors(); a file that is gone takes its
/// groups with it.
class FileDiscoverer final : public Discoverer {
 public:
  FileDiscoverer(FileSdConfig config, const Clock& clock);
  bool Poll() override;
  const std::vector<TargetGroup>& groups() const override { return groups_; }
  const std::vector<std::string>& errors() const override { return errors_; }
  Milliseconds poll_interval() const override;

 private:
  struct Stamp {
    uint64_t device = 0, inode = 0;
    int64_t size = 0, changed_ns = 0;
    bool operator==(const Stamp&) const = default;
  };
  struct File {
    Stamp stamp;
    std::vector<TargetGroup> groups;
    std::string error;
  };
  std::vector<std::string> Paths() const;
  bool Read(const std::string& path, File& file, bool again);
  void Collect();

  const FileSdConfig config_;
  const Clock& clock_;
  bool polled_ = false;
  Duration next_full_{0};
  std::map<std::string, File> files_;
  std::vector<TargetGroup> groups_;
  std::vector<std::string> errors_;
};

}  // namespace picket::collectors::discovery
