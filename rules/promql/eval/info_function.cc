// SPDX-License-Identifier: Apache-2.0
// info(): adds the labels of info series (target_info by default) to series of the same instance
// and job.
#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>

#include "rules/promql/eval/functions.h"
#include "rules/promql/eval/grouping.h"

namespace picket::rules::promql {
namespace {

constexpr std::string_view kDefaultInfo = "target_info";
constexpr auto kIdentifying = std::to_array<std::string_view>({"instance", "job"});
constexpr uint32_t kNone = UINT32_MAX;

/// The second argument: which info metrics, and which of their labels.
struct InfoSelector {
  std::vector<Matcher> names;
  std::vector<Matcher> data;

  explicit InfoSelector(const Call& call) {
    if (call.arguments.size() > 1)
      for (const Matcher& m : static_cast<const VectorSelector&>(*call.arguments[1]).matchers)
        (m.name() == kMetricName ? names : data).push_back(m);
    if (names.empty())
      names.push_back(Matcher::Equal(std::string(kMetricName), std::string(kDefaultInfo)));
    // Saying only which names are not wanted leaves all that are named like info metrics.
    const bool positive = std::any_of(names.begin(), names.end(), [](const Matcher& m) {
      return m.type() == Matcher::Type::kEqual || m.type() == Matcher::Type::kRegex;
    });
    if (!positive)
      if (auto named = Matcher::Make(Matcher::Type::kRegex, std::string(kMetricName), ".+_info"))
        names.push_back(std::move(*named));
  }
  bool IsInfo(const Labels& labels) const {
    const std::string_view name = labels.Get(kMetricName);
    return !names.empty() && std::all_of(names.begin(), names.end(),
                                         [&](const Matcher& m) { return m.Matches(name); });
  }
  bool Wants(std::string_view label) const {
    return data.empty() || std::any_of(data.begin(), data.end(),
                                       [&](const Matcher& m) { return m.name() == label; });
  }
  bool MatchesNothing() const {
    return std::all_of(data.begin(), data.end(), [](const Matcher& m) { return m.MatchesEmpty(); });
  }
};

/// The time at which info series are read for a step: that of the first selector below, with all
/// its shifts.
Result<UnixMs> ReferenceTime(const Evaluation& evaluation, const Node& node, UnixMs t) {
  switch (node.kind) {
    case NodeKind::kVectorSelector: {
      const auto& selector = static_cast<const VectorSelector&>(node);
      PICKET_ASSIGN(const Evaluation::Shift shift,
                    evaluation.ShiftOf(selector.at, selector.offset));
      return shift.Apply(t);
    }
    case NodeKind::kMatrixSelector:
      return ReferenceTime(evaluation, *static_cast<const MatrixSelector&>(node).selector, t);
    case NodeKind::kSubquery: {
      const auto& subquery = static_cast<const Subquery&>(node);
      PICKET_ASSIGN(const Evaluation::Shift shift,
                    evaluation.ShiftOf(subquery.at, subquery.offset));
      return ReferenceTime(evaluation, *subquery.expr, shift.Apply(t));
    }
    case NodeKind::kCall:
      for (const NodePtr& argument : static_cast<const Call&>(node).arguments)
        if (argument->type == ValueType::kVector || argument->type == ValueType::kMatrix)
          return ReferenceTime(evaluation, *argument, t);
      return t;
    case NodeKind::kAggregate:
      return ReferenceTime(evaluation, *static_cast<const Aggregate&>(node).expr, t);
    case NodeKind::kBinary: {
      const auto& binary = static_cast<const Binary&>(node);
      return ReferenceTime(
          evaluation, binary.left->type == ValueType::kVector ? *binary.left : *binary.right, t);
    }
    case NodeKind::kUnary:
      return ReferenceTime(evaluation, *static_cast<const Unary&>(node).expr, t);
    case NodeKind::kParen:
      return ReferenceTime(evaluation, *static_cast<const Paren&>(node).expr, t);
    default:
      return t;
  }
}

class InfoJoin {
 public:
  InfoJoin(Evaluation& evaluation, const Call& call, const TimeGrid& grid, Columns base)
      : evaluation_(evaluation),
        call_(call),
        grid_(grid),
        selector_(call),
        base_(std::move(base)),
        out_(grid.count) {}

