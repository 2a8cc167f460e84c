// SPDX-License-Identifier: Apache-2.0
// kill -9 under load, again and again: from files to a counting Loki nothing is lost, and nothing
// acknowledged comes twice.
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>

#include "collectors/logs/checkpoint.h"
#include "exporters/loki/config.h"
#include "tests/exporters/loki/fake_loki.h"

extern char** environ;

namespace picket {
namespace {

using collectors::logs::CheckpointJournal;
using exporters::loki::FakeEntry;
using exporters::loki::FakeLoki;

constexpr int kRounds = 20;
constexpr int kFiles = 3;

class CrashTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = std::filesystem::temp_directory_path() / "picket_crash_XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
    std::filesystem::create_directories(root_ + "/logs");
    ASSERT_TRUE(loki_.started) << loki_.started.error().ToString();
  }
  void TearDown() override {
    if (pid_ > 0) Kill(SIGKILL);
    loki_.Stop();
    std::filesystem::remove_all(root_);
  }

  void Spawn() {
    const std::string state = root_ + "/state";
    const std::string logs = "files: ['" + root_ + "/logs/*.log']\nformat: cri\n";
    const std::string loki =
        "url: " + loki_.url() +
        "\nbatch_size: 16KiB\nbatch_wait: 5ms\nmin_backoff: 1ms\nmax_backoff: 20ms\n";
    const char* argv[] = {LOGS_AGENT, state.c_str(), logs.c_str(), loki.c_str(), nullptr};
    ASSERT_EQ(::posix_spawn(&pid_, LOGS_AGENT, nullptr, nullptr, const_cast<char**>(argv), environ),
              0);
  }
  void Kill(int signal) {
    ::kill(pid_, signal);
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = 0;
  }

  std::string LogPath(int file) const {
    return root_ + "/logs/app" + std::to_string(file) + ".log";
  }
  void Write(int file, int lines) {
    std::ofstream out(LogPath(file), std::ios::app | std::ios::binary);
    for (int i = 0; i < lines; ++i) {
      const int n = written_[file]++;
      char time[48];
      std::snprintf(time, sizeof time, "2026-03-01T12:%02d:%02d.%09dZ", n / 60'000 % 60,
                    n / 1000 % 60, n % 1000);
      const std::string text = Line(file, n);
      // Every eleventh in two parts, as a runtime splits long lines.
      if (n % 11 == 0)
        out << time << " stdout P " << text.substr(0, 5) << "\n"
            << time << " stdout F " << text.substr(5) << "\n";
      else
        out << time << " stdout F " << text << "\n";
    }
  }
  static std::string Line(int file, int n) {
    return std::to_string(file) + ":" + std::to_string(n) + ":" +
           std::string(static_cast<size_t>(20 + n % 80), 'x');
  }
  void Rotate(int file) {
    std::filesystem::rename(LogPath(file), LogPath(file) + "." + std::to_string(++rotations_));
  }

  // Lines that the checkpoint says are delivered, from the bytes of the files it speaks of.
  std::set<std::string> Acknowledged() {
    std::set<std::string> out;
    auto journal = CheckpointJournal::Open(root_ + "/state");
    EXPECT_TRUE(journal) << journal.error().ToString();
    std::map<uint64_t, std::string> by_inode;
    for (const auto& e : std::filesystem::directory_iterator(root_ + "/logs")) {
      struct stat st;
      if (::stat(e.path().c_str(), &st) == 0) by_inode[st.st_ino] = e.path();
    }
    for (const auto& [id, mark] : journal->marks()) {
      const auto path = by_inode.find(mark.fingerprint.inode);
      if (path == by_inode.end() || mark.lanes.empty()) continue;
      std::ifstream in(path->second, std::ios::binary);
      uint64_t at = 0;
      std::string half;
      for (std::string line; std::getline(in, line);) {
        at += line.size() + 1;
        if (at > mark.lanes.begin()->second.done) break;
        const size_t tag = line.find(" stdout ") + 8;
        half += line.substr(tag + 2);
        if (line[tag] == 'P') continue;
        out.insert(std::exchange(half, {}));
      }
    }
    return out;
  }

