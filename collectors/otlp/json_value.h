// SPDX-License-Identifier: Apache-2.0
// Scalars of the protobuf JSON mapping. Private to collectors/otlp.
#pragma once
#include <simdjson.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace picket::collectors::otlp::json {

using simdjson::dom::element;

/// Absent and null read the same.
std::optional<element> Member(const simdjson::dom::object& object, const char* key);

std::optional<uint64_t> AsUint64(element value);  ///< number or decimal string
std::optional<int64_t> AsInt64(element value);
std::optional<double> AsDouble(
    element value);  ///< number, decimal string, "NaN", "Infinity", "-Infinity"
std::optional<std::string_view> AsString(element value);
std::optional<bool> AsBool(element value);
/// A number, or one of `names` (its index is its number), whole or by its last word:
/// STATUS_CODE_OK, OK.
std::optional<uint64_t> AsEnum(element value, std::span<const std::string_view> names);

/// Bytes of an even number of hexadecimal digits.
std::optional<std::string> FromHex(std::string_view text);
/// Standard and URL-safe alphabets, padding optional.
std::optional<std::string> FromBase64(std::string_view text);

}  // namespace picket::collectors::otlp::json
