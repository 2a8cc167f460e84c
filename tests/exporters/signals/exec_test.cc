// SPDX-License-Identifier: Apache-2.0
#include "exporters/signals/exec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <thread>

namespace picket::exporters::signals {
namespace {

using End = CommandResult::End;
using testing::HasSubstr;

Command Shell(std::string script) {
  Command c;
  c.argv = {"sh", "-c", std::move(script)};
  c.timeout = std::chrono::hours(1);
  return c;
}

TEST(ExecTest, HandsOverInputEnvironmentAndTellsTheExitCode) {
  StopFlag stop;
  Command c = Shell("cat; echo; echo \"$PICKET_ACTION of $0 in $PATH\" >&2; exit 3");
  c.input = std::string(300'000, 'i') + "end";
  c.env = {{"PICKET_ACTION", "rollback"}, {"PATH", "/usr/bin:/bin"}};
  const auto result = RunCommand(c, stop);
  ASSERT_TRUE(result) << result.error().ToString();
  EXPECT_EQ(result->end, End::kExited);
  EXPECT_EQ(result->code, 3);
  EXPECT_EQ(result->output.size(), 4096u);
  EXPECT_THAT(result->output, HasSubstr("iiiend\nrollback of sh in /usr/bin:/bin\n"));
  EXPECT_EQ(result->ToString(), "exit code 3: rollback of sh in /usr/bin:/bin");
}

TEST(ExecTest, AProgramThatDoesNotReadDoesNotHurtUs) {
  StopFlag stop;
  Command c = Shell("exec <&-; echo fine");
  c.input = std::string(10 << 20, 'x');
  const auto result = RunCommand(c, stop);
  ASSERT_TRUE(result);
  EXPECT_TRUE(result->ok()) << result->ToString();
}

TEST(ExecTest, TheTimeoutEndsTheWholeGroup) {
  StopFlag stop;
  // The child ignores SIGTERM, and so does its child, which tells us its pid.
  Command c = Shell(
      "trap '' TERM; (trap '' TERM; while :; do sleep 1; done) & echo pid=$!; wait; wait; while :; "
      "do sleep 1; done");
  c.timeout = Milliseconds(300);
  const auto result = RunCommand(c, stop);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->end, End::kTimedOut);
  const size_t at = result->output.find("pid=");
  ASSERT_NE(at, std::string::npos) << result->output;
  const pid_t grandchild = std::stoi(result->output.substr(at + 4));
  // Killed with the group; init or this process's reaper may take a moment to bury it.
  bool gone = false;
  for (int i = 0; i < 500 && !gone; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    std::string state = "Z";
    if (FILE* f = std::fopen(("/proc/" + std::to_string(grandchild) + "/stat").c_str(), "r")) {
      char letter = 0;
      if (std::fscanf(f, "%*d (%*[^)]) %c", &letter) == 1) state = letter;
      std::fclose(f);
    }
    gone = ::kill(grandchild, 0) != 0 || state == "Z";
  }
  EXPECT_TRUE(gone);
}

TEST(ExecTest, StopEndsItAtOnce) {
  StopFlag stop;
  std::thread later([&] { stop.Raise(); });
  const auto result = RunCommand(Shell("sleep 3600"), stop);
  later.join();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->end, End::kStopped);
}

TEST(ExecTest, DeathBySignalAndMissingPrograms) {
  StopFlag stop;
  const auto killed = RunCommand(Shell("kill -9 $$"), stop);
  ASSERT_TRUE(killed);
  EXPECT_EQ(killed->ToString(), "killed by signal 9");
  Command missing;
  missing.argv = {"/no/such/program"};
  const auto result = RunCommand(missing, stop);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind(), ErrorKind::kNotFound);
  EXPECT_THAT(result.error().ToString(), HasSubstr("/no/such/program"));
}

}  // namespace
}  // namespace picket::exporters::signals