  Result<Value> Run() {
    for (size_t i = 0; i < base_.size(); ++i)
      ignored_.push_back(selector_.IsInfo(*base_.heads[i].labels));
    PICKET_TRY(LoadInfo());
    PICKET_TRY(PickInfo());
    for (size_t i = 0; i < base_.size(); ++i) {
      PICKET_TRY(evaluation_.Checkpoint());
      PICKET_TRY(Enrich(i));
    }
    PICKET_TRY(MergeEqualRows(out_));
    return Value::Vector(std::move(out_));
  }

 private:
  Status LoadInfo() {
    std::vector<Matcher> matchers;
    for (const std::string_view label : kIdentifying) {
      std::set<std::string_view> values;
      for (size_t i = 0; i < base_.size(); ++i)
        if (!ignored_[i] && base_.heads[i].labels->Has(label))
          values.insert(base_.heads[i].labels->Get(label));
      if (values.empty()) continue;
      std::string pattern;
      for (const std::string_view value : values) {
        if (!pattern.empty()) pattern += '|';
        pattern += re2::RE2::QuoteMeta(re2::StringPiece(value.data(), value.size()));
      }
      PICKET_ASSIGN(Matcher matcher,
                    Matcher::Make(Matcher::Type::kRegex, std::string(label), std::move(pattern)));
      matchers.push_back(std::move(matcher));
    }
    if (matchers.empty()) return {};
    for (const auto* list : {&selector_.names, &selector_.data})
      matchers.insert(matchers.end(), list->begin(), list->end());
    PICKET_ASSIGN(const UnixMs first, ReferenceTime(evaluation_, *call_.arguments[0], grid_.start));
    PICKET_ASSIGN(const UnixMs last, ReferenceTime(evaluation_, *call_.arguments[0], grid_.end()));
    PICKET_ASSIGN(info_, evaluation_.LoadExtra(std::move(matchers),
                                               first - evaluation_.lookback_ms() + 1, last));
    return {};
  }

  static std::string Signature(std::string_view name, const Labels& labels) {
    std::string key(name);
    for (const std::string_view label : kIdentifying) {
      key += '\0';
      key += labels.Get(label);
    }
    return key;
  }

  /// For every signature and step the info series with the newest sample.
  Status PickInfo() {
    std::vector<uint32_t> signature(info_.size());
    for (size_t s = 0; s < info_.size(); ++s) {
      const std::string_view name = info_[s].labels->Get(kMetricName);
      if (std::find(names_.begin(), names_.end(), name) == names_.end()) names_.emplace_back(name);
      signature[s] = signatures_.Number(Signature(name, *info_[s].labels)).first;
    }
    std::sort(names_.begin(), names_.end());
    chosen_.assign(signatures_.size() * grid_.count, kNone);
    std::vector<UnixMs> newest(chosen_.size(), 0);
    for (size_t s = 0; s < info_.size(); ++s) {
      const SeriesColumns& series = info_[s];
      size_t next = 0;
      for (size_t t = 0; t < grid_.count; ++t) {
        PICKET_ASSIGN(const UnixMs time,
                      ReferenceTime(evaluation_, *call_.arguments[0], grid_.At(t)));
        while (next < series.times_ms.size() && series.times_ms[next] <= time) ++next;
        if (next == 0 || series.times_ms[next - 1] <= time - evaluation_.lookback_ms()) continue;
        if (!series.histograms.empty() && series.histograms[next - 1] != nullptr)
          return Fail(ErrorKind::kInvalidArgument, "info sample should be float");
        if (IsStaleNan(series.values[next - 1])) continue;
        PICKET_TRY(Offer(signature[s] * grid_.count + t, static_cast<uint32_t>(s),
                         series.times_ms[next - 1], newest));
      }
    }
    return {};
  }

