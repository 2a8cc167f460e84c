// SPDX-License-Identifier: Apache-2.0
// What a dying process, a full disk and damaged bytes may cost, and what not.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include <atomic>
#include <cerrno>
#include <fstream>
#include <random>

#include "tests/store/tsdb/story.h"
#include "tests/support/effort.h"

namespace picket::store::tsdb {
namespace {

using Rng = std::mt19937_64;

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
void WriteFile(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

/// Every sample there is one that was written, and with its value. Returns how many there are.
size_t CheckNothingInvented(const NaiveStore& have, const NaiveStore& written) {
  size_t n = 0;
  for (const auto& [labels, samples] : have) {
    const auto it = written.find(labels);
    EXPECT_NE(it, written.end()) << labels;
    if (it == written.end()) continue;
    for (const auto& [ms, bits] : samples) {
      const auto at = it->second.find(ms);
      EXPECT_TRUE(at != it->second.end() && at->second == bits) << labels << " at " << ms;
      ++n;
    }
  }
  return n;
}

size_t Samples(const NaiveStore& store) {
  size_t n = 0;
  for (const auto& [labels, samples] : store) n += samples.size();
  return n;
}

TEST(CrashTest, KilledAtRandomMomentsWhatWasAcknowledgedIsThere) {
  constexpr int kTargets = 5, kSeries = 20;
  // Large tokens fill the pipe soon, so that the child never runs far ahead.
  const char token[128] = {};
  Rng rng(11);
  TempDir dir;
  int64_t round = 0;
  Story story(dir.path(), Unbounded());
  for (int life = 0; life < 25; ++life) {
    int pipe_ends[2];
    ASSERT_EQ(pipe(pipe_ends), 0);
    fcntl(pipe_ends[1], F_SETPIPE_SZ, 4096);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      story.Open();
      story.OpenTargets(kTargets, kSeries);
      // New series in each life, and one that leaves: layouts, series and blocks change while the
      // end comes.
      for (int64_t r = round;; ++r) {
        for (int t = 0; t < kTargets; ++t) {
          story.Scrape(t, r, false);
          if (write(pipe_ends[1], token, sizeof token) != sizeof token) _exit(1);
        }
        if (r % 50 == 0) story.store->Maintain();
      }
    }
    close(pipe_ends[1]);
    const uint64_t wanted = 1 + rng() % 1500;
    uint64_t bytes = 0;
    char buffer[256];
    while (bytes < wanted * sizeof token) {
      const ssize_t n = read(pipe_ends[0], buffer, 1 + rng() % sizeof buffer);
      ASSERT_GT(n, 0) << "the child died by itself";
      bytes += static_cast<uint64_t>(n);
    }
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    for (ssize_t n; (n = read(pipe_ends[0], buffer, sizeof buffer)) > 0;)
      bytes += static_cast<uint64_t>(n);
    close(pipe_ends[0]);

    const uint64_t rows = bytes / sizeof token;
    // Acknowledged rows are known by their number; one more may have been on its way.
    NaiveStore maybe;
    for (uint64_t i = 0; i <= rows; ++i) {
      const auto t = static_cast<int>(i % kTargets);
      const int64_t r = round + static_cast<int64_t>(i / kTargets);
      for (int s = 0; s < kSeries; ++s)
        (i < rows ? story.naive : maybe)[Story::SeriesOf(t, s).ToString()][Story::TimeOf(r)] =
            std::bit_cast<uint64_t>(Story::ValueOf(t, s, r));
    }
    story.Open();
    EXPECT_EQ(story.store->recovery().damaged_parts, 0U) << "a killed process leaves whole records";
    const NaiveStore have = ReadAll(*story.store);
    NaiveStore with_last = story.naive;
    for (auto& [labels, samples] : maybe) with_last[labels].merge(samples);
    const std::string without = Difference(story.naive, have);
    if (!without.empty()) {
      ASSERT_EQ(Difference(with_last, have), "") << "life " << life << ": " << without;
      story.naive = with_last;
    }
    story.store.reset();
    round += static_cast<int64_t>(rows / kTargets) + 2;
  }
}

/// A store's files with sealed blocks, open logs and timed samples.
class DamageTest : public testing::Test {
 protected:
  DamageTest() : story_(dir_.path(), Unbounded()) {
    story_.Open();
    story_.OpenTargets(6, 80);
    for (int64_t r = 0; r < 300; ++r) {
      story_.ScrapeAll(r);
      std::vector<TimedSample> timed;
      for (int i = 0; i < 3; ++i) {
        const Labels labels{{"__name__", "pushed"}, {"i", std::to_string(i)}};
        timed.push_back({*story_.store->Intern(story_.sources_[0], labels, nullptr),
                         Story::TimeOf(r) + i, 0.5 * i});
        story_.naive[labels.ToString()][Story::TimeOf(r) + i] = std::bit_cast<uint64_t>(0.5 * i);
      }
      story_.store->AppendTimed(story_.sources_[0], timed);
    }
    story_.store.reset();
    for (const char* name : {"open.tsdb", "blocks.tsdb", "series.tsdb"})
      whole_[name] = ReadFile(dir_.path() + "/" + name);
  }
  void Restore() {
    for (const auto& [name, bytes] : whole_) WriteFile(dir_.path() + "/" + name, bytes);
  }
  /// The part of a file that has something in it.
  static size_t Used(const std::string& bytes) {
    const size_t last = bytes.find_last_not_of('\0');
    return last == std::string::npos ? 0 : last + 1;
  }
  TempDir dir_;
  Story story_;
  std::map<std::string, std::string> whole_;
};

TEST_F(DamageTest, FlippedBitsAreNamedAndCostOnlyTheirPart) {
  Rng rng(21);
  const size_t all = Samples(story_.naive);
  size_t noticed = 0, rounds = 0;
  for (const auto& [name, bytes] : whole_) {
    for (int round = 0; round < Rounds(60); ++round) {
      Restore();
      std::string damaged = bytes;
      const size_t at = rng() % Used(bytes);
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << (rng() % 8)));
      WriteFile(dir_.path() + "/" + name, damaged);
      story_.Open();
      const NaiveStore have = ReadAll(*story_.store);
      const size_t n = CheckNothingInvented(have, story_.naive);
      EXPECT_EQ(n < all, n < all && story_.store->recovery().damaged_parts > 0)
          << name << " byte " << at;
      EXPECT_GT(n, all / 2) << name << " byte " << at << ": "
                            << testing::PrintToString(story_.store->recovery().damage);
      noticed += story_.store->recovery().damaged_parts > 0;
      ++rounds;
      // The store goes on.
      story_.OpenTargets(6, 80);
      story_.ScrapeAll(1000, false);
      EXPECT_TRUE(story_.Balanced());
      story_.store.reset();
    }
  }
  EXPECT_GT(noticed, rounds / 2);  // the rest fell on unused bytes of segments and chunks
}

