// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <vector>

#include "core/model/labels.h"
#include "rules/promql/memory_store.h"

namespace picket::rules::promql {

/// Adds what load_with_nhcb asks for: from the classic series of a block, one histogram with custom
/// buckets per label set and time.
void AddCustomBucketHistograms(std::map<Labels, std::vector<MemoryStore::Sample>>& series);

}  // namespace picket::rules::promql
