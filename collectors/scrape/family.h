// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string_view>

#include "collectors/scrape/parser.h"
#include "core/model/metrics.h"

namespace picket::collectors::scrape {

/// What some comment lines say of the last family they name; null if they say nothing.
std::shared_ptr<const MetricMetadata> ReadFamily(std::string_view comments, Format format);

/// Whether a series of this name is a member: the family itself, or with the suffixes its type has.
bool BelongsToFamily(std::string_view series_name, const MetricMetadata& family);

}  // namespace picket::collectors::scrape
