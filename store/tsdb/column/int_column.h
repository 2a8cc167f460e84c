// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace picket::store::tsdb {

/// Integers as their differences: varints, or fixed-width bits above the smallest difference,
/// whichever is shorter. Shape: 1 to kMaxRows values below 2^53.
void EncodeIntegers(std::span<const int64_t> values, std::vector<uint8_t>& out);
/// False when the bytes end early or make no sense.
bool DecodeIntegers(const uint8_t* p, const uint8_t* end, int count, int64_t* out);

}  // namespace picket::store::tsdb
