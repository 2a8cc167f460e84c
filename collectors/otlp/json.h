// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/proto/rpc_status.h"

namespace picket::collectors::otlp {

/// A JSON request in wire form.
struct JsonTraces {
  std::string body;    ///< ExportTraceServiceRequest
  uint32_t spans = 0;  ///< in `body`
  proto::PartialSuccess
      rejected;  ///< spans left out for ids, events or links that cannot be, and why the first was
};

/// OTLP/JSON to protobuf: lowerCamelCase, ids in hexadecimal, 64-bit integers as strings or
/// numbers, enums as numbers (names are taken too), bytes in base64, unknown keys ignored. Errors:
/// kInvalidArgument naming the place and what was expected there ("resourceSpans[0].scopeSpans:
/// expected an array"). A missing resourceSpans, scopeSpans or spans is an error: it is a request
/// for another path more often than an empty one. Source: OTLP specification, "JSON Protobuf
/// Encoding".
Result<JsonTraces> TracesFromJson(std::string_view json);

}  // namespace picket::collectors::otlp
