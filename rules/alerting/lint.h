// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "rules/alerting/config.h"

namespace picket::rules::alerting {

/// Warns of what Prometheus accepts and hardly anyone means: two rules of a file with the same name
/// and labels, whose series or alerts would be mixed up. `root` is what the file was read from.
/// Source: promtool check rules.
void LintRuleFile(const RuleFileConfig& file, const config::Node& root,
                  config::Diagnostics& diagnostics);

}  // namespace picket::rules::alerting
