// SPDX-License-Identifier: Apache-2.0
#include "rules/alerting/config.h"

#include <fmt/format.h>
#include <glob.h>

#include <algorithm>
#include <set>

#include "core/base/strings.h"
#include "core/config/diagnostics.h"
#include "core/config/node.h"
#include "core/model/labels.h"
#include "rules/alerting/lint.h"
#include "rules/alerting/template/template.h"
#include "rules/promql/parser.h"

namespace picket::rules::alerting {
namespace {

/// The key of one entry; names with dots or brackets cannot be told apart from paths.
std::string EntryKey(const std::string& map, const std::string& name) {
  return IsLegacyLabelName(name) ? map + "." + name : map;
}

void CheckLabels(const std::map<std::string, std::string>& labels, const std::string& key,
                 config::Reporter& r) {
  for (const auto& [name, value] : labels) {
    if (name.empty() || !IsValidUtf8(name) || name == kMetricName)
      r.Error(EntryKey(key, name), fmt::format("invalid label name: \"{}\"", name),
              "A rule sets any label but __name__; the name comes from record or alert.");
    if (!IsValidUtf8(value))
      r.Error(EntryKey(key, name), fmt::format("invalid label value of \"{}\": not UTF-8", name));
  }
}

void CheckTemplates(const std::map<std::string, std::string>& texts, const std::string& key,
                    config::Reporter& r) {
  for (const auto& [name, text] : texts)
    if (auto t = Template::Parse(text); !t)
      r.Error(EntryKey(key, name), fmt::format("template of \"{}\": {}", name, t.error().message()),
              "Templates know $labels, $value, $externalLabels, $externalURL and the functions of "
              "Prometheus.");
}

void CheckRule(const RuleConfig& c, config::Reporter& r) {
  if (c.record.empty() && c.alert.empty())
    r.Error("", "one of 'record' or 'alert' must be set", "Give the rule a name.");
  if (!c.record.empty() && !c.alert.empty())
    r.Error("alert", "only one of 'record' and 'alert' must be set", "Make two rules of it.");
  if (c.expr.empty()) {
    r.Error("expr", "field 'expr' must be set in rule", "Write a PromQL expression.");
  } else if (auto parsed = promql::Parse(c.expr); !parsed) {
    r.Error("expr", "could not parse expression: " + parsed.error().ToString());
  }
  if (!c.record.empty()) {
    if (!c.annotations.empty())
      r.Error("annotations", "invalid field 'annotations' in recording rule",
              "Only alerts have annotations.");
    if (c.hold && c.hold->count() != 0)
      r.Error("for", "invalid field 'for' in recording rule", "Only alerts wait.");
    if (c.keep_firing_for && c.keep_firing_for->count() != 0)
      r.Error("keep_firing_for", "invalid field 'keep_firing_for' in recording rule",
              "Only alerts keep firing.");
    if (!IsValidUtf8(c.record) || c.record.find_first_of("{}") != std::string::npos)
      r.Error("record", fmt::format("invalid recording rule name: {}", c.record),
              "A metric name, by custom level:metric:operations.");
  }
  CheckLabels(c.labels, "labels", r);
  for (const auto& [name, value] : c.annotations)
    if (name.empty() || !IsValidUtf8(name))
      r.Error("annotations", fmt::format("invalid annotation name: \"{}\"", name));
  if (c.IsAlert()) {
    CheckTemplates(c.labels, "labels", r);
    CheckTemplates(c.annotations, "annotations", r);
  }
}

}  // namespace

void Declare(config::Object<RuleConfig>& o) {
  o.Doc("A recording or an alerting rule.");
  o.Field("record", &RuleConfig::record, "Name of the series the result is stored as.").NoExpand();
  o.Field("alert", &RuleConfig::alert, "Name of the alert.").NoExpand();
  o.Field("expr", &RuleConfig::expr, "PromQL; each sample of the result is a series or an alert.")
      .NoExpand();
  o.Field("for", &RuleConfig::hold, "How long the expression must hold before the alert fires.")
      .DefaultText("0s");
  o.Field("keep_firing_for", &RuleConfig::keep_firing_for,
          "How long the alert goes on after the expression ended.")
      .DefaultText("0s");
  o.Field("labels", &RuleConfig::labels, "Labels that are added or replaced; templates in alerts.")
      .NoExpand();
  o.Field("annotations", &RuleConfig::annotations, "Texts for people; templates.").NoExpand();
  o.Check(CheckRule);
}

void Declare(config::Object<GroupConfig>& o) {
  o.Doc("Rules that are evaluated one after the other.");
  o.Field("name", &GroupConfig::name, "Unique in its file.").Required().NoExpand();
  o.Field("interval", &GroupConfig::interval, "How often the group is evaluated.")
      .DefaultText("rules.alerting.evaluation_interval");
  o.Field("query_offset", &GroupConfig::query_offset, "How far in the past the rules look.")
      .DefaultText("rules.alerting.query_offset");
  o.Field("limit", &GroupConfig::limit, "Most alerts or series a rule may have; 0 is any number.");
  o.Field("labels", &GroupConfig::labels, "Labels of every rule of the group; the rule's own win.")
      .NoExpand();
  o.Field("rules", &GroupConfig::rules, "The rules, in order.");
  o.Check([](const GroupConfig& c, config::Reporter& r) {
    if (c.name.empty()) r.Error("name", "Groupname must not be empty", "Give the group a name.");
    CheckLabels(c.labels, "labels", r);
  });
}

void Declare(config::Object<RuleFileConfig>& o) {
  o.Doc("A Prometheus rule file.");
  o.Field("groups", &RuleFileConfig::groups, "Groups of rules.");
  o.Check([](const RuleFileConfig& c, config::Reporter& r) {
    std::set<std::string> names;
    for (size_t i = 0; i < c.groups.size(); ++i)
      if (!names.insert(c.groups[i].name).second)
        r.Error(fmt::format("groups[{}].name", i),
                fmt::format("groupname: \"{}\" is repeated in the same file", c.groups[i].name),
                "Rename one of them.");
  });
}

void Declare(config::Object<AlertingConfig>& o) {
  o.Doc("How recording and alert rules are evaluated.");
  o.Field("evaluation_interval", &AlertingConfig::evaluation_interval,
          "Of groups that do not say their own.")
      .Min(Milliseconds(10));
  o.Field("query_offset", &AlertingConfig::query_offset,
          "How far in the past rules look, to wait for late data.");
  o.Field("resend_delay", &AlertingConfig::resend_delay,
          "A firing alert is sent again after this time.")
      .Min(Milliseconds(1000));
  o.Field("outage_tolerance", &AlertingConfig::outage_tolerance,
          "Alert state older than this is not restored after a restart.");
  o.Field("external_url", &AlertingConfig::external_url,
          "Where people reach this agent; links in alerts begin with it.")
      .DefaultText("http:// and the listen address");
}

namespace {

/// What only legacy name validation refuses.
void CheckLegacyNames(const RuleFileConfig& file, config::Reporter& r) {
  const auto check = [&](const std::map<std::string, std::string>& texts, const std::string& key) {
    for (const auto& [name, value] : texts)
      if (!IsLegacyLabelName(name))
        r.Error(key, fmt::format("invalid label or annotation name: \"{}\"", name),
                "metric_name_validation_scheme is legacy: letters, digits and underscores only.");
  };
  for (size_t g = 0; g < file.groups.size(); ++g) {
    const std::string group = fmt::format("groups[{}]", g);
    check(file.groups[g].labels, group + ".labels");
    for (size_t i = 0; i < file.groups[g].rules.size(); ++i) {
      const RuleConfig& rule = file.groups[g].rules[i];
      const std::string at = fmt::format("{}.rules[{}]", group, i);
      if (!rule.record.empty() && !IsLegacyMetricName(rule.record))
        r.Error(at + ".record", fmt::format("invalid recording rule name: {}", rule.record),
                "metric_name_validation_scheme is legacy: letters, digits, _ and : only.");
      check(rule.labels, at + ".labels");
      check(rule.annotations, at + ".annotations");
    }
  }
}

void EraseUnknown(config::Node& node, const config::ObjectInfo& info) {
  std::erase_if(node.entries,
                [&](const config::Node::Entry& e) { return info.Find(e.key) == nullptr; });
}

void EraseUnknownFields(config::Node& root) {
  EraseUnknown(root, config::ObjectOf<RuleFileConfig>());
  for (config::Node::Entry& groups : root.entries)
    for (config::Node& group : groups.value.items) {
      EraseUnknown(group, config::ObjectOf<GroupConfig>());
      for (config::Node::Entry& rules : group.entries)
        if (rules.key == "rules")
          for (config::Node& rule : rules.value.items)
            EraseUnknown(rule, config::ObjectOf<RuleConfig>());
    }
}

/// Findings are told by the names people know: `group "node", rule 3 "HostDown".expr`.
void NamePaths(const RuleFileConfig& file, config::Diagnostics& diagnostics) {
  for (size_t g = 0; g < file.groups.size(); ++g) {
    const GroupConfig& group = file.groups[g];
    for (size_t i = 0; i < group.rules.size(); ++i)
      diagnostics.RenamePaths(
          fmt::format("groups[{}].rules[{}]", g, i),
          fmt::format("group \"{}\", rule {} \"{}\"", group.name, i + 1, group.rules[i].Name()));
    diagnostics.RenamePaths(fmt::format("groups[{}]", g), fmt::format("group \"{}\"", group.name));
  }
}

}  // namespace

std::vector<GroupConfig> ParseRuleFile(const config::SourcePtr& source,
                                       config::Diagnostics& diagnostics,
                                       const RuleFileOptions& options) {
  RuleFileConfig file;
  config::Diagnostics found;
  // Only the first document counts, as in Prometheus.
  auto documents = config::ParseYamlDocuments(source, found);
  if (!documents.empty()) {
    if (options.ignore_unknown_fields) EraseUnknownFields(documents.front());
    config::Load(documents.front(), file, found);
    config::Reporter reporter(&found, &documents.front(), "", false);
    if (options.legacy_names) CheckLegacyNames(file, reporter);
    if (!found.HasErrors()) LintRuleFile(file, documents.front(), found);
    NamePaths(file, found);
  }
  for (const config::Diagnostic& d : found.all()) diagnostics.Add(d);
  for (GroupConfig& g : file.groups) g.file = source->name;
  return std::move(file.groups);
}

Result<std::vector<GroupConfig>> LoadRuleFile(const std::string& path,
                                              config::Diagnostics& diagnostics,
                                              const RuleFileOptions& options) {
  PICKET_ASSIGN(const auto source, config::ReadSource(path));
  return ParseRuleFile(source, diagnostics, options);
}

std::vector<std::string> ExpandGlob(const std::string& pattern) {
  if (pattern.find_first_of("*?[") == std::string::npos) return {pattern};
  glob_t found{};
  std::vector<std::string> out;
  if (::glob(pattern.c_str(), 0, nullptr, &found) == 0)
    for (size_t i = 0; i < found.gl_pathc; ++i) out.emplace_back(found.gl_pathv[i]);
  ::globfree(&found);
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace picket::rules::alerting
