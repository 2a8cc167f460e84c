// SPDX-License-Identifier: Apache-2.0
#include "rules/promql/eval/native_estimate.h"

namespace picket::rules::promql {

double NativeQuantile(Evaluation&, double, const HistogramValue&, std::string_view, const Node&) {
  return Absent();
}
double NativeFraction(Evaluation&, double, double, const HistogramValue&, std::string_view,
                      const Node&) {
  return Absent();
}

}  // namespace picket::rules::promql
