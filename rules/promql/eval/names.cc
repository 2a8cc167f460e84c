// SPDX-License-Identifier: Apache-2.0
// Metric names that leave, and what becomes of series that are equal without them.
#include <algorithm>
#include <unordered_map>

#include "rules/promql/eval/evaluation.h"

namespace picket::rules::promql {

bool IsMetadataLabel(std::string_view name) {
  return name == kMetricName || name == "__type__" || name == "__unit__";
}

Labels WithoutName(const Labels& labels) {
  std::vector<Labels::Pair> pairs;
  pairs.reserve(labels.size());
  for (const Labels::Pair pair : labels)
    if (!IsMetadataLabel(pair.name)) pairs.push_back(pair);
  return Labels::FromViews(std::move(pairs));
}

namespace {

Error Collision() {
  return Error(ErrorKind::kInvalidArgument, "vector cannot contain metrics with the same labelset");
}

/// Puts the values of row `from` into row `to` where `to` has none.
Status MergeInto(Columns& columns, size_t to, size_t from) {
  for (size_t t = 0; t < columns.steps; ++t) {
    if (!columns.Has(from, t)) continue;
    if (columns.Has(to, t)) return Fail(Collision());
    columns.Row(to)[t] = columns.Row(from)[t];
    if (columns.HasHistograms()) columns.SetHistogram(to, t, columns.HistogramAt(from, t));
  }
  return {};
}

void MoveRow(Columns& columns, size_t to, size_t from) {
  if (to == from) return;
  columns.heads[to] = columns.heads[from];
  std::copy_n(columns.Row(from), columns.steps, columns.Row(to));
  if (columns.HasHistograms())
    std::copy_n(columns.histograms.begin() + static_cast<std::ptrdiff_t>(from * columns.steps),
                columns.steps,
                columns.histograms.begin() + static_cast<std::ptrdiff_t>(to * columns.steps));
}

}  // namespace

Status MergeEqualRows(Columns& columns) {
  std::unordered_multimap<uint64_t, size_t> first_row;
  first_row.reserve(columns.size());
  size_t kept = 0;
  for (size_t i = 0; i < columns.size(); ++i) {
    const Labels& labels = *columns.heads[i].labels;
    const uint64_t hash = labels.Hash();
    const auto [begin, end] = first_row.equal_range(hash);
    const auto same = std::find_if(
        begin, end, [&](const auto& e) { return *columns.heads[e.second].labels == labels; });
    if (same != end) {
      PICKET_TRY(MergeInto(columns, same->second, i));
      continue;
    }
    first_row.emplace(hash, kept);
    MoveRow(columns, kept++, i);
  }
  columns.heads.resize(kept);
  columns.values.resize(kept * columns.steps);
  if (columns.HasHistograms()) columns.histograms.resize(kept * columns.steps);
  return {};
}

Status RemoveNames(Evaluation& evaluation, Columns& columns) {
  // Series of one name stay distinct without it unless type or unit told them apart.
  bool removed = false;
  bool may_collide = false;
  std::string_view name;
  for (size_t i = 0; i < columns.size(); ++i) {
    SeriesHead& head = columns.heads[i];
    const std::string_view own = head.labels->Get(kMetricName);
    if (i == 0) name = own;
    may_collide |= own != name;
    if (!head.drop_name) {
      may_collide |= removed || i > 0;
      continue;
    }
    head.drop_name = false;
    if (own.empty() && !head.labels->Has("__type__") && !head.labels->Has("__unit__")) continue;
    may_collide |= head.labels->Has("__type__") || head.labels->Has("__unit__");
    head.labels = evaluation.Keep(WithoutName(*head.labels));
    removed = true;
  }
  if (!removed || !may_collide || columns.size() < 2) return {};
  return MergeEqualRows(columns);
}

}  // namespace picket::rules::promql
