// SPDX-License-Identifier: Apache-2.0
#include "rules/promql/eval/grouping.h"

#include <algorithm>

namespace picket::rules::promql {
namespace {

void AppendSized(std::string& out, std::string_view text) {
  const auto size = static_cast<uint32_t>(text.size());
  out.append(reinterpret_cast<const char*>(&size), sizeof size);
  out += text;
}

}  // namespace

LabelSelection::LabelSelection(std::vector<std::string> names, bool include)
    : names_(std::move(names)), include_(include) {
  std::sort(names_.begin(), names_.end());
  names_.erase(std::unique(names_.begin(), names_.end()), names_.end());
}

bool LabelSelection::Names(std::string_view label) const {
  return std::binary_search(names_.begin(), names_.end(), label, std::less<>());
}

void LabelSelection::KeyOf(const Labels& labels, std::string& out) const {
  out.clear();
  if (include_) {
    for (const std::string& name : names_) AppendSized(out, labels.Get(name));
    return;
  }
  for (const Labels::Pair pair : labels) {
    if (pair.name == kMetricName || Names(pair.name)) continue;
    AppendSized(out, pair.name);
    AppendSized(out, pair.value);
  }
}

Labels LabelSelection::Reduce(const Labels& labels) const {
  std::vector<Labels::Pair> pairs;
  pairs.reserve(include_ ? names_.size() : labels.size());
  for (const Labels::Pair pair : labels) {
    const bool named = Names(pair.name);
    if (include_ ? named : !named && pair.name != kMetricName) pairs.push_back(pair);
  }
  return Labels::FromViews(std::move(pairs));
}

}  // namespace picket::rules::promql
