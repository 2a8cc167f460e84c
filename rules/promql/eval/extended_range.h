// SPDX-License-Identifier: Apache-2.0
// The anchored and smoothed modifiers of range selectors.
#pragma once
#include "rules/promql/eval/range_source.h"

namespace picket::rules::promql {

/// rate, increase and delta between the samples at (anchored) or interpolated to (smoothed) the
/// window's edges.
Result<Columns> ExtendedRate(Evaluation& evaluation, const Call& call, RangeSource& source,
                             bool counter, bool rate);
/// resets and changes with the sample before the window taken in (anchored).
Result<Columns> ExtendedTransitions(Evaluation& evaluation, RangeSource& source, bool resets);
/// The histogram at a share of the way from a to b; a counter that was reset between them went on
/// from zero.
HistogramValue InterpolateHistograms(const HistogramValue& a, const HistogramValue& b,
                                     double fraction, bool counter);
/// Errors: kInvalidArgument when the function does not go with the selector's modifier.
Status CheckExtended(const Call& call);

}  // namespace picket::rules::promql
