// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <unordered_map>

#include "rules/promql/eval/binary.h"
#include "rules/promql/eval/grouping.h"

namespace picket::rules::promql {
namespace {

/// Which match groups have a sample at which steps.
class Presence {
 public:
  Presence(const Columns& side, const std::vector<uint32_t>& group_of, size_t groups)
      : steps_(side.steps), bits_(groups * side.steps, 0) {
    for (size_t i = 0; i < side.size(); ++i)
      for (size_t t = 0; t < steps_; ++t)
        if (side.Has(i, t)) bits_[group_of[i] * steps_ + t] = 1;
  }
  bool At(uint32_t group, size_t step) const { return bits_[group * steps_ + step] != 0; }

 private:
  size_t steps_;
  std::vector<uint8_t> bits_;
};

/// Takes the samples away for which `remove(step)` says so; the row too when none is left.
template <class F>
void Filter(Columns& columns, size_t row, F&& remove) {
  for (size_t t = 0; t < columns.steps; ++t) {
    if (!remove(t)) continue;
    columns.Row(row)[t] = Absent();
    if (columns.HasHistograms()) columns.SetHistogram(row, t, nullptr);
  }
}

/// Adds the rows of `more`, into rows with equal labels where there are such.
Status Append(Columns& to, const Columns& more) {
  for (size_t i = 0; i < more.size(); ++i) {
    double* row = to.AddRow(more.heads[i]);
    std::copy_n(more.Row(i), more.steps, row);
    for (size_t t = 0; t < more.steps; ++t)
      if (const HistogramValue* h = more.HistogramAt(i, t); h != nullptr)
        to.SetHistogram(to.size() - 1, t, h);
    to.DropLastIfEmpty();
  }
  return MergeEqualRows(to);
}

}  // namespace

Result<Value> EvaluateSetOperator(Evaluation& evaluation, const Binary& node, Columns left,
                                  Columns right) {
  const LabelSelection selection(node.matching.labels, node.matching.on);
  if (node.matching.on && selection.Names(kMetricName)) {
    PICKET_TRY(evaluation.SettleNames(left));
    PICKET_TRY(evaluation.SettleNames(right));
  }
  KeyNumbers numbers;
  std::string key;
  const auto number = [&](const Columns& side) {
    std::vector<uint32_t> out(side.size());
    for (size_t i = 0; i < side.size(); ++i) {
      selection.KeyOf(*side.heads[i].labels, key);
      out[i] = numbers.Number(key).first;
    }
    return out;
  };
  const std::vector<uint32_t> left_groups = number(left);
  const std::vector<uint32_t> right_groups = number(right);
  PICKET_TRY(evaluation.Checkpoint());
  if (node.op == BinaryOp::kOr) {
    const Presence there(left, left_groups, numbers.size());
    for (size_t i = 0; i < right.size(); ++i)
      Filter(right, i, [&](size_t t) { return there.At(right_groups[i], t); });
    PICKET_TRY(Append(left, right));
    return Value::Vector(std::move(left));
  }
  const Presence there(right, right_groups, numbers.size());
  const bool unless = node.op == BinaryOp::kUnless;
  for (size_t i = 0; i < left.size(); ++i)
    Filter(left, i, [&](size_t t) { return there.At(left_groups[i], t) == unless; });
  return Value::Vector(std::move(left));
}

}  // namespace picket::rules::promql
