// SPDX-License-Identifier: Apache-2.0
// promql_conformance: runs promqltest scripts with both replays and reports per file.
//   promql_conformance [--all] [--verbose] [FILE...]
// Without files: ${PICKET_CONFORMANCE:-../shared/conformance}/promql/*.test. Exit 0: as
// known_failures.tsv says; 1: not so; 77: the scripts are not here.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>

#include "core/base/strings.h"
#include "picket_source_dir.h"
#include "rules/promql/engine.h"
#include "rules/promql/memory_store.h"
#include "tests/rules/promql/compare.h"
#include "tests/rules/promql/nhcb.h"
#include "tests/rules/promql/pinning.h"
#include "tests/rules/promql/script.h"

namespace picket::rules::promql {
namespace {

using Wrong = std::optional<std::string>;

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

struct Runner {
  MemoryStore store;
  Engine engine{EngineOptions{.max_samples = 10'000, .delayed_name_removal = true}};

  void Load(const Command& command) {
    std::map<Labels, std::vector<MemoryStore::Sample>> all;
    for (const SeriesLine& line : command.series) {
      auto& samples = all[line.labels];
      for (size_t i = 0; i < line.values.size(); ++i) {
        const SlotValue& slot = line.values[i];
        if (slot.omitted()) continue;
        samples.push_back(
            {static_cast<int64_t>(i) * command.step_ms, slot.value.value_or(0), slot.histogram});
      }
    }
    if (command.with_nhcb) AddCustomBucketHistograms(all);
    for (auto& [labels, samples] : all) store.Append(labels, std::move(samples));
  }

  Wrong Check(const Eval& eval, const Result<QueryResult>& result, bool annotations) const {
    if (!result) return CheckFailure(eval, result.error().message());
    if (eval.fail) return "should have failed";
    if (auto wrong = CheckResult(eval, *result)) return wrong;
    return annotations ? CheckAnnotations(eval, *result) : Wrong();
  }

  /// The same as a range of three steps around t, of which the middle one must be equal.
  Wrong CheckAsRange(const Eval& eval, const Expression& expression, int64_t t) const {
    auto result = engine.Range(expression, store, t - 60'000, t + 60'000, Milliseconds(60'000));
    if (!result) return "as a range: failed: " + result.error().message();
    if (eval.ordered) return {};
    QueryResult middle;
    middle.type = ValueType::kVector;
    for (const MatrixSeries& series : result->matrix) {
      for (size_t i = 0; i < series.times_ms.size(); ++i)
        if (series.times_ms[i] == t)
          middle.vector.push_back({series.labels, series.values[i], nullptr});
      for (size_t i = 0; i < series.histogram_times_ms.size(); ++i)
        if (series.histogram_times_ms[i] == t)
          middle.vector.push_back({series.labels, 0, series.histograms[i]});
    }
    if (eval.scalar) {
      if (middle.vector.size() != 1 || !middle.vector[0].labels.empty())
        return "as a range: expected one series {}";
      middle.type = ValueType::kScalar;
      middle.scalar = middle.vector[0].value;
    }
    auto wrong = CheckResult(eval, middle);
    if (wrong) *wrong = "as a range: " + *wrong;
    return wrong;
  }

  Wrong RunInstant(const Eval& eval, const std::string& query, int64_t t, bool annotations) const {
    auto expression = Parse(query, ParseOptions::Everything());
    if (!expression) return "does not parse: " + expression.error().ToString();
    if (auto wrong = Check(eval, engine.Instant(**expression, store, t), annotations)) return wrong;
    const bool ranged =
        !eval.fail && !eval.text && !eval.range_vector && !HasRangeDependentText(query);
    return ranged ? CheckAsRange(eval, **expression, t) : Wrong();
  }

  Wrong Run(const Eval& eval) const {
    auto expression = Parse(eval.query, ParseOptions::Everything());
    if (!expression) return "does not parse: " + expression.error().ToString();
    if (auto again = Parse(Print(**expression), ParseOptions::Everything());
        !again || Print(**again) != Print(**expression))
      return "is printed as what does not parse to the same: " + Print(**expression);
    if (eval.range)
      return Check(
          eval,
          engine.Range(**expression, store, eval.start_ms, eval.end_ms, Milliseconds(eval.step_ms)),
          true);
    if (auto wrong = RunInstant(eval, eval.query, eval.start_ms, true)) return wrong;
    if (!IsPinnable(**expression)) return {};
    const std::string pinned = Pin(**expression, eval.start_ms);
    const int64_t t = eval.start_ms;
    const std::vector<int64_t> times = t == 0 ? std::vector<int64_t>{-1000, 0, 1000}
                                              : std::vector<int64_t>{-10 * t, 0, t / 5, t, 10 * t};
    for (const int64_t at : times)
      if (auto wrong = RunInstant(eval, pinned, at, false))
        return fmt::format("replayed as {} at {}: {}", pinned, at, *wrong);
    return {};
  }
};

struct Totals {
  int passed = 0;
  int failed = 0;
  std::map<std::string, int> skipped;
  void Add(const Totals& o) {
    passed += o.passed;
    failed += o.failed;
    for (const auto& [why, n] : o.skipped) skipped[why] += n;
  }
  std::string Text() const {
    std::string out = fmt::format("{} passed, {} failed", passed, failed);
    for (const auto& [why, n] : skipped) out += fmt::format(", {} skipped ({})", n, why);
    return out;
  }
};

struct Options {
  bool all = false;
  bool verbose = false;
  std::filesystem::path directory;
  std::vector<std::filesystem::path> files;
};

/// "file:line" to the rest of the row.
std::map<std::string, std::string> ReadTable(const std::filesystem::path& path, bool flags) {
  std::map<std::string, std::string> out;
  std::istringstream in(ReadFile(path));
  for (std::string line; std::getline(in, line);) {
    const auto cells = Split(line, '\t');
    if (cells.size() < 3 || cells[0].starts_with('#') || cells[0] == "file") continue;
    out[fmt::format("{}:{}", cells[0], cells[1])] =
        std::string(flags && cells.size() > 3 ? cells[3] : cells[2]);
  }
  return out;
}

class Conformance {
 public:
  explicit Conformance(Options options) : options_(std::move(options)) {
    flags_ = ReadTable(options_.directory / "evals.tsv", true);
    known_ = ReadTable(
        std::filesystem::path(PICKET_SOURCE_DIR) / "tests/data/promql/known_failures.tsv", false);
  }

  int Run() {
    Totals total;
    for (const auto& file : options_.files) {
      const Totals totals = RunFile(file);
      fmt::print("{}: {}\n", file.filename().string(), totals.Text());
      total.Add(totals);
    }
    fmt::print("total: {} of {} passed; {}\n", total.passed, total.passed + total.failed,
               total.Text());
    for (const std::string& line : surprises_) fmt::print("{}\n", line);
    return surprises_.empty() ? 0 : 1;
  }

 private:
  std::string SkipReason(const std::string& key) const {
    const auto it = flags_.find(key);
    if (it == flags_.end()) return "";
    if (it->second.find("st-data") != std::string::npos) return "start timestamps";
    return "";
  }

  Totals RunFile(const std::filesystem::path& path) {
    Totals totals;
    const std::string name = path.filename().string();
    auto script = ParseScript(ReadFile(path));
    if (!script) {
      ++totals.failed;
      surprises_.push_back(fmt::format("{}: {}", name, script.error().ToString()));
      return totals;
    }
    Runner runner;
    for (const Command& command : *script) {
      if (command.kind == Command::Kind::kClear) runner.store.Clear();
      if (command.kind == Command::Kind::kLoad) runner.Load(command);
      if (command.kind == Command::Kind::kEval) RunCase(runner, name, command.eval, totals);
    }
    return totals;
  }

  void RunCase(const Runner& runner, const std::string& name, const Eval& eval, Totals& totals) {
    const std::string key = fmt::format("{}:{}", name, eval.line);
    if (const std::string why = SkipReason(key); !why.empty() && !options_.all) {
      ++totals.skipped[why];
      return;
    }
    const Wrong wrong = runner.Run(eval);
    const bool listed = known_.contains(key);
    if (!wrong) {
      ++totals.passed;
      if (listed)
        surprises_.push_back(fmt::format("{}: passes, but is listed as a known failure", key));
      return;
    }
    ++totals.failed;
    if (!listed || options_.verbose) fmt::print("{}: {}: {}\n", key, eval.query, *wrong);
    if (!listed) surprises_.push_back(fmt::format("{}: not a known failure", key));
  }

  Options options_;
  std::map<std::string, std::string> flags_;
  std::map<std::string, std::string> known_;
  std::vector<std::string> surprises_;
};

}  // namespace
}  // namespace picket::rules::promql

int main(int argc, char** argv) {
  using picket::rules::promql::Conformance;
  picket::rules::promql::Options options;
  const char* root = std::getenv("PICKET_CONFORMANCE");
  options.directory =
      std::filesystem::path(root != nullptr ? root : PICKET_SOURCE_DIR "/../shared/conformance") /
      "promql";
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--all") {
      options.all = true;
    } else if (argument == "--verbose") {
      options.verbose = true;
    } else {
      options.files.emplace_back(argument);
    }
  }
  std::error_code error;
  if (options.files.empty())
    for (const auto& entry : std::filesystem::directory_iterator(options.directory, error))
      if (entry.path().extension() == ".test") options.files.push_back(entry.path());
  std::sort(options.files.begin(), options.files.end());
  if (options.files.empty()) {
    fmt::print("SKIPPED: no promqltest scripts in {}\n", options.directory.string());
    return 77;
  }
  return Conformance(std::move(options)).Run();
}
