// SPDX-License-Identifier: Apache-2.0
// Arithmetic and comparison between two vectors. The plan (which rows may meet) is made once from
// labels; steps work on row numbers alone.
#include <fmt/format.h>

#include <algorithm>
#include <type_traits>
#include <unordered_map>

#include "rules/promql/eval/binary.h"
#include "rules/promql/eval/grouping.h"
#include "rules/promql/parse/lexer.h"

namespace picket::rules::promql {
namespace {

using Cardinality = VectorMatching::Cardinality;
constexpr uint32_t kNone = UINT32_MAX;

/// `{__name__="x", a="b"}`.
std::string LabelText(const Labels& labels) {
  std::string out;
  for (const Labels::Pair pair : labels) {
    if (!out.empty()) out += ", ";
    out += fmt::format("{}={}",
                       IsLegacyLabelName(pair.name) ? std::string(pair.name) : Quote(pair.name),
                       Quote(pair.value));
  }
  return "{" + out + "}";
}

/// The rows of both sides with the same matching labels.
struct MatchGroup {
  std::vector<uint32_t> many;
  std::vector<uint32_t> one;
};

class VectorJoin {
 public:
  VectorJoin(Evaluation& evaluation, const Binary& node, Columns left, Columns right)
      : evaluation_(evaluation),
        node_(node),
        matching_(node.matching),
        swapped_(node.matching.cardinality == Cardinality::kOneToMany),
        many_(std::move(swapped_ ? right : left)),
        one_(std::move(swapped_ ? left : right)),
        fill_many_(matching_.fill_left),
        fill_one_(matching_.fill_right),
        selection_(matching_.labels, matching_.on),
        out_(many_.steps) {}

  Result<Value> Run() {
    PICKET_TRY(Settle());
    PlanGroups();
    out_.values.reserve(many_.values.size());
    cells_ = many_.HasHistograms() || one_.HasHistograms() || IsTrim(node_.op);
    for (const MatchGroup& group : groups_) {
      PICKET_TRY(evaluation_.Checkpoint());
      const bool simple =
          group.one.size() == 1 && !fill_many_ && !fill_one_ &&
          (matching_.cardinality != Cardinality::kOneToOne || group.many.size() == 1);
      PICKET_TRY(simple ? JoinSimple(group) : JoinByStep(group));
    }
    if (!evaluation_.budget().Fits(out_.values.size()))
      return Fail(ErrorKind::kOverloaded,
                  "query processing would load too many samples into memory in query execution");
    out_.charge = SampleCharge(&evaluation_.budget(), out_.values.size());
    return Value::Vector(std::move(out_));
  }

 private:
  Status Settle() {
    const auto names = [](const std::vector<std::string>& labels) {
      return std::find(labels.begin(), labels.end(), kMetricName) != labels.end();
    };
    if (!(matching_.on && names(matching_.labels)) && !names(matching_.include)) return {};
    PICKET_TRY(evaluation_.SettleNames(many_));
    return evaluation_.SettleNames(one_);
  }

  void PlanGroups() {
    KeyNumbers numbers;
    std::string key;
    const auto place = [&](const Columns& side, std::vector<uint32_t> MatchGroup::* rows) {
      for (size_t i = 0; i < side.size(); ++i) {
        selection_.KeyOf(*side.heads[i].labels, key);
        const auto [number, fresh] = numbers.Number(key);
        if (fresh) groups_.emplace_back();
        (groups_[number].*rows).push_back(static_cast<uint32_t>(i));
      }
    };
    place(many_, &MatchGroup::many);
    place(one_, &MatchGroup::one);
  }

