// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/net/buffer.h"

namespace picket::net {

/// Replaces `out` with what the gzip members in `compressed` hold. Errors: kLimit past `limit`
/// bytes (0: none), kCorrupt. Cost: one pass into kept memory when the trailer tells the size
/// truthfully, a second one at most per doubling.
Status GzipDecode(std::string_view compressed, uint64_t limit, BodyBuffer& out);

/// One gzip member. `level` 1 (fast) to 9.
std::string GzipEncode(std::string_view bytes, int level = 4);

}  // namespace picket::net
