// SPDX-License-Identifier: Apache-2.0
// Any bytes: the check never reads past the end; what it passes can be scanned, cut and joined
// without loss.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/proto/otlp_traces.h"
#include "core/proto/rpc_status.h"

namespace {

using namespace picket::proto;

void Require(bool ok) {
  if (!ok) std::abort();
}

uint32_t Walk(std::string_view body) {
  uint32_t spans = 0;
  AttributePicker resource({"service.name"});
  AttributePicker attributes({"http.method", "k"});
  WalkTraces(
      body, [&](std::string_view bytes) { ReadResource(bytes, resource); },
      [&](std::string_view bytes) {
        SpanView view;
        attributes.Clear();
        ReadSpan(bytes, view, &attributes);
        ++spans;
      });
  return spans;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string body(reinterpret_cast<const char*>(data), size);
  const uint32_t walked = Walk(body);
  DecodeRpcStatus(body);
  DecodeExportResponse(body);
  const auto check = CheckTraces(body);
  if (!check) return 0;
  Require(check->spans == walked && check->spans == CountSpans(body));
  const std::string good = WithoutBadSpans(body);
  const auto again = CheckTraces(good);
  Require(again && again->bad_spans == 0 && again->spans == check->spans - check->bad_spans);
  for (size_t max : {size_t{64}, size / 2 + 1}) {
    uint32_t spans = 0;
    std::string joined;
    for (const TracePart& part : SplitTraces(body, max)) {
      Require(part.bytes.size() <= max || part.spans == 1 || CountSpans(part.bytes) == part.spans);
      spans += part.spans;
      joined += part.bytes;
    }
    const auto rejoined = CheckTraces(joined);
    Require(rejoined && spans == check->spans && rejoined->spans == spans &&
            rejoined->bad_spans == check->bad_spans);
  }
  return 0;
}
