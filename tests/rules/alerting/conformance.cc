// SPDX-License-Identifier: Apache-2.0
// rules_conformance: rule files and their unit tests, with the outcomes promtool 3.15 has.
//   rules_conformance [--verbose]
// Reads ${PICKET_CONFORMANCE:-../shared/conformance}/rules. Prints passed of total by file and each
// failing case. Exit 0: as tests/data/rules/known_failures.tsv says; 1: not so; 77: no data.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "core/base/log.h"
#include "core/base/strings.h"
#include "core/config/diagnostics.h"
#include "picket_source_dir.h"
#include "rules/alerting/alert.h"
#include "rules/alerting/config.h"
#include "rules/alerting/unit_test/run.h"
#include "rules/promql/parser.h"
#include "tests/support/score.h"

namespace picket::rules::alerting {
namespace {

namespace fs = std::filesystem;

using testing::Score;
using testing::Wrong;

std::vector<fs::path> FilesOf(const fs::path& folder) {
  std::vector<fs::path> out;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error))
    if (entry.path().extension() == ".yml" || entry.path().extension() == ".yaml")
      out.push_back(entry.path());
  std::sort(out.begin(), out.end());
  return out;
}

struct Loaded {
  std::vector<GroupConfig> groups;
  config::Diagnostics diagnostics;
};

Loaded LoadFile(const fs::path& path, RuleFileOptions options = {}) {
  Loaded out;
  auto groups = LoadRuleFile(path.string(), out.diagnostics, options);
  if (groups)
    out.groups = *std::move(groups);
  else
    out.diagnostics.Add(
        {config::Severity::kError, nullptr, {}, "", groups.error().ToString(), {}, {}});
  return out;
}

Wrong MustLoad(const Loaded& l) {
  return l.diagnostics.HasErrors() ? "refused: " + l.diagnostics.Render() : "";
}

/// Refused, each error with a place, in a group and a rule.
Wrong MustBeRefused(const Loaded& l) {
  if (!l.diagnostics.HasErrors()) return "accepted";
  for (const config::Diagnostic& d : l.diagnostics.all()) {
    if (d.Where().line == 0 || d.Where().column == 0) return "an error without a place: " + d.cause;
    if (!d.path.starts_with("group \"") || d.path.find(", rule ") == std::string::npos)
      return fmt::format("an error without its group and rule: {}: {}", d.path, d.cause);
  }
  return "";
}

/// Exactly one error, on that line, with that text.
Wrong MustSay(const Loaded& l, int line, const std::string& text) {
  if (Wrong wrong = MustBeRefused(l); !wrong.empty()) return wrong;
  const auto& all = l.diagnostics.all();
  if (all.size() != 1) return fmt::format("{} findings: {}", all.size(), l.diagnostics.Render());
  if (all[0].Where().line != line || all[0].cause.find(text) == std::string::npos)
    return fmt::format("expected \"{}\" on line {}, got {}", text, line, l.diagnostics.Render());
  return "";
}

/// parse -> print -> parse gives the same text again.
Wrong MustPrintStably(const RuleConfig& rule) {
  const auto first = promql::Parse(rule.expr);
  if (!first) return first.error().ToString();
  const std::string printed = promql::Print(**first);
  const auto second = promql::Parse(printed);
  if (!second) return fmt::format("printed as {}: {}", printed, second.error().ToString());
  if (promql::Print(**second) != printed)
    return fmt::format("{} is printed as {}", printed, promql::Print(**second));
  return "";
}

/// Labels and annotations expand for a series with many labels and for one with none.
Wrong MustRender(const RuleConfig& rule) {
  const Labels external{{"cluster", "c"}};
  const AlertContext context{
      &external, "http://picket.test",
      [](const std::string& text, UnixMs) -> Result<std::vector<std::pair<Labels, double>>> {
        PICKET_ASSIGN(const auto parsed, promql::Parse(text));
        (void)parsed;
        return std::vector<std::pair<Labels, double>>{{Labels{{"a", "b"}}, 1}};
      }};
  const std::vector<Labels> rows = {Labels(), Labels{{"instance", "host:9100"},
                                                     {"job", "a \"job\" <&>"},
                                                     {"namespace", "{{ $labels }}"},
                                                     {"pod", "p-1"}}};
  for (const Labels& row : rows) {
    AlertRule alert(rule, rule.labels);
    if (const Status updated = alert.Update(0, {{row, 0.1234}}, context); !updated)
      return updated.error().ToString();
    for (const auto& [labels, a] : alert.alerts())
      for (const Labels* texts : {&a.labels, &a.annotations})
        for (const auto& [name, value] : *texts)
          if (value.find("error expanding template") != std::string_view::npos)
            return fmt::format("{}: {}", name, value);
  }
  return "";
}

