// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/units.h"
#include "core/config/object.h"

namespace picket::rules::alerting {

/// One rule of a Prometheus rule file. Source: Prometheus documentation, recording and alerting
/// rules.
struct RuleConfig {
  std::string record;
  std::string alert;
  std::string expr;
  std::optional<Milliseconds> hold;  ///< `for`
  std::optional<Milliseconds> keep_firing_for;
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> annotations;
  bool IsAlert() const { return !alert.empty(); }
  const std::string& Name() const { return IsAlert() ? alert : record; }
};

struct GroupConfig {
  std::string name;
  std::optional<Milliseconds> interval;
  std::optional<Milliseconds> query_offset;
  int64_t limit = 0;
  std::map<std::string, std::string> labels;
  std::vector<RuleConfig> rules;
  std::string file;  ///< where it was read; not a setting
};

struct RuleFileConfig {
  std::vector<GroupConfig> groups;
};

/// How rules are evaluated: settings beside the rule files.
struct AlertingConfig {
  Milliseconds evaluation_interval{60'000};
  Milliseconds query_offset{0};
  Milliseconds resend_delay{60'000};
  Milliseconds outage_tolerance{3'600'000};
  std::string external_url;
};

void Declare(config::Object<RuleConfig>& o);
void Declare(config::Object<GroupConfig>& o);
void Declare(config::Object<RuleFileConfig>& o);
void Declare(config::Object<AlertingConfig>& o);

struct RuleFileOptions {
  bool ignore_unknown_fields = false;
  bool legacy_names = false;  ///< names are [a-zA-Z_:][a-zA-Z0-9_:]* instead of any UTF-8
};

/// Reads one rule file: every finding goes to `diagnostics`, with the group and the rule it is in;
/// warnings when the file is good otherwise (lint.h). Errors: what keeps the file from being read
/// at all.
Result<std::vector<GroupConfig>> LoadRuleFile(const std::string& path,
                                              config::Diagnostics& diagnostics,
                                              const RuleFileOptions& options = {});
/// The same from a text.
std::vector<GroupConfig> ParseRuleFile(const config::SourcePtr& source,
                                       config::Diagnostics& diagnostics,
                                       const RuleFileOptions& options = {});

/// Files that a pattern names (`*`, `?`, `[]` in the last parts), sorted. A pattern without
/// wildcards names itself.
std::vector<std::string> ExpandGlob(const std::string& pattern);

}  // namespace picket::rules::alerting