  Status Offer(size_t slot, uint32_t series, UnixMs sampled_ms, std::vector<UnixMs>& newest) {
    if (chosen_[slot] != kNone && newest[slot] == sampled_ms)
      return Fail(
          ErrorKind::kInvalidArgument,
          fmt::format("found duplicate series for info metric: existing {} @ {}, new {} @ {}",
                      info_[chosen_[slot]].labels->ToString(), sampled_ms,
                      info_[series].labels->ToString(), sampled_ms));
    if (chosen_[slot] != kNone && newest[slot] > sampled_ms) return {};
    chosen_[slot] = series;
    newest[slot] = sampled_ms;
    return {};
  }

  Status Enrich(size_t i) {
    std::vector<uint32_t> signature;
    if (!ignored_[i])
      for (const std::string& name : names_) {
        // A signature that no info series has gets a number past them all.
        signature.push_back(signatures_.Number(Signature(name, *base_.heads[i].labels)).first);
      }
    const size_t known = chosen_.size() / grid_.count;
    std::map<std::vector<uint32_t>, uint32_t> rows;
    std::vector<uint32_t> chosen;
    for (size_t t = 0; t < grid_.count; ++t) {
      if (!base_.Has(i, t)) continue;
      chosen.clear();
      for (const uint32_t s : signature)
        if (s < known && chosen_[s * grid_.count + t] != kNone)
          chosen.push_back(chosen_[s * grid_.count + t]);
      if (chosen.empty() && !ignored_[i] && !selector_.MatchesNothing()) continue;
      const auto [it, fresh] = rows.try_emplace(chosen, 0);
      if (fresh) {
        PICKET_ASSIGN(const Labels* labels, Enriched(*base_.heads[i].labels, chosen));
        it->second = static_cast<uint32_t>(out_.size());
        out_.AddRow({labels, base_.heads[i].drop_name});
      }
      out_.Row(it->second)[t] = base_.Row(i)[t];
      if (const HistogramValue* h = base_.HistogramAt(i, t); h != nullptr)
        out_.SetHistogram(it->second, t, h);
    }
    return {};
  }

  Result<const Labels*> Enriched(const Labels& base, const std::vector<uint32_t>& chosen) {
    if (chosen.empty()) return &base;
    std::map<std::string, std::string, std::less<>> added;
    for (const uint32_t s : chosen)
      for (const Labels::Pair pair : *info_[s].labels) {
        if (pair.name == kMetricName || !selector_.Wants(pair.name)) continue;
        const auto [it, fresh] = added.try_emplace(std::string(pair.name), pair.value);
        const bool identifying =
            std::find(kIdentifying.begin(), kIdentifying.end(), pair.name) != kIdentifying.end();
        if (!fresh && it->second != pair.value && !identifying && !base.Has(pair.name))
          return Fail(ErrorKind::kInvalidArgument, fmt::format("conflicting label: {}", pair.name));
      }
    LabelsBuilder builder(base);
    for (const auto& [name, value] : added)
      if (!base.Has(name)) builder.Set(name, value);
    return evaluation_.Keep(builder.Build());
  }

  Evaluation& evaluation_;
  const Call& call_;
  const TimeGrid& grid_;
  InfoSelector selector_;
  Columns base_;
  Columns out_;
  std::vector<bool> ignored_;
  std::span<const SeriesColumns> info_;
  std::vector<std::string> names_;
  KeyNumbers signatures_;
  std::vector<uint32_t> chosen_;  // info series by signature and step
};

Result<Value> Info(Evaluation& evaluation, const Call& call, const TimeGrid& grid) {
  PICKET_ASSIGN(Columns base, evaluation.EvaluateVector(*call.arguments[0], grid));
  PICKET_TRY(evaluation.SettleNames(base));
  return InfoJoin(evaluation, call, grid, std::move(base)).Run();
}

constexpr auto kRows = std::to_array<FunctionRow>({{"info", &Info}});

}  // namespace

std::span<const FunctionRow> InfoFunctions() { return kRows; }

}  // namespace picket::rules::promql
