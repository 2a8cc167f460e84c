// SPDX-License-Identifier: Apache-2.0
#include "core/proto/wire.h"

namespace picket::proto {

static_assert(VarintSize(0) == 1 && VarintSize(127) == 1 && VarintSize(128) == 2);
static_assert(VarintSize((1ULL << 14) - 1) == 2 && VarintSize(1ULL << 14) == 3);
static_assert(VarintSize((1ULL << 56) - 1) == 8 && VarintSize(1ULL << 56) == 9);
static_assert(VarintSize(1ULL << 63) == 10 && VarintSize(UINT64_MAX) == 10);
static_assert(UnZigZag(ZigZag(INT64_MIN)) == INT64_MIN && UnZigZag(ZigZag(-1)) == -1);

}  // namespace picket::proto