  /// Labels of a result, from those of the many side and, for group_left and group_right, of the
  /// one side.
  Labels ResultLabels(const Labels& many, const Labels& one) const {
    std::vector<Labels::Pair> pairs;
    pairs.reserve(many.size() + matching_.include.size());
    for (const Labels::Pair pair : many) {
      if (DropsName(node_.op) && IsMetadataLabel(pair.name)) continue;
      if (matching_.cardinality == Cardinality::kOneToOne &&
          selection_.Names(pair.name) != matching_.on)
        continue;
      if (std::find(matching_.include.begin(), matching_.include.end(), pair.name) !=
          matching_.include.end())
        continue;
      pairs.push_back(pair);
    }
    for (const std::string& name : matching_.include) pairs.push_back({name, one.Get(name)});
    return Labels::FromViews(std::move(pairs));
  }

  /// The result's row for a pair of label sets; different pairs may share one at different steps.
  uint32_t ResultRow(const SeriesHead& many, const Labels& one) {
    Labels labels = ResultLabels(*many.labels, one);
    const auto [begin, end] = rows_.equal_range(labels.Hash());
    for (auto it = begin; it != end; ++it)
      if (*out_.heads[it->second].labels == labels) return it->second;
    const auto row = static_cast<uint32_t>(out_.size());
    rows_.emplace(labels.Hash(), row);
    out_.AddRow({evaluation_.Keep(std::move(labels)),
                 node_.return_bool || (many.drop_name && !DropsName(node_.op))});
    return row;
  }

  /// Every sample of the group meets the same row of the one side.
  Status JoinSimple(const MatchGroup& group) {
    for (const uint32_t m : group.many) {
      const uint32_t o = group.one.front();
      const uint32_t r = ResultRow(many_.heads[m], *one_.heads[o].labels);
      if (cells_) {
        for (size_t t = 0; t < out_.steps; ++t)
          if (many_.Has(m, t) && one_.Has(o, t))
            PICKET_TRY(Put(r, t, {many_.Row(m)[t], many_.HistogramAt(m, t)},
                           {one_.Row(o)[t], one_.HistogramAt(o, t)}));
        continue;
      }
      bool clash = false;
      WithOperator(node_.op, [&](auto op) {
        clash = CombineRows(out_.Row(r), many_.Row(m), one_.Row(o), op);
      });
      if (clash) return Fail(NotUnique());
    }
    return {};
  }

  /// Returns whether a value was there already.
  template <class Op>
  bool CombineRows(double* out, const double* many, const double* one, Op op) const {
    bool clash = false;
    for (size_t t = 0; t < out_.steps; ++t) {
      if (IsAbsent(many[t]) || IsAbsent(one[t])) continue;
      const auto result = swapped_ ? op(one[t], many[t]) : op(many[t], one[t]);
      clash |= !IsAbsent(out[t]);
      if constexpr (std::is_same_v<decltype(result), const bool>) {
        const double kept = swapped_ ? one[t] : many[t];
        out[t] = node_.return_bool ? (result ? 1.0 : 0.0) : result ? kept : out[t];
      } else {
        out[t] = result;
      }
    }
    return clash;
  }

  /// Who is there changes from step to step, or what is missing is filled in.
  Status JoinByStep(const MatchGroup& group) {
    std::unordered_map<uint64_t, uint32_t> row_of;  // by pair
    const auto row = [&](uint32_t m, uint32_t o) {
      const auto [it, fresh] = row_of.try_emplace((static_cast<uint64_t>(m) << 32) | o, kNone);
      if (fresh) {
        // A filled side has the labels that it was matched by.
        const Labels& one = o == kNone ? Reduced(many_.heads[m]) : *one_.heads[o].labels;
        it->second = m == kNone ? ResultRow({&Reduced(one_.heads[o]), false}, one)
                                : ResultRow(many_.heads[m], one);
      }
      return it->second;
    };
    for (size_t t = 0; t < out_.steps; ++t) {
      PICKET_ASSIGN(const uint32_t o, OneAt(group, t));
      if (o == kNone && !fill_one_) continue;
      const Cell one =
          o == kNone ? Cell{*fill_one_, nullptr} : Cell{one_.Row(o)[t], one_.HistogramAt(o, t)};
      uint32_t met = 0;
      for (const uint32_t m : group.many) {
        if (!many_.Has(m, t)) continue;
        if (++met > 1 && matching_.cardinality == Cardinality::kOneToOne)
          return Fail(ErrorKind::kInvalidArgument,
                      "multiple matches for labels: many-to-one matching must be explicit "
                      "(group_left/group_right)");
        PICKET_TRY(Put(row(m, o), t, {many_.Row(m)[t], many_.HistogramAt(m, t)}, one));
      }
      if (met == 0 && o != kNone && fill_many_)
        PICKET_TRY(Put(row(kNone, o), t, {*fill_many_, nullptr}, one));
    }
    return {};
  }