  size_t AllLines() const {
    size_t n = 0;
    for (const auto& [file, lines] : written_) n += static_cast<size_t>(lines);
    return n;
  }

  std::string root_;
  net::Runtime runtime_{1};
  FakeLoki loki_{runtime_};
  pid_t pid_ = 0;
  std::map<int, int> written_;
  int rotations_ = 0;
};

TEST_F(CrashTest, KilledAtRandomMomentsNothingIsLostAndOnlyUnacknowledgedLinesComeTwice) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  std::atomic<unsigned> fault{seed};
  std::set<std::string> unanswered;
  loki_.OnPush([&](const FakeLoki::Push& push) {
    // Now and then no good answer, with or without the lines stored: both look the same from
    // outside.
    const unsigned r = (fault = fault * 1664525u + 1013904223u) >> 24;
    if (r < 10) return FakeLoki::Reply{500, "not stored", "", false};
    if (r < 20) {
      for (const FakeEntry& e : push.entries) unanswered.insert(e.line);
      return FakeLoki::Reply{503, "stored, and the answer lost", "", true};
    }
    return FakeLoki::Reply{};
  });
  std::set<std::string> may_repeat;
  // Files that were rotated before anyone had seen them are not ours to read.
  for (int file = 0; file < kFiles; ++file) Write(file, 10);
  for (int round = 0; round < kRounds; ++round) {
    Spawn();
    if (round == 0) {
      ASSERT_TRUE(loki_.WaitForLines(10 * kFiles));
    }
    const size_t goal = loki_.Stored().size() + static_cast<size_t>(below(3000));
    for (int burst = 0; burst < 20; ++burst) {
      const int file = below(kFiles);
      Write(file, 1 + below(400));
      if (below(8) == 0) Rotate(file);
    }
    loki_.Wait([&](const auto& stored) { return stored.size() >= std::min(goal, AllLines()); });
    Kill(SIGKILL);
    const std::set<std::string> acknowledged = Acknowledged();
    std::set<std::string> stored;
    for (const FakeEntry& e : loki_.Stored()) stored.insert(e.line);
    for (const std::string& line : acknowledged)
      ASSERT_TRUE(stored.contains(line))
          << "the checkpoint is ahead of the acknowledgement: " << line;
    for (const std::string& line : stored)
      if (!acknowledged.contains(line)) may_repeat.insert(line);
  }
  loki_.OnPush(nullptr);
  Spawn();
  loki_.Wait([&](const auto& stored) {
    std::set<std::string_view> different;
    for (const FakeEntry& e : stored) different.insert(e.line);
    return different.size() >= AllLines();
  });
  Kill(SIGTERM);
  std::map<std::string, int> times;
  std::map<int, int> next;
  for (const FakeEntry& e : loki_.Stored()) {
    if (++times[e.line] > 1) continue;
    // What comes for the first time comes in order.
    const int file = std::stoi(e.line);
    const int n = std::stoi(e.line.substr(e.line.find(':') + 1));
    ASSERT_EQ(e.line, Line(file, n)) << "a line that nobody wrote";
    if (n != next[file])
      ADD_FAILURE() << "line " << n << " of file " << file << " after " << next[file] - 1;
    next[file] = n + 1;
  }
  EXPECT_EQ(times.size(), AllLines());
  // A 503 after storing is repeated by right; everything else only if the checkpoint did not have
  // it.
  size_t wrong = 0;
  for (const auto& [line, n] : times)
    if (n > 1 && !may_repeat.contains(line) && !unanswered.contains(line)) ++wrong;
  EXPECT_EQ(wrong, 0u);
}

}  // namespace
}  // namespace picket
