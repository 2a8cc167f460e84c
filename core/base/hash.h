// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <span>
#include <string_view>

namespace picket {

/// 64-bit XXH3 of some bytes; the same on every machine, so it may be stored. Source: xxhash
/// library.
uint64_t Hash64(std::string_view bytes, uint64_t seed = 0);

/// CRC-32C (Castagnoli), in hardware where the processor has it. Pass the previous value to go on.
/// Source: RFC 3720 B.4.
uint32_t Crc32c(std::string_view bytes, uint32_t previous = 0);

}  // namespace picket
