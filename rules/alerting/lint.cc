// SPDX-License-Identifier: Apache-2.0
#include "rules/alerting/lint.h"

#include <map>
#include <tuple>

#include "core/config/diagnostics.h"

namespace picket::rules::alerting {
namespace {

const config::Node* RuleNode(const config::Node& root, size_t group, size_t rule) {
  const config::Node* groups = root.Find("groups");
  if (groups == nullptr || group >= groups->items.size()) return nullptr;
  const config::Node* rules = groups->items[group].Find("rules");
  return rules == nullptr || rule >= rules->items.size() ? nullptr : &rules->items[rule];
}

}  // namespace

void LintRuleFile(const RuleFileConfig& file, const config::Node& root,
                  config::Diagnostics& diagnostics) {
  using Key = std::pair<std::string, std::map<std::string, std::string>>;
  std::map<Key, std::pair<size_t, size_t>> first;
  for (size_t g = 0; g < file.groups.size(); ++g)
    for (size_t i = 0; i < file.groups[g].rules.size(); ++i) {
      const RuleConfig& rule = file.groups[g].rules[i];
      Key key{rule.Name(), file.groups[g].labels};
      for (const auto& [name, value] : rule.labels) key.second[name] = value;
      const auto [it, fresh] = first.try_emplace(std::move(key), g, i);
      if (fresh) continue;
      const auto [first_group, first_rule] = it->second;
      const config::Node* node = RuleNode(root, g, i);
      const config::Node* other = RuleNode(root, first_group, first_rule);
      if (node == nullptr || other == nullptr) continue;
      const char* kind = rule.IsAlert() ? "alert" : "record";
      const config::Node* name = node->Find(kind);
      diagnostics.Warn(
          name == nullptr ? *node : *name, fmt::format("groups[{}].rules[{}].{}", g, i, kind),
          fmt::format("duplicate rule: \"{}\" with the same labels is rule {} of group \"{}\" at "
                      "line {}",
                      rule.Name(), first_rule + 1, file.groups[first_group].name,
                      other->place.line),
          "Remove one of them, or tell them apart by a label.");
    }
}

}  // namespace picket::rules::alerting
