// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "collectors/scrape/parser.h"
#include "core/model/labels.h"

namespace picket::collectors::scrape {

/// The labels of a series as the body has them: escapes resolved, `__name__` added, bounds (`le` of
/// histograms, `quantile` of summaries) in canonical form, empty values left out.
/// Errors: a label named twice, a name that is empty or, under `legacy_names`, not of the legacy
/// form. Source: Prometheus 3, where "0.50" and "0.5" are one bucket.
Result<LabelsBuilder> ExposedLabels(const RawSeries& series, MetricType type, bool legacy_names);

}  // namespace picket::collectors::scrape
