// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/base/units.h"

namespace picket::config {
template <class T>
class Object;
}

namespace picket::collectors::logs {

enum class Format : uint8_t { kAuto, kCri, kPlain };
enum class StartAt : uint8_t { kAuto, kBeginning, kEnd };

/// Fields of JSON lines. Those named in `labels` become labels, the others structured metadata.
struct JsonConfig {
  std::map<std::string, std::string> fields;  ///< name -> dotted path
  std::vector<std::string> labels;
};

/// One counter of lines.
struct CountConfig {
  std::string name;
  std::string help;
  std::vector<std::string> labels;
  std::string match;
};

/// One entry of `collectors: logs:`.
struct LogsConfig {
  std::vector<std::string> files;
  std::vector<std::string> exclude = {"*.gz", "*.zst", "*.bz2", "*.xz", "*.tmp"};
  Format format = Format::kAuto;
  std::map<std::string, std::string> labels;
  std::string path_labels;
  JsonConfig json;
  std::vector<CountConfig> count;
  StartAt start_at = StartAt::kAuto;
  Bytes max_line_bytes = 256_KiB;
  Milliseconds partial_timeout{10'000};
  Bytes hold_deleted = 512_MiB;
};

void Declare(config::Object<JsonConfig>& o);
void Declare(config::Object<CountConfig>& o);
void Declare(config::Object<LogsConfig>& o);

}  // namespace picket::collectors::logs
