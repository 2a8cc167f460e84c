// SPDX-License-Identifier: Apache-2.0
// The cases in which agents lose or repeat lines, each as a story.
#include "tests/collectors/logs/fixture.h"

namespace picket::collectors::logs {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;

TEST_F(TailerTest, FollowsAFileAsItGrows) {
  Append("app.log", "one\ntwo\nthr");
  Start();
  Run();
  ExpectLines({"one", "two"});
  Append("app.log", "ee\n");
  Run();
  ExpectLines({"one", "two", "three"});
  EXPECT_EQ(backend_->delivered[0].labels, "{filename=\"" + Path("app.log") + "\"}");
  EXPECT_LT(backend_->delivered[0].time_ns, backend_->delivered[1].time_ns);
}

TEST_F(TailerTest, FindsNewFilesWithoutWaitingForAScan) {
  Start();
  Run();
  Append("late.log", "hello\n");
  Run(std::chrono::milliseconds(300));
  Run(std::chrono::milliseconds(300));
  ExpectLines({"hello"});
}

TEST_F(TailerTest, TwoRotationsWhileTheFirstFileIsStillBeingRead) {
  read_ahead_ = Bytes(100);
  backend_->auto_accept = false;
  Append("app.log", Text(Numbered(0, 1000)));
  Start();
  Run();  // one quantum, then the backend is full
  Append("app.log", Text(Numbered(1000, 1100)));
  Rename("app.log", "app.log.1");
  Append("app.log", Text(Numbered(1100, 1200)));
  Run();
  Rename("app.log.1", "app.log.2");
  Rename("app.log", "app.log.1");
  Append("app.log", Text(Numbered(1200, 1300)));
  Run();
  EXPECT_TRUE(backend_->delivered.empty());
  for (int i = 0; i < 20; ++i) {
    backend_->AcceptAll();
    Run();
  }
  ExpectLines(Numbered(0, 1300));
}

TEST_F(TailerTest, TwoRotationsBetweenTwoLooks) {
  Append("app.log", Text(Numbered(0, 10)));
  Start();
  Run();
  Append("app.log", Text(Numbered(10, 20)));
  Rename("app.log", "app.log.2");
  Append("app.log", Text(Numbered(20, 30)));
  Rename("app.log", "app.log.1");
  Append("app.log", Text(Numbered(30, 40)));
  Run();
  Run();
  ExpectLines(Numbered(0, 40));
}

TEST_F(TailerTest, InodeGivenToTheNextLogIsReadFromItsBeginning) {
  Append("app.log", "a first line of the old file, long enough\nsecond\n");
  Start();
  Run();
  Stop();
  // The same inode with other contents, as a reused one looks.
  std::ofstream(Path("app.log"), std::ios::trunc)
      << "the new file has other first bytes\nx\ny\nz\n";
  Append("app.log", "a line that takes it past the old offset\n");
  backend_->delivered.clear();
  Start();
  Run();
  ExpectLines({"the new file has other first bytes", "x", "y", "z",
               "a line that takes it past the old offset"});
}

class RotatedWhileAway : public TailerTest, public ::testing::WithParamInterface<int> {};

TEST_P(RotatedWhileAway, ResumesInTheRenamedFileAndReadsThoseBetween) {
  Append("app.log", Text(Numbered(0, 10)));
  Start();
  Run();
  ExpectLines(Numbered(0, 10));
  Stop();
  Append("app.log", Text(Numbered(10, 20)));
  int next = 20;
  for (int r = 0; r < GetParam(); ++r) {
    for (int n = r; n >= 1; --n)
      Rename("app.log." + std::to_string(n), "app.log." + std::to_string(n + 1));
    Rename("app.log", "app.log.1");
    Append("app.log", Text(Numbered(next, next + 10)));
    // Rotations lie apart in time; the files' times say in which order.
    timespec times[2] = {{1'800'000'000 + r, 0}, {1'800'000'000 + r, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, Path("app.log.1").c_str(), times, 0), 0);
    next += 10;
  }
  Start();
  Run();
  Run();
  ExpectLines(Numbered(0, next));
}
INSTANTIATE_TEST_SUITE_P(Times, RotatedWhileAway, ::testing::Values(1, 2, 4));

TEST_F(TailerTest, AFileGoneWhileAwayIsACountedGap) {
  Append("app.log", Text(Numbered(0, 10)));
  backend_->auto_accept = false;
  Start();
  Run();
  Crash();
  Delete("app.log");
  Append("app.log", "other beginnings make another file\n");
  backend_->auto_accept = true;
  Start();
  Run();
  ExpectLines({"other beginnings make another file"});
  const auto gaps = BalanceOf("files");
  EXPECT_EQ(gaps.dropped, 1u);
  EXPECT_THAT(gaps.last_drop, HasSubstr("app.log"));
}

TEST_F(TailerTest, CopyTruncateTakesTheUnreadTailFromTheCopy) {
  Append("app.log", Text(Numbered(0, 10, "a line of the first file ")));
  Start();
  Run();
  Append("app.log", Text(Numbered(10, 20, "a line of the first file ")));
  CopyTruncate("app.log", "app.log.1");
  Run();
  Append("app.log", "after\n");
  Run();
  auto expected = Numbered(0, 20, "a line of the first file ");
  expected.push_back("after");
  ExpectLines(expected);
  EXPECT_EQ(BalanceOf("files").dropped, 0u);
}

TEST_F(TailerTest, CopyTruncateWithoutACopyCountsWhatWasSeenAndNotRead) {
  read_ahead_ = Bytes(1);
  backend_->auto_accept = false;
  Append("app.log", Text(Numbered(0, 10)));
  Start();
  Run();
  Append("app.log", Text(Numbered(10, 20)));
  Run();  // seen, not read: the backend is full
  CopyTruncate("app.log", "");
  Run();
  EXPECT_EQ(BalanceOf("files").dropped, 1u);
  Append("app.log", "after\n");
  backend_->auto_accept = true;
  backend_->AcceptAll();
  Run();
  auto expected = Numbered(0, 10);
  expected.push_back("after");
  ExpectLines(expected);
}

TEST_F(TailerTest, RefilledPastTheOldOffsetIsNoticed) {
  Append("app.log", Text(Numbered(0, 10, "old ")));
  Start();
  Run();
  CopyTruncate("app.log", "");
  Append("app.log", Text(Numbered(0, 50, "new ")));
  Run();
  auto expected = Numbered(0, 10, "old ");
  for (const auto& l : Numbered(0, 50, "new ")) expected.push_back(l);
  ExpectLines(expected);
}

TEST_F(TailerTest, HoleOfAWriterThatKeptItsOffsetIsSkipped) {
  Append("app.log", "before the cut, of some length\n");
  Start();
  Run();
  CopyTruncate("app.log", "");
  const int fd = ::open(Path("app.log").c_str(), O_WRONLY);
  const std::string line = "after the cut\n";
  ASSERT_EQ(::pwrite(fd, line.data(), line.size(), 3 << 20), static_cast<ssize_t>(line.size()));
  ::close(fd);
  Run();
  Run();
  ExpectLines({"before the cut, of some length", "after the cut"});
}

std::string Cri(int n, const std::string& stream, const std::string& tag, const std::string& text) {
  char time[64];
  std::snprintf(time, sizeof time, "2026-03-01T12:00:%02d.%09dZ", n / 1000, n % 1000);
  return std::string(time) + " " + stream + " " + tag + " " + text + "\n";
}

TEST_F(TailerTest, ARecordSplitAcrossARotationIsOneRecord) {
  config_.format = Format::kCri;
  Append("0.log", Cri(1, "stdout", "F", "whole") + Cri(2, "stdout", "P", "first half, "));
  backend_->auto_accept = false;
  Start();
  Run();
  Rename("0.log", "0.log.20260301-120000");
  Append("0.log",
         Cri(3, "stderr", "F", "from the other stream") + Cri(4, "stdout", "F", "second half"));
  Run();
  Run();
  backend_->AcceptAll();
  const auto all =
      ::testing::UnorderedElementsAre("whole", "first half, second half", "from the other stream");
  EXPECT_THAT(backend_->Lines(), all);
  Run();
  Crash();
  Start();
  Run();
  EXPECT_THAT(backend_->Lines(), all);
}

TEST_F(TailerTest, ACrashBetweenTheHalvesOfASplitRecordLosesNeither) {
  config_.format = Format::kCri;
  Append("0.log", Cri(1, "stdout", "F", "whole") + Cri(2, "stdout", "P", "first half, "));
  Start();
  Run();
  Rename("0.log", "0.log.20260301-120000");
  Append("0.log", Cri(3, "stderr", "F", "from the other stream"));
  Run();
  Run();
  ExpectLines({"whole", "from the other stream"});
  Crash();
  Append("0.log", Cri(4, "stdout", "F", "second half"));
  Start();
  Run();
  Run();
  // The other stream's line was acknowledged and does not come twice.
  ExpectLines({"whole", "from the other stream", "first half, second half"});
}

TEST_F(TailerTest, PartsWithoutAnEndComeAfterATimeout) {
  config_.format = Format::kCri;
  Append("0.log", Cri(1, "stdout", "P", "killed in the mid"));
  Start();
  Run();
  ExpectLines({});
  Run(seconds(11));
  ExpectLines({"killed in the mid"});
}

TEST_F(TailerTest, JoinedPartsAreCapped) {
  config_.format = Format::kCri;
  config_.max_line_bytes = 64_KiB;
  std::string text;
  for (int i = 0; i < 40; ++i) text += Cri(i, "stdout", "P", std::string(16 * 1024, 'x'));
  Append("0.log", text + Cri(41, "stdout", "F", "end") + Cri(42, "stdout", "F", "next"));
  Start();
  Run();
  ASSERT_EQ(backend_->delivered.size(), 2u);
  EXPECT_EQ(backend_->delivered[0].line.size(), 64u << 10);
  EXPECT_TRUE(backend_->delivered[0].line.ends_with(kTruncatedMark));
  EXPECT_EQ(backend_->delivered[1].line, "next");
}

TEST_F(TailerTest, AnOverlongLineIsCutAndTheFileGoesOn) {
  config_.max_line_bytes = 1_KiB;
  Append("app.log", "before\n" + std::string(3 << 20, 'x') + "\nafter\n");
  Start();
  Run();
  ASSERT_EQ(backend_->delivered.size(), 3u);
  EXPECT_EQ(backend_->delivered[1].line.size(), 1024u);
  EXPECT_TRUE(backend_->delivered[1].line.ends_with(kTruncatedMark));
  EXPECT_EQ(backend_->delivered[2].line, "after");
}

TEST_F(TailerTest, ALinkThatIsPointedElsewhereIsFollowed) {
  Append("one.txt", "in one\n");
  std::filesystem::create_symlink(Path("one.txt"), Path("app.log"));
  Start();
  Run();
  Append("two.txt", "in two\n");
  std::filesystem::remove(Path("app.log"));
  std::filesystem::create_symlink(Path("two.txt"), Path("app.log"));
  Run();
  Run();
  ExpectLines({"in one", "in two"});
}

TEST_F(TailerTest, ReadingStopsAtTheReadAheadAndGoesOnWhenThereIsRoom) {
  read_ahead_ = 1_MiB;
  backend_->auto_accept = false;
  const auto lines = Numbered(0, 200'000, "a line of a certain length, number ");
  Append("app.log", Text(lines));
  Start();
  Run();
  EXPECT_GE(backend_->HeldBytes(), 1u << 20);
  EXPECT_LT(backend_->HeldBytes(), (1u << 20) + (512u << 10));
  while (!backend_->waiting.empty()) {
    backend_->AcceptAll();
    Run();
  }
  ExpectLines(lines);
  const auto balance = BalanceOf("loki");
  EXPECT_EQ(balance.in, lines.size());
  EXPECT_EQ(balance.out, lines.size());
}

TEST_F(TailerTest, ASlowDestinationDoesNotHoldUpTheOther) {
  auto slow = std::make_shared<Backend>();
  slow->auto_accept = false;
  more_ = {{"slow", slow}};
  read_ahead_ = 512_KiB;
  const auto lines = Numbered(0, 100'000, "a line of a certain length, number ");
  Append("app.log", Text(lines));
  Start();
  Run();
  ExpectLines(lines);
  EXPECT_LT(slow->HeldBytes(), 1u << 20);
  Append("app.log", "one more\n");
  Run();
  EXPECT_EQ(backend_->Lines().back(), "one more");
  slow->auto_accept = true;
  for (int i = 0; i < 3; ++i) {
    slow->AcceptAll();
    Run();
  }
  EXPECT_EQ(slow->Lines(), backend_->Lines());
}

TEST_F(TailerTest, TheSameDestinationTwiceIsTwo) {
  auto twin = std::make_shared<Backend>();
  more_ = {{"loki", twin}};
  Append("app.log", Text(Numbered(0, 10)));
  Start();
  Run();
  Stop();
  Append("app.log", Text(Numbered(10, 12)));
  Start();
  Run();
  ExpectLines(Numbered(0, 12));
  EXPECT_EQ(twin->Lines(), Numbered(0, 12));
}

TEST_F(TailerTest, LinesOfOurOwnPodAreLeftOut) {
  config_.files = {Path("pods/*/*/*.log")};
  for (const char* pod : {"ns_picket-x7k_1", "ns_shop-1_2"}) {
    std::filesystem::create_directories(Path(std::string("pods/") + pod + "/main"));
    Append(std::string("pods/") + pod + "/main/0.log", std::string("of ") + pod + "\n");
  }
  Start();
  Run();
  ExpectLines({"of ns_shop-1_2"});
}

TEST_F(TailerTest, EachDestinationHasItsOwnCheckpoint) {
  auto slow = std::make_shared<Backend>();
  slow->auto_accept = false;
  more_ = {{"slow", slow}};
  Append("app.log", Text(Numbered(0, 10)));
  Start();
  Run();
  Crash();
  slow->auto_accept = true;
  Start();
  Run();
  ExpectLines(Numbered(0, 10));
  EXPECT_EQ(slow->Lines(), Numbered(0, 10));
}

TEST_F(TailerTest, AfterACrashOnlyWhatWasNotAcknowledgedComesAgain) {
  backend_->auto_accept = false;
  Append("app.log", Text(Numbered(0, 10)));
  Start();
  Run();
  Append("app.log", Text(Numbered(10, 20)));
  Run();
  Append("app.log", Text(Numbered(20, 30)));
  Run();
  ASSERT_EQ(backend_->waiting.size(), 3u);
  backend_->Accept(0);
  backend_->Accept(1);  // the third read; the second is still out
  Run();
  Crash();
  backend_->auto_accept = true;
  backend_->delivered.clear();
  Start();
  Run();
  ExpectLines(Numbered(10, 30));
}

TEST_F(TailerTest, ATornCheckpointTailIsCutOff) {
  Append("app.log", Text(Numbered(0, 10)));
  Start();
  Run();
  Crash();
  std::ofstream(root_ + "/state/checkpoint", std::ios::app | std::ios::binary) << "\x40\0\0\0torn";
  Append("app.log", Text(Numbered(10, 20)));
  Start();
  Run();
  ExpectLines(Numbered(0, 20));
}

TEST_F(TailerTest, ASecondAgentOnTheSameStateIsTold) {
  Start();
  Environment env;
  env.folder = root_ + "/state";
  const auto second = Tailer::Make(env);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind(), ErrorKind::kOverloaded);
}

TEST_F(TailerTest, AReloadDuringAnOutageKeepsTheTailAndResendsToTheNewSink) {
  backend_->auto_accept = false;
  Append("app.log", Text(Numbered(0, 10)));
  Start();
  Run();
  auto old = backend_;
  backend_ = std::make_shared<Backend>();
  Reload();
  old->Vanish();
  Append("app.log", Text(Numbered(10, 20)));
  Run();
  ExpectLines(Numbered(0, 20));
  const auto balance = BalanceOf("loki");
  EXPECT_EQ(balance.in, 20u);
  EXPECT_EQ(balance.out, 20u);
}

TEST_F(TailerTest, AReloadWithoutChangeReadsNothingTwice) {
  Append("app.log", Text(Numbered(0, 10)));
  Start();
  Run();
  Reload();
  Append("app.log", Text(Numbered(10, 12)));
  Run();
  ExpectLines(Numbered(0, 12));
}

TEST_F(TailerTest, AFileThatCannotBeReadLeavesTheOthersAlone) {
  Append("good.log", "fine\n");
  std::filesystem::create_directory(Path("folder.log"));
  std::filesystem::create_symlink(Path("nowhere"), Path("dangling.log"));
  Start();
  Run();
  std::filesystem::remove_all(root_ + "/logs");
  Run();
  std::filesystem::create_directories(root_ + "/logs");
  Append("good.log", "again\n");
  for (int i = 0; i < 12; ++i) Run();
  ExpectLines({"fine", "again"});
}

TEST_F(TailerTest, ThousandFilesMostOfThemIdle) {
  for (int i = 0; i < 1000; ++i) Append("f" + std::to_string(i) + ".log", "first\n");
  Start();
  Run();
  EXPECT_EQ(backend_->delivered.size(), 1000u);
  for (int i = 0; i < 1000; i += 100) Append("f" + std::to_string(i) + ".log", "second\n");
  Run(seconds(12));
  Run(seconds(2));
  EXPECT_EQ(backend_->delivered.size(), 1010u);
}

TEST_F(TailerTest, OwnLogAndCompressedFilesAreLeftOut) {
  config_.files = {Path("*")};
  Append("picket.log", "own\n");
  Append("old.log.gz", "packed\n");
  Append("app.log", "theirs\n");
  Start();
  Run();
  ExpectLines({"theirs"});
}

TEST_F(TailerTest, RotatedFilesThatTheGlobMatchesAreNotReadAgain) {
  config_.files = {Path("app.log*")};
  Append("app.log", Text(Numbered(0, 10, "a line with enough bytes to be known by ")));
  Start();
  Run();
  Rename("app.log", "app.log.1");
  Append("app.log", "next\n");
  for (int i = 0; i < 30; ++i) Run();
  auto expected = Numbered(0, 10, "a line with enough bytes to be known by ");
  expected.push_back("next");
  ExpectLines(expected);
  Stop();
  Start();
  Run();
  ExpectLines(expected);
}

TEST_F(TailerTest, DeletedFilesAreGivenUpBeyondTheLimitAndCounted) {
  read_ahead_ = Bytes(1);
  config_.hold_deleted = Bytes(100);
  backend_->auto_accept = false;
  Append("app.log", "first\n");
  Start();
  Run();
  Append("app.log", Text(Numbered(0, 50)));
  Run();
  Delete("app.log");
  for (int i = 0; i < 3; ++i) Run();
  const auto gaps = BalanceOf("files");
  EXPECT_EQ(gaps.dropped, 50u);
  EXPECT_THAT(gaps.last_drop, HasSubstr("app.log"));
}

TEST_F(TailerTest, ADeletedFileIsReadToItsEnd) {
  Append("app.log", "one\n");
  Start();
  Run();
  Append("app.log", "two\nno end of line");
  Delete("app.log");
  for (int i = 0; i < 30; ++i) Run();
  ExpectLines({"one", "two", "no end of line"});
  EXPECT_TRUE(tailer_->Files().empty());
}

TEST_F(TailerTest, AutoStartsOldPlainFilesAtTheirEndAndOldCriFilesAtTheirBeginning) {
  config_.format = Format::kAuto;
  config_.start_at = StartAt::kAuto;
  Append("plain.log", "written long ago\n");
  Append("cri.log", Cri(1, "stdout", "F", "with its own time"));
  Start();
  Run();
  Append("plain.log", "now\n");
  Append("new.log", "a new file\n");
  Run();
  Run();
  EXPECT_THAT(backend_->Lines(),
              ::testing::UnorderedElementsAre("with its own time", "now", "a new file"));
}

TEST_F(TailerTest, StatusShowsLag) {
  backend_->auto_accept = false;
  Append("app.log", "0123456789\n");
  Start();
  Run();
  clock_.Advance(seconds(5));
  const auto files = tailer_->Files();
  ASSERT_EQ(files.size(), 1u);
  EXPECT_EQ(files[0].path, Path("app.log"));
  EXPECT_EQ(files[0].size, 11u);
  EXPECT_EQ(files[0].read_offset, 11u);
  EXPECT_EQ(files[0].acked_offset, 0u);
  EXPECT_EQ(files[0].lag_bytes, 11u);
  EXPECT_GE(files[0].lag_seconds, 5);
}

}  // namespace
}  // namespace picket::collectors::logs
