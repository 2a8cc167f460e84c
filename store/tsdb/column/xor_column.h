// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace picket::store::tsdb {

/// Doubles as bits, each against the one before it, in the manner of Gorilla (Pelkonen et al., VLDB
/// 2015, 4.1.2). Shape: 1 to kMaxRows values.
void EncodeXor(std::span<const uint64_t> bits, std::vector<uint8_t>& out);
/// False when the bytes end early or make no sense.
bool DecodeXor(const uint8_t* p, const uint8_t* end, int count, uint64_t* out);

}  // namespace picket::store::tsdb
