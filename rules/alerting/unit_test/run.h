// SPDX-License-Identifier: Apache-2.0
// Unit tests of rule files, with the semantics of `promtool test rules`.
#pragma once
#include <string>
#include <vector>

#include "core/config/diagnostics.h"
#include "rules/alerting/config.h"
#include "rules/alerting/unit_test/config.h"

namespace picket::rules::alerting::unit_test {

struct RunOptions {
  /// Regular expressions (RE2, unanchored): only tests whose name matches one run. Empty: all.
  std::vector<std::string> run;
  RuleFileOptions rule_files;  ///< how they are read
};

struct Failure {
  std::string test;  ///< its name, or its place: "tests[2]"
  std::string text;  ///< what was expected and what was got
};

/// How the tests of one file went.
struct Report {
  config::Diagnostics diagnostics;  ///< of the test file and the rule files it names
  std::vector<Failure> failures;
  size_t ran = 0;
  size_t skipped = 0;  ///< not selected
  size_t checks = 0;   ///< alert and expression cases looked at
  bool ok() const { return !diagnostics.HasErrors() && failures.empty(); }
};

/// Every group runs at start, start + evaluation_interval, ... up to the last eval_time, whatever
/// its own interval; the input is visible up to the time of the evaluation. A rule that fails ends
/// its test. Cost: evaluations of every rule at every step.
/// Errors: the file cannot be read; a bad regular expression. All else is in the report.
/// Source: Prometheus documentation, unit testing for rules.
Result<Report> RunFile(const std::string& path, const RunOptions& options = {});

}  // namespace picket::rules::alerting::unit_test
