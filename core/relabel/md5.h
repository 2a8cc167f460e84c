// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string_view>

namespace picket::relabel::internal {

/// Whether the system's library offers MD5 (not in FIPS mode).
bool HaveMd5();
/// The last 8 bytes of the MD5 digest as a big-endian number, which hashmod is defined by. 0
/// without MD5.
uint64_t Md5Tail(std::string_view text);

}  // namespace picket::relabel::internal
