// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "picket_source_dir.h"
#include "rules/alerting/unit_test/run.h"

namespace picket::rules::alerting::unit_test {
namespace {

namespace fs = std::filesystem;

const fs::path& Folder() {
  static const fs::path folder = fs::path(PICKET_SOURCE_DIR) / "tests/data/rules/unit_test";
  return folder;
}

std::string Text(const Report& report) {
  std::string out = report.diagnostics.HasErrors() ? report.diagnostics.Render() : "";
  for (const Failure& f : report.failures) out += f.test + ": " + f.text + "\n";
  return out;
}

std::string FailureOf(const std::string& file, const RunOptions& options = {}) {
  const auto report = RunFile((Folder() / file).string(), options);
  return report ? Text(*report) : report.error().ToString();
}

TEST(UnitTests, PassAndFailAsWithPromtool) {
  std::set<std::string> seen;
  for (const auto& entry : fs::directory_iterator(Folder())) {
    const std::string name = entry.path().filename().string();
    const bool pass = name.starts_with("pass_");
    if (!pass && !name.starts_with("fail_")) continue;
    seen.insert(name.substr(0, 4));
    const auto report = RunFile(entry.path().string());
    ASSERT_TRUE(report) << name << ": " << report.error().ToString();
    EXPECT_EQ(report->ok(), pass) << name << ": " << Text(*report);
    EXPECT_TRUE(!pass || report->checks > 0) << name;
  }
  EXPECT_EQ(seen.size(), 2U) << "no files in " << Folder();
}

TEST(UnitTests, AFailureShowsWhatWasExpectedAndWhatWasGot) {
  EXPECT_EQ(FailureOf("fail_beyond_fuzzy.yml"),
            "tests[0]: expr: y, time: 0s\n      expected:\n        y 3\n      got:\n        y "
            "3.000000000000001\n");
  EXPECT_NE(FailureOf("fail_histogram_hint.yml")
                .find("h {{count:2 sum:3 counter_reset_hint:reset buckets:[1 1]}}"),
            std::string::npos);
  EXPECT_EQ(FailureOf("fail_rule_writes_over_input.yml"),
            "tests[0]: group a at 0s: x has another sample at this time already\n");
  EXPECT_NE(FailureOf("fail_bad_start.yml").find("fail_bad_start.yml:2:"), std::string::npos);
}

TEST(UnitTests, AreSelectedByName) {
  const std::string file = (Folder() / "named.yml").string();
  const auto all = RunFile(file);
  ASSERT_TRUE(all);
  EXPECT_EQ(all->ran, 2U);
  EXPECT_FALSE(all->ok());
  const auto right = RunFile(file, {{"^right"}, {}});
  ASSERT_TRUE(right);
  EXPECT_EQ(right->ran, 1U);
  EXPECT_EQ(right->skipped, 1U);
  EXPECT_TRUE(right->ok()) << Text(*right);
  EXPECT_FALSE(RunFile(file, {{"("}, {}}));
}

TEST(UnitTests, RuleFilesMayHaveFieldsOfOthers) {
  const std::string file = (Folder() / "extra_fields_test.yml").string();
  const auto strict = RunFile(file);
  ASSERT_TRUE(strict);
  EXPECT_EQ(strict->diagnostics.errors(), 3U) << Text(*strict);
  const auto open = RunFile(file, {{}, {.ignore_unknown_fields = true}});
  ASSERT_TRUE(open);
  EXPECT_TRUE(open->ok()) << Text(*open);
  EXPECT_EQ(open->checks, 1U);
}

TEST(UnitTests, AFileThatIsNotThereIsAnError) {
  EXPECT_FALSE(RunFile((Folder() / "nosuch.yml").string()));
}

}  // namespace
}  // namespace picket::rules::alerting::unit_test