TEST_F(DamageTest, TornAndGarbledFilesNeverCrash) {
  Rng rng(22);
  for (int round = 0; round < Rounds(120); ++round) {
    Restore();
    for (const auto& [name, bytes] : whole_) {
      std::string damaged = bytes;
      switch (rng() % 5) {
        case 0:
          damaged.resize(rng() % (damaged.size() + 1));
          break;
        case 1: {
          const size_t at = rng() % damaged.size();
          for (size_t i = at; i < std::min(damaged.size(), at + 1 + rng() % 10'000); ++i)
            damaged[i] = static_cast<char>(rng());
          break;
        }
        case 2: {
          const size_t at = rng() % Used(damaged);
          std::fill(damaged.begin() + static_cast<ptrdiff_t>(at), damaged.end(), '\0');
          break;
        }
        case 3:
          damaged.clear();
          break;
        default:
          break;
      }
      WriteFile(dir_.path() + "/" + name, damaged);
    }
    story_.Open();
    CheckNothingInvented(ReadAll(*story_.store), story_.naive);
    story_.OpenTargets(6, 80);
    story_.ScrapeAll(1000, false);
    EXPECT_GE(Samples(ReadAll(*story_.store)), 6U * 80U);
    story_.Reopen();
    EXPECT_GE(Samples(ReadAll(*story_.store)), 6U * 80U);
    story_.store.reset();
  }
}

TEST(FullDiskTest, DropsAreCountedKnownDataStaysAndItRecovers) {
  TempDir dir;
  auto full = std::make_shared<std::atomic<bool>>(false);
  Story story(dir.path(), Unbounded());
  story.allocate = [full](int fd, int64_t offset, int64_t length) {
    return full->load() ? ENOSPC : posix_fallocate(fd, offset, length);
  };
  story.Open();
  story.OpenTargets(4, 200);
  int64_t r = 0;
  for (; r < 100; ++r) story.ScrapeAll(r);
  const NaiveStore before = story.naive;
  *full = true;
  for (; r < 1500; ++r) story.ScrapeAll(r);
  EXPECT_GT(story.balance->dropped(DropReason::kDiskFull), 0U);
  EXPECT_TRUE(story.Balanced());
  // A new series is still seen while the disk is full.
  const SeriesId late =
      *story.store->Intern(story.sources_[0], Labels{{"__name__", "late"}}, nullptr);
  const NaiveStore during = ReadAll(*story.store);
  CheckNothingInvented(during, story.naive);
  for (const auto& [labels, samples] : before)
    for (const auto& [ms, bits] : samples) ASSERT_TRUE(during.at(labels).contains(ms));
  *full = false;
  story.store->Maintain();
  const uint64_t dropped = story.balance->dropped(DropReason::kDiskFull);
  for (; r < 1700; ++r) story.ScrapeAll(r);
  EXPECT_EQ(story.balance->dropped(DropReason::kDiskFull), dropped);
  const double one = 1;
  story.store->Append({story.sources_[0], 99, Story::TimeOf(r), {&late, 1}, {&one, 1}});
  story.Reopen();
  const NaiveStore after = ReadAll(*story.store);
  EXPECT_TRUE(after.contains("late"));
  EXPECT_EQ(story.store->recovery().damaged_parts, 0U);
}

TEST(FullDiskTest, AByteLimitFreesTheOldest) {
  TempDir dir;
  TsdbConfig config = Unbounded();
  config.max_bytes = Bytes(12 << 20);
  Story story(dir.path(), config);
  story.Open();
  story.OpenTargets(4, 500);
  for (int64_t r = 0; r < 6000; ++r) story.ScrapeAll(r, r >= 5900);
  EXPECT_LT(story.store->Stats().TotalBytes(), (12U << 20) + 2 * (2U << 20));
  EXPECT_GT(story.store->OldestMs(), Story::TimeOf(100));
  const Matcher all[] = {Everything()};
  EXPECT_EQ(Difference(story.naive, Read(*story.store, all, Story::TimeOf(5900), INT64_MAX / 2)),
            "");
  EXPECT_EQ(story.balance->dropped(DropReason::kDiskFull), 0U);
}

TEST(LockTest, ASecondProcessIsRefused) {
  TempDir dir;
  ManualClock clock;
  const auto first = OpenStore(dir.path(), clock);
  TsdbOptions options;
  options.data_dir = dir.path();
  const auto second = Tsdb::Open(std::move(options));
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().kind(), ErrorKind::kOverloaded);
}

}  // namespace
}  // namespace picket::store::tsdb
