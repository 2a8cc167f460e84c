// SPDX-License-Identifier: Apache-2.0
#include "core/model/metrics.h"
#include "core/model/signals.h"

namespace picket {

std::string_view MetricTypeName(MetricType type) {
  switch (type) {
    case MetricType::kUnknown:
      return "unknown";
    case MetricType::kCounter:
      return "counter";
    case MetricType::kGauge:
      return "gauge";
    case MetricType::kHistogram:
      return "histogram";
    case MetricType::kGaugeHistogram:
      return "gaugehistogram";
    case MetricType::kSummary:
      return "summary";
    case MetricType::kInfo:
      return "info";
    case MetricType::kStateset:
      return "stateset";
  }
  return "unknown";
}

std::string_view VerdictName(Verdict verdict) {
  switch (verdict) {
    case Verdict::kUnsure:
      return "unsure";
    case Verdict::kOk:
      return "ok";
    case Verdict::kBad:
      return "bad";
  }
  return "unsure";
}

}  // namespace picket
