// SPDX-License-Identifier: Apache-2.0
// What others ask about an expression: its selectors, its calls, its reach; and the names of the
// tree's enums.
#include <algorithm>
#include <array>
#include <functional>

#include "rules/promql/parse/durations.h"
#include "rules/promql/parser.h"

namespace picket::rules::promql {
namespace {

/// Visits the node and everything below it, in the order of the text.
void Walk(const Node& node, const std::function<void(const Node&)>& visit) {
  visit(node);
  switch (node.kind) {
    case NodeKind::kMatrixSelector:
      Walk(*static_cast<const MatrixSelector&>(node).selector, visit);
      break;
    case NodeKind::kSubquery:
      Walk(*static_cast<const Subquery&>(node).expr, visit);
      break;
    case NodeKind::kCall:
      for (const NodePtr& argument : static_cast<const Call&>(node).arguments)
        Walk(*argument, visit);
      break;
    case NodeKind::kAggregate: {
      const auto& aggregate = static_cast<const Aggregate&>(node);
      if (aggregate.parameter) Walk(*aggregate.parameter, visit);
      Walk(*aggregate.expr, visit);
      break;
    }
    case NodeKind::kBinary:
      Walk(*static_cast<const Binary&>(node).left, visit);
      Walk(*static_cast<const Binary&>(node).right, visit);
      break;
    case NodeKind::kUnary:
      Walk(*static_cast<const Unary&>(node).expr, visit);
      break;
    case NodeKind::kParen:
      Walk(*static_cast<const Paren&>(node).expr, visit);
      break;
    default:
      break;
  }
}

Milliseconds Settled(const DurationSetting& setting) {
  return Evaluate(setting, DurationContext{}, false).value_or(Milliseconds(0));
}

Milliseconds ReachOf(const Node& node, Milliseconds lookback) {
  const auto deepest = [&](std::initializer_list<const Node*> children) {
    Milliseconds most(0);
    for (const Node* child : children)
      if (child != nullptr) most = std::max(most, ReachOf(*child, lookback));
    return most;
  };
  switch (node.kind) {
    case NodeKind::kVectorSelector: {
      const auto& selector = static_cast<const VectorSelector&>(node);
      if (selector.at.kind != AtModifier::Kind::kNone) return Milliseconds(0);
      return std::max(Milliseconds(0), lookback + Settled(selector.offset));
    }
    case NodeKind::kMatrixSelector: {
      const auto& matrix = static_cast<const MatrixSelector&>(node);
      if (matrix.selector->at.kind != AtModifier::Kind::kNone) return Milliseconds(0);
      const bool extended = matrix.selector->anchored || matrix.selector->smoothed;
      return std::max(Milliseconds(0), Settled(matrix.window) + Settled(matrix.selector->offset) +
                                           (extended ? lookback : Milliseconds(0)));
    }
    case NodeKind::kSubquery: {
      const auto& subquery = static_cast<const Subquery&>(node);
      if (subquery.at.kind != AtModifier::Kind::kNone) return Milliseconds(0);
      return std::max(Milliseconds(0), Settled(subquery.window) + Settled(subquery.offset) +
                                           deepest({subquery.expr.get()}));
    }
    case NodeKind::kCall: {
      Milliseconds most(0);
      for (const NodePtr& argument : static_cast<const Call&>(node).arguments)
        most = std::max(most, ReachOf(*argument, lookback));
      return most;
    }
    case NodeKind::kAggregate:
      return deepest({static_cast<const Aggregate&>(node).expr.get(),
                      static_cast<const Aggregate&>(node).parameter.get()});
    case NodeKind::kBinary:
      return deepest({static_cast<const Binary&>(node).left.get(),
                      static_cast<const Binary&>(node).right.get()});
    case NodeKind::kUnary:
      return deepest({static_cast<const Unary&>(node).expr.get()});
    case NodeKind::kParen:
      return deepest({static_cast<const Paren&>(node).expr.get()});
    default:
      return Milliseconds(0);
  }
}

}  // namespace

std::vector<SelectorUse> Selectors(const Expression& expression) {
  std::vector<SelectorUse> out;
  Walk(expression.root(), [&](const Node& node) {
    if (node.kind != NodeKind::kVectorSelector) return;
    const auto& selector = static_cast<const VectorSelector&>(node);
    SelectorUse use{selector.name, selector.matchers, selector.range};
    for (const Matcher& m : selector.matchers)
      if (m.name() == kMetricName && m.type() == Matcher::Type::kEqual) use.metric_name = m.value();
    out.push_back(std::move(use));
  });
  return out;
}

bool Calls(const Expression& expression, std::span<const std::string_view> functions) {
  bool found = false;
  Walk(expression.root(), [&](const Node& node) {
    if (node.kind == NodeKind::kCall)
      found |= std::find(functions.begin(), functions.end(),
                         static_cast<const Call&>(node).function->name) != functions.end();
  });
  return found;
}

Milliseconds Reach(const Expression& expression, Milliseconds lookback) {
  return ReachOf(expression.root(), lookback);
}

const Node& WithoutParens(const Node& node) {
  const Node* n = &node;
  while (n->kind == NodeKind::kParen) n = static_cast<const Paren*>(n)->expr.get();
  return *n;
}

std::string_view ValueTypeName(ValueType type) {
  constexpr std::array<std::string_view, 5> kNames = {"none", "scalar", "string", "vector",
                                                      "matrix"};
  return kNames[static_cast<size_t>(type)];
}

std::string_view ValueTypeText(ValueType type) {
  constexpr std::array<std::string_view, 5> kNames = {"none", "scalar", "string", "instant vector",
                                                      "range vector"};
  return kNames[static_cast<size_t>(type)];
}

std::string_view AggregateName(AggregateOp op) {
  constexpr std::array<std::string_view, 14> kNames = {
      "sum",    "avg",  "min",     "max",      "group",        "count",  "stddev",
      "stdvar", "topk", "bottomk", "quantile", "count_values", "limitk", "limit_ratio"};
  return kNames[static_cast<size_t>(op)];
}

std::string_view BinaryName(BinaryOp op) {
  constexpr std::array<std::string_view, 18> kNames = {"+",     "-",  "*",  "/",   "%",  "^",
                                                       "atan2", "==", "!=", ">",   "<",  ">=",
                                                       "<=",    "</", ">/", "and", "or", "unless"};
  return kNames[static_cast<size_t>(op)];
}

}  // namespace picket::rules::promql
