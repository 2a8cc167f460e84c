// SPDX-License-Identifier: Apache-2.0
// Any text is a rule file or is refused with places; a good one prints as one that reads the same,
// and its rules can be evaluated over a small store.
#include <cstdlib>

#include "core/base/log.h"
#include "core/config/diagnostics.h"
#include "rules/alerting/group.h"
#include "tests/support/memory_store.h"

namespace {

using namespace picket;
using namespace picket::rules;

std::string Print(std::vector<alerting::GroupConfig> groups) {
  return config::ToYaml(alerting::RuleFileConfig{std::move(groups)});
}

void Evaluate(const std::vector<alerting::GroupConfig>& groups) {
  testing::MemoryStore store;
  for (const char* name : {"up", "x", "y"})
    for (const char* i : {"a", "b"})
      for (int64_t t = 0; t < 5; ++t)
        store.Put(Labels{{"__name__", name}, {"i", i}}, t * 60'000, static_cast<double>(t));
  const promql::Engine engine({.timeout = Milliseconds(100), .max_samples = 2'000});
  ManualClock clock;
  alerting::GroupNeeds needs{&store, &engine, &store, &clock, Labels{{"cluster", "c"}}, {}};
  size_t rules = 0;
  for (const alerting::GroupConfig& g : groups) {
    if ((rules += g.rules.size()) > 20) return;
    alerting::Group group(g, {}, &needs);
    for (int64_t t = 1; t < 4; ++t) group.Evaluate(t * 60'000);
    group.End(300'000, {});
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const bool quiet = (log::SetLevel(log::Level::kError), true);
  (void)quiet;
  std::string text(reinterpret_cast<const char*>(data), size);
  config::Diagnostics found;
  const auto groups =
      alerting::ParseRuleFile(config::MakeSource("fuzz.yml", text), found, {.legacy_names = false});
  for (const config::Diagnostic& d : found.all())
    if (d.Where().line == 0 || d.Where().column == 0) std::abort();
  (void)found.Render();
  if (found.HasErrors()) return 0;
  const std::string printed = Print(groups);
  config::Diagnostics again;
  const auto second = alerting::ParseRuleFile(config::MakeSource("again.yml", printed), again);
  if (again.HasErrors() || Print(second) != printed) std::abort();
  Evaluate(groups);
  return 0;
}
