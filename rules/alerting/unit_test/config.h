// SPDX-License-Identifier: Apache-2.0
// The files of `promtool test rules`.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/units.h"
#include "core/config/object.h"

namespace picket::rules::alerting::unit_test {

struct InputSeries {
  std::string series;
  std::string values;  ///< see promql/series_values.h
};

struct ExpectedAlert {
  std::map<std::string, std::string> labels;  ///< without alertname
  std::map<std::string, std::string> annotations;
};

/// Exactly these alerts of that name fire at that time.
struct AlertCase {
  Milliseconds eval_time{0};
  std::string alertname;
  std::vector<ExpectedAlert> expected;
};

struct ExpectedSample {
  std::string labels;
  std::string value;      ///< a YAML number, "" is 0
  std::string histogram;  ///< in place of the value
};

/// The expression has exactly this result at that time.
struct ExpressionCase {
  std::string expr;
  Milliseconds eval_time{0};
  std::vector<ExpectedSample> expected;
};

struct TestConfig {
  std::string name;
  std::optional<Milliseconds> interval;  ///< between samples of the input
  std::string start_timestamp;
  std::vector<InputSeries> input_series;
  std::vector<AlertCase> alerts;
  std::vector<ExpressionCase> expressions;
  std::map<std::string, std::string> external_labels;
  std::string external_url;
};

struct FileConfig {
  std::vector<std::string> rule_files;
  Milliseconds evaluation_interval{60'000};
  std::vector<std::string> group_eval_order;
  bool fuzzy_compare = false;
  std::vector<TestConfig> tests;
};

void Declare(config::Object<InputSeries>& o);
void Declare(config::Object<ExpectedAlert>& o);
void Declare(config::Object<AlertCase>& o);
void Declare(config::Object<ExpectedSample>& o);
void Declare(config::Object<ExpressionCase>& o);
void Declare(config::Object<TestConfig>& o);
void Declare(config::Object<FileConfig>& o);

/// Unix seconds with a fraction or RFC 3339; "" is 0. Errors: kInvalidArgument.
Result<UnixMs> ParseStart(const std::string& text);
/// A YAML number as Go reads it, .inf and .nan too; "" is 0. Errors: kInvalidArgument.
Result<double> ParseNumber(const std::string& text);

}  // namespace picket::rules::alerting::unit_test
