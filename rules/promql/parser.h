// SPDX-License-Identifier: Apache-2.0
// From text to checked expressions and back, and what others need to know about an expression.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/base/units.h"
#include "core/model/labels.h"
#include "rules/promql/ast.h"

namespace picket::rules::promql {

/// Which parts of the language are open, as Prometheus' feature flags.
struct ParseOptions {
  bool experimental_functions = false;    ///< promql-experimental-functions
  bool duration_expressions = true;       ///< on by default since 3.14
  bool extended_range_selectors = false;  ///< promql-extended-range-selectors: anchored, smoothed
  bool binop_fill_modifiers = false;      ///< promql-binop-fill-modifiers
  static ParseOptions Everything() { return {true, true, true, true}; }
};

/// A parsed and type-checked expression. Immutable, shared between threads.
class Expression {
 public:
  Expression(std::string text, NodePtr root) : text_(std::move(text)), root_(std::move(root)) {}
  const std::string& text() const { return text_; }
  const Node& root() const { return *root_; }
  ValueType type() const { return root_->type; }

 private:
  std::string text_;
  NodePtr root_;
};
using ExpressionPtr = std::shared_ptr<const Expression>;

/// Errors: kInvalidArgument with line and column; Error::ToString() is Prometheus' text, "1:5:
/// parse error: ...". Cost: linear in the text; nesting is limited to kMaxDepth. Source:
/// prometheus.io/docs/prometheus/latest/querying/basics and .../operators.
Result<ExpressionPtr> Parse(std::string_view text, const ParseOptions& options = {});
inline constexpr int kMaxDepth = 400;

/// A selector alone, as in the API's match[]: `up{job="x"}`.
Result<std::vector<Matcher>> ParseSelector(std::string_view text);

/// The normal form on one line: Parse(Print(e)) prints the same again.
std::string Print(const Expression& expression);
std::string Print(const Node& node);

/// One selector that an expression reads.
struct SelectorUse {
  std::string
      metric_name;  ///< from the name or an equality matcher on __name__; empty if there is none
  std::vector<Matcher> matchers;
  TextRange range;
};
/// In the order of the text. For dependencies between rules and the hint "matches nothing".
std::vector<SelectorUse> Selectors(const Expression& expression);

/// Whether any of these functions is called.
bool Calls(const Expression& expression, std::span<const std::string_view> functions);

/// How far before the evaluation time the expression may look: windows, positive offsets,
/// subqueries and the lookback. Selectors pinned with @ do not count. Durations that need a query's
/// step are taken as for an instant query.
Milliseconds Reach(const Expression& expression, Milliseconds lookback = Milliseconds(300'000));

}  // namespace picket::rules::promql
