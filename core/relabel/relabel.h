// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/config/object.h"
#include "core/model/labels.h"
#include "core/relabel/regex.h"

namespace picket::relabel {

enum class Action : uint8_t {
  kReplace,
  kKeep,
  kDrop,
  kKeepEqual,
  kDropEqual,
  kHashMod,
  kLabelMap,
  kLabelDrop,
  kLabelKeep,
  kLowercase,
  kUppercase
};

/// One relabelling step: settings and their compiled form in one. Source: Prometheus 3,
/// <relabel_config>.
struct Config {
  std::vector<std::string> source_labels;
  std::string separator = ";";
  Regex regex;
  uint64_t modulus = 0;
  Template target_label;
  Template replacement{"$1"};
  Action action = Action::kReplace;
};

void Declare(config::Object<Config>& o);

/// Runs the steps in order on a label set. Returns whether the set is kept; if not, the labels are
/// undefined. Threads: any, each with its own builder. Cost: no lock; no automaton for plain
/// patterns.
bool Process(std::span<const Config> steps, LabelsBuilder& labels);

/// How one step changed the labels, for a debugger of rules.
struct Step {
  Labels after;
  bool kept = true;
};
/// The same, remembering what each step did; ends with the step that dropped the set.
std::vector<Step> Explain(std::span<const Config> steps, const Labels& labels);

}  // namespace picket::relabel

namespace picket::config {

template <>
struct CustomScalar<relabel::Regex> {
  static constexpr std::string_view kName = "regular expression";
  static Result<relabel::Regex> Parse(std::string_view text) {
    return relabel::Regex::Compile(text);
  }
  static std::string Format(const relabel::Regex& r) { return r.pattern(); }
};
template <>
struct CustomScalar<relabel::Template> {
  static constexpr std::string_view kName = "template";
  static Result<relabel::Template> Parse(std::string_view text) {
    return relabel::Template(std::string(text));
  }
  static std::string Format(const relabel::Template& t) { return t.text(); }
};

}  // namespace picket::config
