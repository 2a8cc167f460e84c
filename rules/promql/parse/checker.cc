// SPDX-License-Identifier: Apache-2.0
#include "rules/promql/parse/checker.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>

#include "rules/promql/parse/functions.h"
#include "rules/promql/parse/lexer.h"

namespace picket::rules::promql {
namespace {

class Checker {
 public:
  explicit Checker(std::string_view text) : text_(text) {}

  Status Check(Node& node) {
    switch (node.kind) {
      case NodeKind::kBinary:
        return CheckBinary(static_cast<Binary&>(node));
      case NodeKind::kCall:
        return CheckCall(static_cast<Call&>(node));
      case NodeKind::kAggregate:
        return CheckAggregate(static_cast<Aggregate&>(node));
      case NodeKind::kUnary:
        return CheckUnary(static_cast<Unary&>(node));
      case NodeKind::kSubquery:
        return CheckSubquery(static_cast<Subquery&>(node));
      case NodeKind::kParen: {
        auto& paren = static_cast<Paren&>(node);
        PICKET_TRY(Check(*paren.expr));
        paren.type = paren.expr->type;
        return {};
      }
      case NodeKind::kVectorSelector:
        return CheckSelector(static_cast<VectorSelector&>(node));
      case NodeKind::kMatrixSelector:
        return CheckSelector(*static_cast<MatrixSelector&>(node).selector);
      default:
        return {};
    }
  }

 private:
  Status Bad(const Node& node, std::string message) const {
    return Fail(ParseErrorAt(text_, node.range.begin, std::move(message)));
  }
  Status Expect(const Node& node, ValueType wanted, std::string_view context) const {
    if (node.type == wanted) return {};
    return Bad(node, fmt::format("expected type {} in {}, got {}", ValueTypeText(wanted), context,
                                 ValueTypeText(node.type)));
  }

  Status CheckSelector(const VectorSelector& node) const {
    const bool selective = std::any_of(node.matchers.begin(), node.matchers.end(),
                                       [](const Matcher& m) { return !m.MatchesEmpty(); });
    return selective ? Status()
                     : Bad(node, "vector selector must contain at least one non-empty matcher");
  }

  Status CheckAggregate(Aggregate& node) {
    PICKET_TRY(Check(*node.expr));
    PICKET_TRY(Expect(*node.expr, ValueType::kVector, "aggregation expression"));
    if (!node.parameter) return {};
    PICKET_TRY(Check(*node.parameter));
    const ValueType wanted =
        node.op == AggregateOp::kCountValues ? ValueType::kString : ValueType::kScalar;
    return Expect(*node.parameter, wanted, "aggregation parameter");
  }

  Status CheckUnary(Unary& node) {
    PICKET_TRY(Check(*node.expr));
    node.type = node.expr->type;
    if (node.type == ValueType::kScalar || node.type == ValueType::kVector) return {};
    return Bad(
        node,
        fmt::format(
            "unary expression only allowed on expressions of type scalar or instant vector, got {}",
            Quote(ValueTypeText(node.type))));
  }

  Status CheckSubquery(Subquery& node) {
    PICKET_TRY(Check(*node.expr));
    if (node.expr->type == ValueType::kVector) return {};
    return Bad(node, fmt::format("subquery is only allowed on instant vector, got {} instead",
                                 ValueTypeText(node.expr->type)));
  }

  Status CheckCall(Call& node) {
    const FunctionSpec& f = *node.function;
    const size_t given = node.arguments.size();
    const size_t listed = f.arguments.size();
    const std::string name = Quote(f.name);
    if (f.variadic == 0) {
      if (given != listed)
        return Bad(node, fmt::format("expected {} argument(s) in call to {}, got {}", listed, name,
                                     given));
    } else {
      const size_t least = listed - 1;
      if (given < least)
        return Bad(node, fmt::format("expected at least {} argument(s) in call to {}, got {}",
                                     least, name, given));
      if (f.variadic > 0 && given > least + static_cast<size_t>(f.variadic))
        return Bad(node, fmt::format("expected at most {} argument(s) in call to {}, got {}",
                                     least + static_cast<size_t>(f.variadic), name, given));
    }
    for (size_t i = 0; i < given; ++i) {
      // The second argument of info() picks labels, it may match everything.
      if (f.name != "info" || i == 0) PICKET_TRY(Check(*node.arguments[i]));
      PICKET_TRY(Expect(*node.arguments[i], f.arguments[std::min(i, listed - 1)],
                        fmt::format("call to function {}", name)));
    }
    return f.name == "info" ? CheckInfo(node) : Status();
  }

