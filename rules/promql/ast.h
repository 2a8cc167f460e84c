// SPDX-License-Identifier: Apache-2.0
// The syntax tree of an expression, as the parser leaves it: checked, typed, immutable.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/units.h"
#include "core/model/labels.h"
#include "rules/promql/value.h"

namespace picket::rules::promql {

/// A place in the expression's text. Units: bytes, end exclusive.
struct TextRange {
  uint32_t begin = 0;
  uint32_t end = 0;
};

enum class NodeKind : uint8_t {
  kNumber,
  kString,
  kVectorSelector,
  kMatrixSelector,
  kSubquery,
  kCall,
  kAggregate,
  kBinary,
  kUnary,
  kParen
};

struct Node {
  NodeKind kind;
  ValueType type;
  TextRange range;
  uint16_t depth = 1;           ///< levels below and with this one; bounded by the parser
  bool step_invariant = false;  ///< the same at every step of a range query
  Node(NodeKind k, ValueType t) : kind(k), type(t) {}
  virtual ~Node() = default;
};
using NodePtr = std::unique_ptr<Node>;

/// Arithmetic on durations, as in [1h/2 + step()]. Units of literals: seconds.
struct DurationExpr {
  enum class Op : uint8_t {
    kLiteral,
    kAdd,
    kSubtract,
    kMultiply,
    kDivide,
    kModulo,
    kPower,
    kNegate,
    kPlus,
    kParen,
    kStep,
    kRange,
    kMin,
    kMax
  } op = Op::kLiteral;
  double seconds = 0;
  bool duration_literal = false;  ///< written 5m, not 300
  TextRange range;
  std::unique_ptr<DurationExpr> left;  // also the operand of unary operators and parentheses
  std::unique_ptr<DurationExpr> right;
};

/// A range, offset or step. `expr` is set when it is more than a literal and must be worked out per
/// query.
struct DurationSetting {
  Milliseconds value{0};
  std::unique_ptr<DurationExpr> expr;
  TextRange range;
};

/// The @ modifier.
struct AtModifier {
  enum class Kind : uint8_t { kNone, kTimestamp, kStart, kEnd } kind = Kind::kNone;
  UnixMs timestamp_ms = 0;
};

struct Number final : Node {
  double value;
  bool duration_literal;  ///< written as 5m
  Number(double v, bool d)
      : Node(NodeKind::kNumber, ValueType::kScalar), value(v), duration_literal(d) {}
};

struct String final : Node {
  std::string value;
  explicit String(std::string v)
      : Node(NodeKind::kString, ValueType::kString), value(std::move(v)) {}
};

struct VectorSelector final : Node {
  std::string name;               ///< metric name, or empty
  std::vector<Matcher> matchers;  ///< all of them, the name's included
  DurationSetting offset;
  AtModifier at;
  bool anchored = false;
  bool smoothed = false;
  VectorSelector() : Node(NodeKind::kVectorSelector, ValueType::kVector) {}
};

struct MatrixSelector final : Node {
  std::unique_ptr<VectorSelector> selector;
  DurationSetting window;
  MatrixSelector() : Node(NodeKind::kMatrixSelector, ValueType::kMatrix) {}
};

struct Subquery final : Node {
  NodePtr expr;
  DurationSetting window;
  std::optional<DurationSetting> step;  ///< absent: the default step
  DurationSetting offset;
  AtModifier at;
  Subquery() : Node(NodeKind::kSubquery, ValueType::kMatrix) {}
};

/// One row of the function table.
struct FunctionSpec {
  std::string_view name;
  std::vector<ValueType> arguments;
  int variadic;  ///< how many of the last argument are optional or may be added; -1: any number
  ValueType result;
  bool experimental;
};

struct Call final : Node {
  const FunctionSpec* function = nullptr;
  std::vector<NodePtr> arguments;
  Call() : Node(NodeKind::kCall, ValueType::kVector) {}
};

enum class AggregateOp : uint8_t {
  kSum,
  kAvg,
  kMin,
  kMax,
  kGroup,
  kCount,
  kStddev,
  kStdvar,
  kTopk,
  kBottomk,
  kQuantile,
  kCountValues,
  kLimitk,
  kLimitRatio
};
std::string_view AggregateName(AggregateOp op);

struct Aggregate final : Node {
  AggregateOp op{};
  NodePtr expr;
  NodePtr parameter;  ///< of topk, bottomk, quantile, count_values, limitk, limit_ratio
  std::vector<std::string> grouping;
  bool without = false;
  Aggregate() : Node(NodeKind::kAggregate, ValueType::kVector) {}
};

enum class BinaryOp : uint8_t {
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kModulo,
  kPower,
  kAtan2,
  kEqual,
  kNotEqual,
  kGreater,
  kLess,
  kGreaterOrEqual,
  kLessOrEqual,
  kTrimUpper,
  kTrimLower,  ///< </ and >/
  kAnd,
  kOr,
  kUnless
};
std::string_view BinaryName(BinaryOp op);
inline bool IsComparison(BinaryOp op) {
  return op >= BinaryOp::kEqual && op <= BinaryOp::kLessOrEqual;
}
inline bool IsSetOperator(BinaryOp op) { return op >= BinaryOp::kAnd; }

struct VectorMatching {
  enum class Cardinality : uint8_t { kOneToOne, kManyToOne, kOneToMany, kManyToMany } cardinality{};
  bool on = false;
  bool written = false;  ///< on() or ignoring() was there
  std::vector<std::string> labels;
  std::vector<std::string> include;  ///< labels of group_left, group_right
  std::optional<double> fill_left;
  std::optional<double> fill_right;
};

struct Binary final : Node {
  BinaryOp op{};
  NodePtr left;
  NodePtr right;
  bool return_bool = false;
  VectorMatching matching;
  uint32_t operator_position = 0;
  Binary() : Node(NodeKind::kBinary, ValueType::kVector) {}
};

struct Unary final : Node {
  bool negate = false;
  NodePtr expr;
  Unary() : Node(NodeKind::kUnary, ValueType::kVector) {}
};

struct Paren final : Node {
  NodePtr expr;
  Paren() : Node(NodeKind::kParen, ValueType::kNone) {}
};

/// The expression inside any parentheses.
const Node& WithoutParens(const Node& node);

}  // namespace picket::rules::promql
