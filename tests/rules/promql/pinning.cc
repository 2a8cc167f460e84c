// SPDX-License-Identifier: Apache-2.0
#include "tests/rules/promql/pinning.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <vector>

namespace picket::rules::promql {
namespace {

void Collect(const Node& node, std::vector<uint32_t>& places) {
  const auto pin = [&](const AtModifier& at) {
    if (at.kind == AtModifier::Kind::kNone) places.push_back(node.range.end);
  };
  switch (node.kind) {
    case NodeKind::kVectorSelector:
      pin(static_cast<const VectorSelector&>(node).at);
      break;
    case NodeKind::kMatrixSelector:
      pin(static_cast<const MatrixSelector&>(node).selector->at);
      break;
    case NodeKind::kSubquery:
      pin(static_cast<const Subquery&>(node).at);
      break;
    case NodeKind::kCall: {
      const auto& call = static_cast<const Call&>(node);
      const size_t count = call.function->name == "info" ? 1 : call.arguments.size();
      for (size_t i = 0; i < count; ++i) Collect(*call.arguments[i], places);
      break;
    }
    case NodeKind::kAggregate: {
      const auto& aggregate = static_cast<const Aggregate&>(node);
      if (aggregate.parameter) Collect(*aggregate.parameter, places);
      Collect(*aggregate.expr, places);
      break;
    }
    case NodeKind::kBinary:
      Collect(*static_cast<const Binary&>(node).left, places);
      Collect(*static_cast<const Binary&>(node).right, places);
      break;
    case NodeKind::kUnary:
      Collect(*static_cast<const Unary&>(node).expr, places);
      break;
    case NodeKind::kParen:
      Collect(*static_cast<const Paren&>(node).expr, places);
      break;
    default:
      break;
  }
}

}  // namespace

bool IsPinnable(const Expression& expression) {
  constexpr auto kUnsafe = std::to_array<std::string_view>(
      {"days_in_month", "day_of_month", "day_of_week", "day_of_year", "hour", "minute", "month",
       "year", "time", "timestamp", "predict_linear", "start", "end", "range", "step"});
  return !Calls(expression, kUnsafe);
}

std::string Pin(const Expression& expression, UnixMs t) {
  std::vector<uint32_t> places;
  Collect(expression.root(), places);
  std::sort(places.rbegin(), places.rend());
  std::string out = expression.text();
  for (const uint32_t place : places)
    out.insert(place, fmt::format(" @ {:.3f}", static_cast<double>(t) / 1000));
  return out;
}

bool HasRangeDependentText(const std::string& query) {
  for (const std::string_view call : {"start()", "end()", "range()", "step()"})
    if (query.find(call) != std::string::npos) return true;
  return false;
}

}  // namespace picket::rules::promql