  const Labels& Reduced(const SeriesHead& head) {
    return *evaluation_.Keep(selection_.Reduce(*head.labels));
  }

  /// The row of the one side that has a sample. Errors: kInvalidArgument when there are two.
  Result<uint32_t> OneAt(const MatchGroup& group, size_t step) {
    uint32_t found = kNone;
    for (const uint32_t o : group.one) {
      if (!one_.Has(o, step)) continue;
      if (found == kNone) {
        found = o;
        continue;
      }
      if (!ManyPresent(step)) return kNone;  // an empty side matches nothing, so nothing is wrong
      return Fail(Duplicate(found, o));
    }
    return found;
  }

  bool ManyPresent(size_t step) {
    if (many_present_.empty()) {
      many_present_.assign(many_.steps, 0);
      for (size_t i = 0; i < many_.size(); ++i)
        for (size_t t = 0; t < many_.steps; ++t) many_present_[t] |= many_.Has(i, t) ? 1 : 0;
    }
    return many_present_[step] != 0;
  }

  Error Duplicate(uint32_t a, uint32_t b) const {
    const Labels group = selection_.Reduce(*one_.heads[a].labels);
    std::string first = LabelText(*one_.heads[a].labels);
    std::string second = LabelText(*one_.heads[b].labels);
    if (second < first) std::swap(first, second);
    return Error(
        ErrorKind::kInvalidArgument,
        fmt::format(
            "found duplicate series for the match group {} on the {} hand-side of the operation: "
            "[{}, {}];many-to-many matching not allowed: matching labels must be unique on one "
            "side",
            LabelText(group), swapped_ ? "left" : "right", first, second));
  }

  static Error NotUnique() {
    return Error(ErrorKind::kInvalidArgument,
                 "multiple matches for labels: grouping labels must ensure unique matches");
  }

  Status Put(uint32_t row, size_t step, const Cell& many, const Cell& one) {
    const Cell& left = swapped_ ? one : many;
    const Cell& right = swapped_ ? many : one;
    const Cell result = CombineCells(evaluation_, node_, left, right, false);
    if (IsAbsent(result.value) && result.histogram == nullptr) return {};
    if (out_.Has(row, step)) return Fail(NotUnique());
    out_.Row(row)[step] = result.value;
    if (result.histogram != nullptr) out_.SetHistogram(row, step, result.histogram);
    return {};
  }

  Evaluation& evaluation_;
  const Binary& node_;
  const VectorMatching& matching_;
  bool swapped_;  // the right side is the many side
  Columns many_;
  Columns one_;
  // Prometheus exchanges the sides of group_right before it fills: fill_left is always for the many
  // side.
  std::optional<double> fill_many_;
  std::optional<double> fill_one_;
  LabelSelection selection_;
  Columns out_;
  bool cells_ = false;
  std::vector<MatchGroup> groups_;
  std::unordered_multimap<uint64_t, uint32_t> rows_;
  std::vector<uint8_t> many_present_;
};

}  // namespace

Result<Value> EvaluateMatched(Evaluation& evaluation, const Binary& node, Columns left,
                              Columns right) {
  return VectorJoin(evaluation, node, std::move(left), std::move(right)).Run();
}

}  // namespace picket::rules::promql