// Folder rulefmt/.

void CheckRuleFormat(const fs::path& folder, Score& score) {
  struct Said {
    int line;
    const char* text;
  };
  const std::map<std::string, Said> said = {
      {"bad_expr", {5, "expected type range vector"}},
      {"bad_field", {8, "annotation"}},
      {"invalid_label_name", {7, "invalid label name: \"__name__\""}},
      {"noexpr", {4, "field 'expr' must be set"}},
      {"record_and_alert", {5, "only one of 'record' and 'alert' must be set"}},
      {"record_and_for", {6, "invalid field 'for' in recording rule"}},
  };
  for (const fs::path& path : FilesOf(folder)) {
    const std::string file = "rulefmt/" + path.filename().string();
    const std::string stem = path.filename().string().substr(0, path.filename().string().find('.'));
    const bool bad = path.filename().string().find(".bad.") != std::string::npos;
    const bool legacy_only = stem.starts_with("legacy_validation");
    const bool expect_refusal = bad && !legacy_only;
    const Loaded loaded = LoadFile(path);
    if (const auto it = said.find(stem); it != said.end())
      score.Case(file, "", MustSay(loaded, it->second.line, it->second.text));
    else
      score.Case(file, "", expect_refusal ? MustBeRefused(loaded) : MustLoad(loaded));
    const Loaded legacy = LoadFile(path, {.legacy_names = true});
    if (legacy_only)
      score.Case(file, "legacy names", bad ? MustBeRefused(legacy) : MustLoad(legacy));
    if (stem.starts_with("utf-8")) score.Case(file, "legacy names", MustBeRefused(legacy));
  }
}

// Folder fixtures/.

void CheckFixtures(const fs::path& folder, Score& score) {
  for (const fs::path& path : FilesOf(folder)) {
    const std::string file = "fixtures/" + path.filename().string();
    const Loaded loaded = LoadFile(path);
    const bool invalid = path.filename().string().starts_with("invalid");
    score.Case(file, "", invalid ? MustBeRefused(loaded) : MustLoad(loaded));
    if (path.stem() == "rules_dependencies" || path.stem().string().starts_with("rules_multiple"))
      score.Skip(
          file + ": dependencies between rules",
          "the rules of a group run one after the other; nothing asks which could run at once");
  }
}

// Folder promtool/: unit tests.

struct UnitTestCase {
  std::string file;
  std::vector<std::string> run;
  bool passes;
};

Wrong RunUnitTest(const fs::path& path, const std::vector<std::string>& run, bool passes,
                  size_t* checks = nullptr) {
  const auto report = unit_test::RunFile(path.string(), {run, {}});
  if (!report) return report.error().ToString();
  if (checks != nullptr) *checks = report->checks;
  if (report->ok() == passes) return "";
  if (!passes) return "passes, but should not";
  std::string out =
      report->diagnostics.HasErrors() ? report->diagnostics.Render() : std::string("fails:");
  for (const auto& f : report->failures) out += fmt::format("\n  {}: {}", f.test, f.text);
  return out;
}

std::vector<UnitTestCase> PromtoolTable() {
  return {{"unittest.yml", {}, true},
          {"long-period.yml", {}, true},
          {"negative-offset-test.yml", {}, true},
          {"rules_run.yml", {}, false},
          {"rules_run.yml", {"correct"}, true},
          {"rules_run.yml", {"wrong"}, false},
          {"rules_run_no_fuzzy.yml", {}, false},
          {"failing.yml", {}, false},
          {"bad-input-series.yml", {}, false},
          {"bad-rules-syntax-test.yml", {}, false}};
}

// Folder promtool/: check rules.

struct CheckCase {
  std::string file;
  bool accepted;
  std::set<std::string> duplicates;  // names
};

std::vector<CheckCase> CheckTable() {
  return {{"rules.yml", true, {}},
          {"negative-offset.yml", true, {}},
          {"rules_duplicates.yml", true, {"job:test:count_over_time1m"}},
          {"prometheus-rules.lint.yml", true, {"HighRequestLatency"}},
          {"rules-bad.yml", false, {}},
          {"features.yml", false, {}},
          {"bad-rules-syntax.yml", false, {}}};
}

Wrong RunCheck(const fs::path& path, const CheckCase& c) {
  const Loaded l = LoadFile(path);
  if (!c.accepted) return MustBeRefused(l);
  if (Wrong wrong = MustLoad(l); !wrong.empty()) return wrong;
  std::set<std::string> found;
  for (const config::Diagnostic& d : l.diagnostics.all()) {
    if (d.Where().line == 0) return "a finding without a place: " + d.cause;
    const size_t from = d.cause.find('"');
    if (d.cause.starts_with("duplicate rule: "))
      found.insert(d.cause.substr(from + 1, d.cause.find('"', from + 1) - from - 1));
  }
  if (found != c.duplicates)
    return fmt::format("expected {} duplicate names, found {}: {}", c.duplicates.size(),
                       found.size(), l.diagnostics.Render());
  return "";
}

