// SPDX-License-Identifier: Apache-2.0
// histogram_quantile(), histogram_quantiles() and histogram_fraction() over classic buckets and
// native histograms.
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "core/base/strings.h"
#include "rules/promql/eval/classic_histogram.h"
#include "rules/promql/eval/functions.h"
#include "rules/promql/eval/grouping.h"
#include "rules/promql/eval/native_estimate.h"
#include "rules/promql/eval/range_kernel.h"

namespace picket::rules::promql {
namespace {

std::optional<double> ParseBound(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  double bound = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), bound);
  if (text.empty() || end != text.data() + text.size() ||
      (ec != std::errc() && ec != std::errc::result_out_of_range))
    return std::nullopt;
  return bound;
}

/// Series that are one histogram: rows with the same labels but le, and the row of its native form.
struct HistogramGroup {
  SeriesHead head;
  std::string_view metric;
  std::vector<std::pair<uint32_t, double>> buckets;  // row and bound
  std::vector<uint32_t> natives;
};

/// The operand of a histogram function, grouped once for all steps.
class Histograms {
 public:
  Histograms(Evaluation& evaluation, const Node& argument, Columns columns)
      : evaluation_(evaluation), argument_(argument), columns_(std::move(columns)) {
    Group();
  }

  /// Calls classic(group, buckets, step) -> double or native(group, histogram, step) -> double for
  /// each of them, writing into `out`, which gets a row per group.
  template <class Classic, class Native>
  Status Evaluate(Columns& out, const Labels* extra, Classic&& classic, Native&& native) {
    std::vector<Bucket> buckets;
    for (const HistogramGroup& group : groups_) {
      PICKET_TRY(evaluation_.Checkpoint());
      SeriesHead head = group.head;
      if (extra != nullptr) head.labels = evaluation_.Keep(With(*head.labels, *extra));
      double* row = out.AddRow(head);
      for (size_t t = 0; t < columns_.steps; ++t) {
        buckets.clear();
        for (const auto& [bucket_row, bound] : group.buckets)
          if (const double v = columns_.Row(bucket_row)[t]; !IsAbsent(v))
            buckets.push_back({bound, v});
        const HistogramValue* histogram = NativeAt(group, t);
        if (histogram != nullptr && !buckets.empty()) {
          evaluation_.annotations().MixedClassicNative(group.metric, argument_);
        } else if (histogram != nullptr) {
          row[t] = native(group, *histogram, t);
        } else if (!buckets.empty()) {
          row[t] = classic(group, buckets, t);
        }
      }
      out.DropLastIfEmpty();
    }
    return {};
  }

  size_t size() const { return groups_.size(); }

 private:
  static Labels With(const Labels& labels, const Labels& extra) {
    LabelsBuilder builder(labels);
    for (const Labels::Pair pair : extra) builder.Set(pair.name, pair.value);
    return builder.Build();
  }

  const HistogramValue* NativeAt(const HistogramGroup& group, size_t step) const {
    for (const uint32_t row : group.natives)
      if (const HistogramValue* h = columns_.HistogramAt(row, step); h != nullptr) return h;
    return nullptr;
  }

  bool HasFloats(size_t row) const {
    for (size_t t = 0; t < columns_.steps; ++t)
      if (!IsAbsent(columns_.Row(row)[t])) return true;
    return false;
  }
  bool HasHistograms(size_t row) const {
    for (size_t t = 0; t < columns_.steps && columns_.HasHistograms(); ++t)
      if (columns_.HistogramAt(row, t) != nullptr) return true;
    return false;
  }

  HistogramGroup& GroupOf(const SeriesHead& head, std::string_view dropped) {
    // The name takes part, so that two metrics are not added up; it leaves with the result.
    LabelsBuilder builder(*head.labels);
    if (!dropped.empty()) builder.Delete(dropped);
    Labels labels = builder.Build();
    const auto [number, fresh] = numbers_.Number(labels.ToString());
    if (fresh) {
      HistogramGroup& group = groups_.emplace_back();
      group.metric = MetricNameOf(evaluation_, head);
      group.head = {evaluation_.Keep(std::move(labels)), true};
    }
    return groups_[number];
  }

  void Group() {
    for (size_t i = 0; i < columns_.size(); ++i) {
      const SeriesHead& head = columns_.heads[i];
      if (HasFloats(i)) {
        const std::string_view le = head.labels->Get("le");
        if (const auto bound = ParseBound(le)) {
          GroupOf(head, "le").buckets.emplace_back(static_cast<uint32_t>(i), *bound);
        } else {
          evaluation_.annotations().BadBucketLabel(MetricNameOf(evaluation_, head), le, argument_);
        }
      }
      if (HasHistograms(i)) GroupOf(head, "").natives.push_back(static_cast<uint32_t>(i));
    }
  }

  Evaluation& evaluation_;
  const Node& argument_;
  Columns columns_;
  KeyNumbers numbers_;
  std::vector<HistogramGroup> groups_;
};

/// As OpenMetrics writes a number: 1 is "1.0".
std::string LabelNumber(double v) {
  std::string out = FormatFloat(v);
  if (std::isfinite(v) && out.find_first_of(".e") == std::string::npos) out += ".0";
  return out;
}

