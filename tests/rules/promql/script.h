// SPDX-License-Identifier: Apache-2.0
// promqltest scripts: load, clear and eval blocks.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "rules/promql/series_values.h"

namespace picket::rules::promql {

/// `expect warn msg: ...` and the like. Shape: neither text set: any of the kind will do.
struct Expectation {
  std::optional<std::string> message;
  std::optional<std::string> regex;
};

struct Eval {
  int line = 0;
  bool range = false;
  int64_t start_ms = 0;
  int64_t end_ms = 0;
  int64_t step_ms = 0;
  std::string query;
  bool ordered = false;
  bool no_warn = false;
  bool no_info = false;
  std::optional<Expectation> fail;
  std::vector<Expectation> warn;
  std::vector<Expectation> info;
  std::optional<std::string> text;  ///< expect string
  struct RangeVector {
    int64_t start_ms, end_ms, step_ms;
  };
  std::optional<RangeVector> range_vector;
  std::optional<double> scalar;
  std::vector<SeriesLine> series;
};

struct Command {
  enum class Kind : uint8_t { kLoad, kClear, kEval } kind;
  int line = 0;
  bool with_nhcb = false;
  int64_t step_ms = 0;
  std::vector<SeriesLine> series;  // of a load; the last of equal labels wins
  Eval eval;
};

Result<std::vector<Command>> ParseScript(std::string_view text);

}  // namespace picket::rules::promql