  Status CheckInfo(const Call& node) const {
    if (node.arguments.size() < 2) return {};
    const Node& selector = *node.arguments[1];
    if (selector.kind != NodeKind::kVectorSelector)
      return Bad(selector, "expected label selectors only in call to function \"info\"");
    return {};
  }

  Status CheckBinary(Binary& node) {
    PICKET_TRY(Check(*node.left));
    PICKET_TRY(Check(*node.right));
    const ValueType left = node.left->type;
    const ValueType right = node.right->type;
    const auto operand = [](ValueType t) {
      return t == ValueType::kScalar || t == ValueType::kVector;
    };
    for (const Node* side : {node.left.get(), node.right.get()})
      if (!operand(side->type))
        return Bad(*side, "binary expression must contain only scalar and instant vector types");
    const bool vectors = left == ValueType::kVector && right == ValueType::kVector;
    node.type = left == ValueType::kScalar && right == ValueType::kScalar ? ValueType::kScalar
                                                                          : ValueType::kVector;
    if (node.type == ValueType::kScalar && IsComparison(node.op) && !node.return_bool)
      return Fail(ParseErrorAt(text_, node.operator_position,
                               "comparisons between scalars must use BOOL modifier"));
    if (!vectors) {
      if (IsSetOperator(node.op))
        return Bad(node, fmt::format("set operator {} not allowed in binary scalar expression",
                                     Quote(BinaryName(node.op))));
      if (node.matching.written)
        return Bad(node, "vector matching only allowed between instant vectors");
      if (node.matching.fill_left || node.matching.fill_right)
        return Bad(node, "filling in missing series only allowed between instant vectors");
      return {};
    }
    return CheckMatching(node);
  }

  Status CheckMatching(const Binary& node) const {
    const VectorMatching& m = node.matching;
    if (!m.on) return {};
    for (const std::string& label : m.include)
      if (std::find(m.labels.begin(), m.labels.end(), label) != m.labels.end())
        return Fail(ParseErrorAt(
            text_, node.operator_position,
            fmt::format("label {} must not occur in ON and GROUP clause at once", Quote(label))));
    return {};
  }

  std::string_view text_;
};

bool Mark(Node& node);

bool MarkCall(Call& node) {
  bool invariant = !DependsOnEvaluationTime(node.function->name);
  for (const NodePtr& argument : node.arguments) invariant &= Mark(*argument);
  return invariant;
}

bool Mark(Node& node) {
  bool invariant = true;
  switch (node.kind) {
    case NodeKind::kNumber:
    case NodeKind::kString:
      break;
    case NodeKind::kVectorSelector:
      invariant = static_cast<VectorSelector&>(node).at.kind != AtModifier::Kind::kNone;
      break;
    case NodeKind::kMatrixSelector:
      invariant = static_cast<MatrixSelector&>(node).selector->at.kind != AtModifier::Kind::kNone;
      break;
    case NodeKind::kSubquery: {
      auto& subquery = static_cast<Subquery&>(node);
      Mark(*subquery.expr);
      // The grid of a pinned subquery is fixed, whatever its expression reads: the evaluation times
      // are its own.
      invariant = subquery.at.kind != AtModifier::Kind::kNone;
      break;
    }
    case NodeKind::kCall:
      invariant = MarkCall(static_cast<Call&>(node));
      break;
    case NodeKind::kAggregate: {
      auto& aggregate = static_cast<Aggregate&>(node);
      invariant = Mark(*aggregate.expr);
      if (aggregate.parameter) invariant &= Mark(*aggregate.parameter);
      break;
    }
    case NodeKind::kBinary: {
      auto& binary = static_cast<Binary&>(node);
      invariant = Mark(*binary.left);
      invariant &= Mark(*binary.right);
      break;
    }
    case NodeKind::kUnary:
      invariant = Mark(*static_cast<Unary&>(node).expr);
      break;
    case NodeKind::kParen:
      invariant = Mark(*static_cast<Paren&>(node).expr);
      break;
  }
  return node.step_invariant = invariant;
}

}  // namespace

Status CheckTypes(std::string_view text, Node& root) { return Checker(text).Check(root); }

void MarkStepInvariant(Node& root) { Mark(root); }

}  // namespace picket::rules::promql