/// Estimates one quantile of every histogram into rows of `out`.
Status Estimate(Evaluation& evaluation, Histograms& histograms, const std::vector<double>& q,
                const Node& argument, const TimeGrid& grid, const Labels* extra, Columns& out) {
  return histograms.Evaluate(
      out, extra,
      [&](const HistogramGroup& group, std::vector<Bucket>& buckets, size_t t) {
        BucketRepair repair;
        const double result = BucketQuantile(q[t], buckets, repair);
        if (repair.forced_monotonic)
          evaluation.annotations().ForcedMonotonicity(
              group.metric, argument, grid.At(t),
              {repair.lowest_bound, repair.highest_bound, repair.most});
        return result;
      },
      [&](const HistogramGroup& group, const HistogramValue& histogram, size_t t) {
        return NativeQuantile(evaluation, q[t], histogram, group.metric, argument);
      });
}

void WarnOfQuantiles(Evaluation& evaluation, const std::vector<double>& q, const Node& at) {
  for (const double v : q)
    if (!(v >= 0 && v <= 1)) evaluation.annotations().InvalidQuantile(v, at);
}

Result<Value> HistogramQuantile(Evaluation& evaluation, const Call& call, const TimeGrid& grid) {
  PICKET_ASSIGN(const std::vector<double> q, evaluation.EvaluateScalar(*call.arguments[0], grid));
  PICKET_ASSIGN(Columns columns, evaluation.EvaluateVector(*call.arguments[1], grid));
  Histograms histograms(evaluation, *call.arguments[1], std::move(columns));
  WarnOfQuantiles(evaluation, q, *call.arguments[0]);
  PICKET_ASSIGN(Columns out, evaluation.NewColumns(histograms.size(), grid.count));
  PICKET_TRY(Estimate(evaluation, histograms, q, *call.arguments[1], grid, nullptr, out));
  return Value::Vector(std::move(out));
}

/// Several quantiles at once, told apart by a label.
Result<Value> HistogramQuantiles(Evaluation& evaluation, const Call& call, const TimeGrid& grid) {
  PICKET_ASSIGN(Columns columns, evaluation.EvaluateVector(*call.arguments[0], grid));
  PICKET_ASSIGN(const std::string label, evaluation.EvaluateString(*call.arguments[1]));
  if (label.empty() || !IsValidUtf8(label))
    return Fail(ErrorKind::kInvalidArgument, fmt::format("invalid label name \"{}\"", label));
  Histograms histograms(evaluation, *call.arguments[0], std::move(columns));
  const size_t quantiles = call.arguments.size() - 2;
  PICKET_ASSIGN(Columns out, evaluation.NewColumns(histograms.size() * quantiles, grid.count));
  for (size_t i = 2; i < call.arguments.size(); ++i) {
    PICKET_ASSIGN(const std::vector<double> q, evaluation.EvaluateScalar(*call.arguments[i], grid));
    WarnOfQuantiles(evaluation, q, *call.arguments[i]);
    for (const double v : q)
      if (v != q.front() && !(std::isnan(v) && std::isnan(q.front())))
        return Fail(ErrorKind::kInvalidArgument,
                    "the quantiles of histogram_quantiles must not change with time");
    const Labels extra({{label, LabelNumber(q.front())}});
    PICKET_TRY(Estimate(evaluation, histograms, q, *call.arguments[0], grid, &extra, out));
  }
  PICKET_TRY(MergeEqualRows(out));
  return Value::Vector(std::move(out));
}

Result<Value> HistogramFraction(Evaluation& evaluation, const Call& call, const TimeGrid& grid) {
  PICKET_ASSIGN(const std::vector<double> lower,
                evaluation.EvaluateScalar(*call.arguments[0], grid));
  PICKET_ASSIGN(const std::vector<double> upper,
                evaluation.EvaluateScalar(*call.arguments[1], grid));
  PICKET_ASSIGN(Columns columns, evaluation.EvaluateVector(*call.arguments[2], grid));
  Histograms histograms(evaluation, *call.arguments[2], std::move(columns));
  PICKET_ASSIGN(Columns out, evaluation.NewColumns(histograms.size(), grid.count));
  PICKET_TRY(histograms.Evaluate(
      out, nullptr,
      [&](const HistogramGroup&, std::vector<Bucket>& buckets, size_t t) {
        return BucketFraction(lower[t], upper[t], buckets);
      },
      [&](const HistogramGroup& group, const HistogramValue& histogram, size_t t) {
        return NativeFraction(evaluation, lower[t], upper[t], histogram, group.metric,
                              *call.arguments[2]);
      }));
  return Value::Vector(std::move(out));
}

constexpr auto kRows = std::to_array<FunctionRow>({
    {"histogram_quantile", &HistogramQuantile},
    {"histogram_quantiles", &HistogramQuantiles},
    {"histogram_fraction", &HistogramFraction},
});

}  // namespace

std::span<const FunctionRow> HistogramFunctions() { return kRows; }

}  // namespace picket::rules::promql
