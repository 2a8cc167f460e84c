// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "core/model/histogram.h"

namespace picket::rules::promql {

/// The operators </ (upper: keeps what is below the bound) and >/ (keeps what is above). A bucket
/// that the bound cuts is divided by interpolation; count and sum are estimated anew from what
/// remains.
void TrimHistogram(HistogramValue& histogram, double bound, bool upper);

}  // namespace picket::rules::promql