/// With every feature open the expressions parse.
Wrong CheckFeatures(const fs::path& path) {
  const auto source = config::ReadSource(path.string());
  if (!source) return source.error().ToString();
  config::Diagnostics diagnostics;
  for (const GroupConfig& g : ParseRuleFile(*source, diagnostics))
    for (const RuleConfig& r : g.rules)
      if (auto e = promql::Parse(r.expr, promql::ParseOptions::Everything()); !e)
        return r.Name() + ": " + e.error().ToString();
  return "";
}

void CheckPromtool(const fs::path& folder, Score& score) {
  std::set<std::string> met;
  for (const UnitTestCase& c : PromtoolTable()) {
    met.insert(c.file);
    if (!fs::exists(folder / c.file)) continue;
    score.Case("promtool/" + c.file, c.run.empty() ? "" : "--run " + c.run[0],
               RunUnitTest(folder / c.file, c.run, c.passes));
  }
  for (const CheckCase& c : CheckTable()) {
    met.insert(c.file);
    if (fs::exists(folder / c.file))
      score.Case("promtool/" + c.file, "check rules", RunCheck(folder / c.file, c));
  }
  if (fs::exists(folder / "features.yml"))
    score.Case("promtool/features.yml", "with every feature",
               CheckFeatures(folder / "features.yml"));
  for (const fs::path& path : FilesOf(folder))
    if (!met.contains(path.filename().string()))
      score.Skip("promtool/" + path.filename().string(), "its outcome is not in this program");
}

// Folders kubernetes-mixin/ and awesome/.

void CheckRules(const fs::path& path, const std::string& file, bool render, Score& score,
                std::pair<int, int>* counts = nullptr) {
  const Loaded loaded = LoadFile(path);
  score.Case(file, "", MustLoad(loaded));
  for (const GroupConfig& g : loaded.groups)
    for (size_t i = 0; i < g.rules.size(); ++i) {
      const RuleConfig& rule = g.rules[i];
      const std::string name = fmt::format("{}/{} {}", g.name, i + 1, rule.Name());
      Wrong wrong = MustPrintStably(rule);
      if (wrong.empty() && render && rule.IsAlert()) wrong = MustRender(rule);
      score.Case(file, name, wrong);
      if (counts != nullptr) ++(rule.IsAlert() ? counts->first : counts->second);
    }
}

void CheckKubernetes(const fs::path& folder, Score& score) {
  std::pair<int, int> counts;
  for (const fs::path& path : FilesOf(folder))
    CheckRules(path, "kubernetes-mixin/" + path.filename().string(), true, score, &counts);
  fmt::print("kubernetes-mixin: {} alerts, {} recording rules\n", counts.first, counts.second);
  size_t total = 0;
  for (const fs::path& path : FilesOf(folder / "tests")) {
    size_t checks = 0;
    const Wrong wrong = RunUnitTest(path, {}, true, &checks);
    score.Case("kubernetes-mixin/tests/" + path.filename().string(), "",
               wrong.empty() && checks == 0 ? "nothing was checked" : wrong);
    total += checks;
  }
  fmt::print("kubernetes-mixin: {} checks of unit tests\n", total);
}

int Run(const fs::path& root, bool verbose) {
  Score score(verbose, PICKET_SOURCE_DIR "/tests/data/rules/known_failures.tsv");
  CheckRuleFormat(root / "rulefmt", score);
  CheckFixtures(root / "fixtures", score);
  CheckPromtool(root / "promtool", score);
  CheckKubernetes(root / "kubernetes-mixin", score);
  for (const fs::path& path : FilesOf(root / "awesome"))
    CheckRules(path, "awesome/" + path.filename().string(), true, score);
  return score.Finish();
}

}  // namespace
}  // namespace picket::rules::alerting

int main(int argc, char** argv) {
  const char* data = std::getenv("PICKET_CONFORMANCE");
  const auto root =
      std::filesystem::path(data != nullptr ? data : PICKET_SOURCE_DIR "/../shared/conformance") /
      "rules";
  if (!std::filesystem::is_directory(root)) {
    fmt::print("SKIPPED: no rule files in {}\n", root.string());
    return 77;
  }
  // What rules say of their failures is in the reports.
  picket::log::SetLevel(picket::log::Level::kError);
  return picket::rules::alerting::Run(root, argc > 1 && std::string(argv[1]) == "--verbose");
}
