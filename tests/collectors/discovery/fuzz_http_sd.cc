// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "collectors/discovery/http/http.h"

using namespace picket::collectors::discovery;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto groups =
      ParseTargetGroups(std::string_view(reinterpret_cast<const char*>(data), size), "http://sd/");
  if (!groups) return groups.error().message().empty() ? abort(), 0 : 0;
  for (size_t i = 0; i < groups->size(); ++i) {
    if ((*groups)[i].labels.Get("__meta_url") != "http://sd/") abort();
    if ((*groups)[i].source != "http://sd/:" + std::to_string(i)) abort();
  }
  return 0;
}
