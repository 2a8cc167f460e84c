// SPDX-License-Identifier: Apache-2.0
// gcc 12 corrupts the frame of a coroutine that has a co_await in the condition of an if, while,
// for or switch. It compiles without a word and fails far away, so the tree is searched for it.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <string>
#include <vector>

#include "picket_source_dir.h"

namespace {

// The condition in the parentheses that open at `at`: without the initializer of an if, the middle
// of a for.
std::string Condition(const std::string& text, size_t at, bool is_for) {
  std::vector<size_t> parts{at};
  int depth = 1;
  for (; at < text.size() && depth > 0; ++at) {
    if (text[at] == '(' || text[at] == '{') ++depth;
    if (text[at] == ')' || text[at] == '}') --depth;
    if (text[at] == ';' && depth == 1) parts.push_back(at + 1);
  }
  if (!is_for) return text.substr(parts.back(), at - parts.back());
  return parts.size() == 3 ? text.substr(parts[1], parts[2] - parts[1]) : std::string();
}

std::vector<std::string> Findings(const std::string& name, const std::string& text) {
  static const std::regex kHead(R"(\b(if|while|for|switch)\s*\()");
  std::vector<std::string> out;
  if (text.find("co_await") == std::string::npos) return out;
  for (std::sregex_iterator it(text.begin(), text.end(), kHead), end; it != end; ++it) {
    const size_t open = static_cast<size_t>(it->position() + it->length());
    const std::string condition = Condition(text, open, (*it)[1] == "for");
    if (condition.find("co_await") == std::string::npos) continue;
    const auto line = 1 + std::count(text.begin(), text.begin() + it->position(), '\n');
    out.push_back(name + ":" + std::to_string(line) + ": co_await in a condition: " + condition);
  }
  return out;
}

TEST(CoroutineLintTest, KnowsWhatItLooksFor) {
  const auto count = [](const std::string& text) {
    return Findings("f", text + " co_await").size();
  };
  EXPECT_EQ(count("if (!co_await Sleep(t)) return;"), 1u);
  EXPECT_EQ(count("while (a && (b ||\n co_await f(x))) {"), 1u);
  EXPECT_EQ(count("for (int i = 0; co_await f(); ++i)"), 1u);
  EXPECT_EQ(count("const bool b = co_await f(); if (!b) g();"), 0u);
  EXPECT_EQ(count("if (auto r = (co_await f()); !r) return;"), 0u);
  EXPECT_EQ(count("if (a) b = co_await f();"), 0u);
}

TEST(CoroutineLintTest, NoConditionAwaits) {
  for (const char* room :
       {"core", "collectors", "store", "rules", "exporters", "agent", "tests", "bench"}) {
    const std::filesystem::path root = std::filesystem::path(PICKET_SOURCE_DIR) / room;
    if (!std::filesystem::exists(root)) continue;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
      const auto extension = entry.path().extension();
      if ((extension != ".cc" && extension != ".h") ||
          entry.path().filename() == "coroutine_lint_test.cc")
        continue;
      std::ifstream in(entry.path());
      const std::string text((std::istreambuf_iterator<char>(in)), {});
      for (const std::string& finding : Findings(entry.path().string(), text))
        ADD_FAILURE() << finding;
    }
  }
}

}  // namespace
