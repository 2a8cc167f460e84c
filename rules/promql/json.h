// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "rules/promql/value.h"

namespace picket::rules::promql {

/// Appends `"resultType":"vector","result":[...]`, the two members of the query API's data object,
/// without braces. Source: prometheus.io/docs/prometheus/latest/querying/api, "Expression query
/// result formats".
void AppendJson(std::string& out, const QueryResult& result);

}  // namespace picket::rules::promql
