// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string>

#include "core/base/strings.h"
#include "rules/promql/parse/lexer.h"
#include "rules/promql/parser.h"

namespace picket::rules::promql {
namespace {

std::string Join(const std::vector<std::string>& labels) {
  std::string out;
  for (const std::string& label : labels) {
    if (!out.empty()) out += ", ";
    out += IsLegacyLabelName(label) ? label : Quote(label);
  }
  return out;
}

std::string PrintDuration(const DurationExpr& e) {
  using Op = DurationExpr::Op;
  const auto both = [&](std::string_view op) {
    return fmt::format("{} {} {}", PrintDuration(*e.left), op, PrintDuration(*e.right));
  };
  switch (e.op) {
    case Op::kLiteral:
      if (e.duration_literal)
        return FormatDuration(Milliseconds(static_cast<int64_t>(e.seconds * 1000 + 0.5)));
      return FormatFloat(e.seconds);
    case Op::kAdd:
      return both("+");
    case Op::kSubtract:
      return both("-");
    case Op::kMultiply:
      return both("*");
    case Op::kDivide:
      return both("/");
    case Op::kModulo:
      return both("%");
    case Op::kPower:
      return both("^");
    case Op::kNegate:
      return "-" + PrintDuration(*e.left);
    case Op::kPlus:
      return "+" + PrintDuration(*e.left);
    case Op::kParen:
      return "(" + PrintDuration(*e.left) + ")";
    case Op::kStep:
      return "step()";
    case Op::kRange:
      return "range()";
    case Op::kMin:
      return fmt::format("min_of({}, {})", PrintDuration(*e.left), PrintDuration(*e.right));
    case Op::kMax:
      return fmt::format("max_of({}, {})", PrintDuration(*e.left), PrintDuration(*e.right));
  }
  return {};
}

std::string PrintSetting(const DurationSetting& setting) {
  return setting.expr ? PrintDuration(*setting.expr) : FormatDuration(setting.value);
}

std::string PrintModifiers(const AtModifier& at, const DurationSetting& offset) {
  std::string out;
  switch (at.kind) {
    case AtModifier::Kind::kNone:
      break;
    case AtModifier::Kind::kStart:
      out += " @ start()";
      break;
    case AtModifier::Kind::kEnd:
      out += " @ end()";
      break;
    case AtModifier::Kind::kTimestamp:
      out += fmt::format(" @ {:.3f}", static_cast<double>(at.timestamp_ms) / 1000.0);
      break;
  }
  if (offset.expr || offset.value.count() != 0) out += " offset " + PrintSetting(offset);
  return out;
}

std::string PrintExtended(const VectorSelector& node) {
  return node.anchored ? " anchored" : node.smoothed ? " smoothed" : "";
}

/// Whether a name reads as itself without quotes: neither a number nor a word that is kept for
/// matching.
bool ReadsBare(const std::string& name) {
  constexpr std::string_view kOthers[] = {"inf",      "nan",        "bool",       "on",
                                          "ignoring", "group_left", "group_right"};
  const std::string word = Lowercase(name);
  return IsLegacyMetricName(name) &&
         std::find(std::begin(kOthers), std::end(kOthers), word) == std::end(kOthers);
}

std::string PrintSelector(const VectorSelector& node) {
  const bool bare = ReadsBare(node.name);
  std::string inside = node.name.empty() || bare ? "" : Quote(node.name);
  for (const Matcher& m : node.matchers) {
    if (!node.name.empty() && m.name() == kMetricName) continue;
    constexpr std::string_view kOps[] = {"=", "!=", "=~", "!~"};
    if (!inside.empty()) inside += ",";
    inside += fmt::format("{}{}{}", IsLegacyLabelName(m.name()) ? m.name() : Quote(m.name()),
                          kOps[static_cast<size_t>(m.type())], Quote(m.value()));
  }
  std::string out = bare ? node.name : "";
  if (!inside.empty() || out.empty()) out += "{" + inside + "}";
  return out;
}

std::string PrintMatching(const Binary& node) {
  using Cardinality = VectorMatching::Cardinality;
  const VectorMatching& m = node.matching;
  std::string out;
  if (node.return_bool) out += " bool";
  const bool grouped =
      m.cardinality == Cardinality::kManyToOne || m.cardinality == Cardinality::kOneToMany;
  if (m.written && (m.on || !m.labels.empty() || grouped))
    out += fmt::format(" {} ({})", m.on ? "on" : "ignoring", Join(m.labels));
  if (grouped)
    out += fmt::format(" {} ({})",
                       m.cardinality == Cardinality::kManyToOne ? "group_left" : "group_right",
                       Join(m.include));
  const bool same =
      m.fill_left && m.fill_right && FormatFloat(*m.fill_left) == FormatFloat(*m.fill_right);
  if (same) return out + fmt::format(" fill ({})", FormatFloat(*m.fill_left));
  if (m.fill_left) out += fmt::format(" fill_left ({})", FormatFloat(*m.fill_left));
  if (m.fill_right) out += fmt::format(" fill_right ({})", FormatFloat(*m.fill_right));
  return out;
}

std::string PrintAggregate(const Aggregate& node) {
  std::string out(AggregateName(node.op));
  if (node.without) {
    out += fmt::format(" without ({}) ", Join(node.grouping));
  } else if (!node.grouping.empty()) {
    out += fmt::format(" by ({}) ", Join(node.grouping));
  }
  out += "(";
  if (node.parameter) out += Print(*node.parameter) + ", ";
  return out + Print(*node.expr) + ")";
}

std::string PrintCall(const Call& node) {
  std::string arguments;
  for (const NodePtr& argument : node.arguments) {
    if (!arguments.empty()) arguments += ", ";
    arguments += Print(*argument);
  }
  return fmt::format("{}({})", node.function->name, arguments);
}

std::string PrintNumber(const Number& node) {
  const double ms = node.value * 1000;
  if (!node.duration_literal || ms != static_cast<double>(static_cast<int64_t>(ms)))
    return FormatFloat(node.value);
  return FormatDuration(Milliseconds(static_cast<int64_t>(ms)));
}

}  // namespace

std::string Print(const Node& node) {
  switch (node.kind) {
    case NodeKind::kNumber:
      return PrintNumber(static_cast<const Number&>(node));
    case NodeKind::kString:
      return Quote(static_cast<const String&>(node).value);
    case NodeKind::kVectorSelector: {
      const auto& selector = static_cast<const VectorSelector&>(node);
      return PrintSelector(selector) + PrintModifiers(selector.at, selector.offset) +
             PrintExtended(selector);
    }
    case NodeKind::kMatrixSelector: {
      const auto& matrix = static_cast<const MatrixSelector&>(node);
      return fmt::format("{}[{}]{}{}", PrintSelector(*matrix.selector), PrintSetting(matrix.window),
                         PrintExtended(*matrix.selector),
                         PrintModifiers(matrix.selector->at, matrix.selector->offset));
    }
    case NodeKind::kSubquery: {
      const auto& subquery = static_cast<const Subquery&>(node);
      return fmt::format("{}[{}:{}]{}", Print(*subquery.expr), PrintSetting(subquery.window),
                         subquery.step ? PrintSetting(*subquery.step) : "",
                         PrintModifiers(subquery.at, subquery.offset));
    }
    case NodeKind::kCall:
      return PrintCall(static_cast<const Call&>(node));
    case NodeKind::kAggregate:
      return PrintAggregate(static_cast<const Aggregate&>(node));
    case NodeKind::kBinary: {
      const auto& binary = static_cast<const Binary&>(node);
      return fmt::format("{} {}{} {}", Print(*binary.left), BinaryName(binary.op),
                         PrintMatching(binary), Print(*binary.right));
    }
    case NodeKind::kUnary: {
      const auto& unary = static_cast<const Unary&>(node);
      return (unary.negate ? "-" : "+") + Print(*unary.expr);
    }
    case NodeKind::kParen:
      return "(" + Print(*static_cast<const Paren&>(node).expr) + ")";
  }
  return {};
}

std::string Print(const Expression& expression) { return Print(expression.root()); }

}  // namespace picket::rules::promql
