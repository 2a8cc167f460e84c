// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace picket::collectors::otlp {

/// Whether Decompress knows a Content-Encoding: gzip, x-gzip, deflate (zlib), zstd, identity, none.
bool KnowsEncoding(std::string_view encoding);

/// Undoes a Content-Encoding. Errors: kLimit when the result would pass `limit` bytes, which is
/// noticed before that much memory is taken; kInvalidArgument for damaged bytes or an unknown
/// encoding.
Result<std::string> Decompress(std::string_view encoding, std::string body, uint64_t limit);

}  // namespace picket::collectors::otlp
