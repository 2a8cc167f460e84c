// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "collectors/discovery/file.h"

using namespace picket::collectors::discovery;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto groups =
      ParseTargetFile("targets.yml", std::string(reinterpret_cast<const char*>(data), size));
  if (!groups) return groups.error().message().empty() ? abort(), 0 : 0;
  for (const TargetGroup& group : *groups) {
    if (group.labels.Get("__meta_filepath") != "targets.yml") abort();
  }
  return 0;
}
