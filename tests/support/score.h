// SPDX-License-Identifier: Apache-2.0
// How a conformance program counts and tells.
#pragma once
#include <fmt/format.h>

#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace picket::testing {

/// What is wrong; empty when nothing is.
using Wrong = std::string;

/// Counts cases by file and knows which may fail: `known_failures` has "case<TAB>reason" a line,
/// and a case that passes must leave it.
class Score {
 public:
  Score(bool verbose, const std::string& known_failures) : verbose_(verbose) {
    std::ifstream in(known_failures);
    for (std::string line; std::getline(in, line);) {
      const size_t tab = line.find('\t');
      if (tab != std::string::npos && !line.starts_with('#'))
        known_.emplace(line.substr(0, tab), line.substr(tab + 1));
    }
  }

  void Case(const std::string& file, const std::string& name, const Wrong& wrong) {
    const std::string key = name.empty() ? file : file + ": " + name;
    Row& row = rows_[file];
    const bool known = known_.contains(key);
    if (wrong.empty()) {
      ++row.passed;
      if (known) surprises_.push_back(key + ": passes, but is listed as a known failure");
      return;
    }
    ++row.failed;
    if (!known || verbose_) fmt::print("{}: {}\n", key, wrong);
    if (!known) surprises_.push_back(key + ": not a known failure");
  }
  void Skip(const std::string& file, const std::string& why) { skipped_.emplace_back(file, why); }

  /// Prints the table. Returns 0 when exactly the known cases failed, else 1.
  int Finish() const {
    Row total;
    for (const auto& [file, row] : rows_) {
      fmt::print("{}: {} of {}\n", file, row.passed, row.passed + row.failed);
      total.passed += row.passed;
      total.failed += row.failed;
    }
    for (const auto& [file, why] : skipped_) fmt::print("{}: SKIPPED: {}\n", file, why);
    fmt::print("total: {} of {} passed, {} skipped\n", total.passed, total.passed + total.failed,
               skipped_.size());
    for (const std::string& s : surprises_) fmt::print("{}\n", s);
    return surprises_.empty() ? 0 : 1;
  }

 private:
  struct Row {
    int passed = 0, failed = 0;
  };
  bool verbose_;
  std::map<std::string, std::string> known_;
  std::map<std::string, Row> rows_;
  std::vector<std::pair<std::string, std::string>> skipped_;
  std::vector<std::string> surprises_;
};

}  // namespace picket::testing
