// SPDX-License-Identifier: Apache-2.0
// Aggregations that give back some of the series they read, and count_values.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/base/strings.h"
#include "rules/promql/eval/aggregate.h"
#include "rules/promql/eval/grouping.h"
#include "rules/promql/eval/histogram.h"

namespace picket::rules::promql {
namespace {

/// How many of `size` members a parameter asks for. Errors: kInvalidArgument for NaN and what int64
/// cannot hold.
Result<size_t> Limit(double k, size_t size) {
  if (std::isnan(k)) return Fail(ErrorKind::kInvalidArgument, "Parameter value is NaN");
  if (k <= -9.223372036854775807e18)
    return Fail(ErrorKind::kInvalidArgument, fmt::format("Scalar value {} underflows int64", k));
  if (k >= 9.223372036854775807e18)
    return Fail(ErrorKind::kInvalidArgument, fmt::format("Scalar value {} overflows int64", k));
  if (k < 1) return 0;
  return std::min(size, static_cast<size_t>(std::min(k, 4e18)));
}

/// Picks the rows of one group at one step into `picked`, best first.
class Picker {
 public:
  explicit Picker(Grouped& g) : g_(g) {}

  Status Pick(const std::vector<uint32_t>& members, size_t step, double parameter,
              std::vector<uint32_t>& picked) {
    picked.clear();
    if (g_.node.op == AggregateOp::kLimitRatio) return PickRatio(members, step, parameter, picked);
    PICKET_ASSIGN(const size_t limit, Limit(parameter, members.size()));
    if (limit == 0) return {};
    if (g_.node.op == AggregateOp::kLimitk) {
      for (const uint32_t i : members)
        if (picked.size() < limit && g_.input.Has(i, step)) picked.push_back(i);
      return {};
    }
    PickBest(members, step, limit, picked);
    return {};
  }

 private:
  void PickBest(const std::vector<uint32_t>& members, size_t step, size_t limit,
                std::vector<uint32_t>& picked) {
    const bool top = g_.node.op == AggregateOp::kTopk;
    for (const uint32_t i : members) {
      if (!IsAbsent(g_.input.Row(i)[step])) {
        picked.push_back(i);
      } else if (g_.input.HistogramAt(i, step) != nullptr) {
        g_.evaluation.annotations().HistogramIgnoredInAggregation(AggregateName(g_.node.op),
                                                                  *g_.node.expr);
      }
    }
    const auto better = [&](uint32_t a, uint32_t b) {
      const double x = g_.input.Row(a)[step];
      const double y = g_.input.Row(b)[step];
      if (std::isnan(x) || std::isnan(y))
        return std::isnan(x) == std::isnan(y) ? a < b : !std::isnan(x);
      if (x != y) return top ? x > y : x < y;
      return a < b;
    };
    const size_t n = std::min(limit, picked.size());
    std::partial_sort(picked.begin(), picked.begin() + static_cast<std::ptrdiff_t>(n), picked.end(),
                      better);
    picked.resize(n);
  }

  /// A series is in or out by its hash, so that a ratio and its complement share the series between
  /// them.
  Status PickRatio(const std::vector<uint32_t>& members, size_t step, double ratio,
                   std::vector<uint32_t>& picked) {
    if (std::isnan(ratio)) return Fail(ErrorKind::kInvalidArgument, "Ratio value is NaN");
    const double capped = std::clamp(ratio, -1.0, 1.0);
    if (capped != ratio)
      g_.evaluation.annotations().InvalidRatio(ratio, capped, *g_.node.parameter);
    if (capped == 0) return {};
    for (const uint32_t i : members) {
      const double place =
          static_cast<double>(g_.input.heads[i].labels->Hash()) / 18446744073709551616.0;
      const bool in = capped > 0 ? place < capped : place >= 1.0 + capped;
      if (in && g_.input.Has(i, step)) picked.push_back(i);
    }
    return {};
  }

  Grouped& g_;
};

void CopyPoint(const Columns& from, size_t row, size_t step, Columns& to, size_t to_row) {
  to.Row(to_row)[step] = from.Row(row)[step];
  if (const HistogramValue* h = from.HistogramAt(row, step); h != nullptr)
    to.SetHistogram(to_row, step, h);
}

/// Plain decimal digits, never an exponent.
std::string Decimal(double v) {
  if (!std::isfinite(v)) return FormatFloat(v);
  char buffer[400];
  const auto r = std::to_chars(buffer, buffer + sizeof buffer, v, std::chars_format::fixed);
  return std::string(buffer, r.ptr);
}

}  // namespace

Result<Value> AggregatePicks(Grouped& g) {
  PICKET_ASSIGN(const std::vector<double> parameter,
                g.evaluation.EvaluateScalar(*g.node.parameter, g.grid));
  const size_t steps = g.steps();
  PICKET_ASSIGN(Columns out, g.evaluation.NewColumns(g.input.size(), steps));
  std::vector<uint32_t> row_of(g.input.size(), UINT32_MAX);
  std::vector<uint32_t> picked;
  Picker picker(g);
  // Group by group, so that an instant result comes in the order of its ranks.
  for (const std::vector<uint32_t>& members : g.Members()) {
    PICKET_TRY(g.evaluation.Checkpoint());
    for (size_t t = 0; t < steps; ++t) {
      PICKET_TRY(picker.Pick(members, t, parameter[t], picked));
      for (const uint32_t i : picked) {
        if (row_of[i] == UINT32_MAX) {
          row_of[i] = static_cast<uint32_t>(out.size());
          out.AddRow(g.input.heads[i]);
        }
        CopyPoint(g.input, i, t, out, row_of[i]);
      }
    }
  }
  return Value::Vector(std::move(out));
}

Result<Value> AggregateCountValues(Grouped& g) {
  PICKET_ASSIGN(const std::string label, g.evaluation.EvaluateString(*g.node.parameter));
  if (label.empty() || !IsValidUtf8(label))
    return Fail(ErrorKind::kInvalidArgument, fmt::format("invalid label name \"{}\"", label));
  const size_t steps = g.steps();
  Columns out(steps);
  KeyNumbers numbers;
  for (size_t i = 0; i < g.input.size(); ++i) {
    PICKET_TRY(g.evaluation.Checkpoint());
    for (size_t t = 0; t < steps; ++t) {
      if (!g.input.Has(i, t)) continue;
      const HistogramValue* h = g.input.HistogramAt(i, t);
      const std::string value = h != nullptr ? HistogramText(*h) : Decimal(g.input.Row(i)[t]);
      const auto [number, fresh] = numbers.Number(fmt::format("{} {}", g.group_of[i], value));
      if (fresh) {
        if (!g.evaluation.budget().Fits(static_cast<uint64_t>(out.size() + 1) * steps))
          return Fail(
              ErrorKind::kOverloaded,
              "query processing would load too many samples into memory in query execution");
        const SeriesHead& group = g.groups[g.group_of[i]];
        LabelsBuilder builder(*group.labels);
        builder.Set(label, value);
        out.AddRow({g.evaluation.Keep(builder.Build()), group.drop_name && label != kMetricName});
      }
      double& count = out.Row(number)[t];
      count = IsAbsent(count) ? 1 : count + 1;
    }
  }
  PICKET_TRY(MergeEqualRows(out));
  return Value::Vector(std::move(out));
}

}  // namespace picket::rules::promql
