// SPDX-License-Identifier: Apache-2.0
// Label sets turned into dense numbers, once a query, so that no label is looked at per step.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/strings.h"
#include "core/model/labels.h"

namespace picket::rules::promql {

/// Which labels tell groups apart: these (`on`, `by`) or all but these and the name (`ignoring`,
/// `without`).
class LabelSelection {
 public:
  LabelSelection(std::vector<std::string> names, bool include);
  bool include() const { return include_; }
  const std::vector<std::string>& names() const { return names_; }
  bool Names(std::string_view label) const;
  /// Bytes that are equal exactly when the selected labels are.
  void KeyOf(const Labels& labels, std::string& out) const;
  /// The selected labels alone.
  Labels Reduce(const Labels& labels) const;

 private:
  std::vector<std::string> names_;  // sorted
  bool include_;
};

/// Numbers keys 0, 1, 2, ... in the order they first come.
class KeyNumbers {
 public:
  /// The number and whether it is new.
  std::pair<uint32_t, bool> Number(const std::string& key) {
    const auto [it, fresh] = numbers_.try_emplace(key, static_cast<uint32_t>(numbers_.size()));
    return {it->second, fresh};
  }
  size_t size() const { return numbers_.size(); }

 private:
  std::unordered_map<std::string, uint32_t> numbers_;
};

}  // namespace picket::rules::promql
