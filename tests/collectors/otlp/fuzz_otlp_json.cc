// SPDX-License-Identifier: Apache-2.0
// Any text: what is converted from JSON passes the check of the wire form.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "collectors/otlp/json.h"
#include "core/proto/otlp_traces.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto traces = picket::collectors::otlp::TracesFromJson(
      std::string_view(reinterpret_cast<const char*>(data), size));
  if (!traces) return 0;
  const auto check = picket::proto::CheckTraces(traces->body);
  if (!check || check->spans != traces->spans) std::abort();
  return 0;
}
