// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>

#include "core/base/strings.h"
#include "core/relabel/relabel.h"

/// First line: pattern, second: replacement, third: label value; every action on them. A pattern
/// recognised as plain must decide as the automaton does.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace picket;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (!IsValidUtf8(text)) return 0;
  const auto lines = Split(text, '\n');
  if (lines.size() < 3) return 0;
  auto regex = relabel::Regex::Compile(lines[0]);
  if (!regex) return 0;
  const std::string_view value = lines[2];
  auto slow = relabel::Regex::Compile("(?:" + std::string(lines[0]) + "){1}");
  relabel::Groups a{}, b{};
  if (slow && (regex->Match(value, a) != slow->Match(value, b) || a != b)) std::abort();
  for (int action = 0; action <= static_cast<int>(relabel::Action::kUppercase); ++action) {
    relabel::Config step;
    step.source_labels = {"a", "b"};
    step.regex = *regex;
    step.modulus = 7;
    step.target_label = relabel::Template(std::string(lines[1]));
    step.replacement = step.target_label;
    step.action = static_cast<relabel::Action>(action);
    LabelsBuilder labels(Labels{{"a", std::string(value)}, {"b", "x"}});
    relabel::Process({&step, 1}, labels);
    (void)labels.Build();
  }
  return 0;
}
