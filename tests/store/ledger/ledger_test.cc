// SPDX-License-Identifier: Apache-2.0
#include "store/ledger/ledger.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

#include "gtest/gtest.h"

namespace picket::store::ledger {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr UnixMs kStart = 1'700'000'000'000;

class LedgerTest : public testing::Test {
 protected:
  LedgerTest() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "picket-ledger-XXXXXX").string();
    dir_ = mkdtemp(pattern.data());
  }
  ~LedgerTest() override { std::filesystem::remove_all(dir_); }
  std::unique_ptr<Ledger> Open(std::string agent = "self", bool disk = true) {
    LedgerOptions options;
    options.data_dir = disk ? dir_ : "";
    options.agent = std::move(agent);
    options.clock = &clock_;
    auto ledger = Ledger::Open(std::move(options));
    EXPECT_TRUE(ledger.has_value()) << (ledger ? "" : ledger.error().ToString());
    return ledger ? *std::move(ledger) : nullptr;
  }
  std::string LogFile() const {
    for (const auto& e : std::filesystem::directory_iterator(dir_))
      if (e.path().extension() == ".log") return e.path().string();
    return {};
  }
  std::string dir_;
  ManualClock clock_{kStart * 1'000'000};
};

/// Every event by itself: the truth.
struct Event {
  UnixMs at;
  bool good;
};

Counts Brute(const std::vector<Event>& events, UnixMs from, UnixMs to) {
  Counts c;
  const auto first = std::lower_bound(events.begin(), events.end(), from,
                                      [](const Event& e, UnixMs t) { return e.at < t; });
  for (auto it = first; it != events.end() && it->at < to; ++it) {
    ++c.total;
    c.good += it->good;
  }
  return c;
}

TEST_F(LedgerTest, ThirtyDaysOfRandomEventsAreExactIntegers) {
  std::mt19937_64 rng(1);
  auto ledger = Open();
  const SloId slo = ledger->OpenSlo("checkout");
  std::vector<Event> events;
  UnixMs now = kStart;
  const Milliseconds windows[] = {minutes(5),     minutes(30),   hours(1),  hours(2),
                                  hours(6),       hours(24),     hours(72), hours(24 * 7),
                                  hours(24 * 28), hours(24 * 30)};
  const int64_t steps = hours(24 * 31) / minutes(5);
  for (int64_t step = 0; step < steps; ++step) {
    // Traffic with nights, bursts and outages; each event at its own time.
    const auto n = step % 288 < 60 ? rng() % 3 : rng() % 40;
    std::vector<Event> batch;
    for (uint64_t i = 0; i < n; ++i)
      batch.push_back({now + static_cast<UnixMs>(rng() % 300'000), rng() % 50 != 0});
    std::sort(batch.begin(), batch.end(),
              [](const Event& a, const Event& b) { return a.at < b.at; });
    now += 300'000;
    clock_.Advance(minutes(5));
    for (const Event& e : batch) ASSERT_TRUE(ledger->Add(slo, e.at, {e.good, 1, 0}));
    events.insert(events.end(), batch.begin(), batch.end());
    if (step % 97 == 0) {
      ASSERT_TRUE(ledger->Commit().has_value());
    }
    if (step % 2000 == 1999) {  // the agent dies and comes back
      ASSERT_TRUE(ledger->Commit().has_value());
      ledger.reset();
      ledger = Open();
      ASSERT_EQ(ledger->recovery().damaged_parts, 0U);
    }
    if (step % 53 != 0) continue;
    for (Milliseconds w : windows) {
      const WindowSum sum = ledger->Window(slo, now - 1, w);
      const Counts want = Brute(events, sum.from_ms, sum.to_ms);
      ASSERT_EQ(sum.counts.total, want.total) << w.count();
      ASSERT_EQ(sum.counts.good, want.good) << w.count();
      // The edge is at most one slot away from the window asked for.
      const int64_t slot = w <= hours(1) ? 10'000 : w <= hours(24) ? 60'000 : 600'000;
      ASSERT_LE(std::abs(sum.from_ms - (now - w.count())), slot);
    }
  }
  const WindowSum month = ledger->Since(slo, now - hours(24 * 30) / Milliseconds(1), now);
  EXPECT_EQ(month.counts.total, Brute(events, month.from_ms, month.to_ms).total);
  EXPECT_LT(ledger->memory_bytes(), 80U << 10);
  ASSERT_TRUE(ledger->Commit().has_value());
  EXPECT_LT(ledger->disk_bytes(), 600U << 10);
}

TEST_F(LedgerTest, HundredSlosStaySmallOnDisk) {
  auto ledger = Open();
  std::vector<SloId> slos;
  for (int i = 0; i < 100; ++i) slos.push_back(ledger->OpenSlo("slo " + std::to_string(i)));
  for (int64_t m = 0; m < 24 * 60; ++m) {
    clock_.Advance(minutes(1));
    for (SloId s : slos) ledger->Add(s, clock_.NowMs(), {99, 100, 60'000});
    ASSERT_TRUE(ledger->Commit().has_value());
  }
  EXPECT_LT(ledger->disk_bytes(), 3U << 20);
  EXPECT_LT(ledger->memory_bytes(), 100 * (50U << 10));
  EXPECT_EQ(ledger->Window(slos[99], clock_.NowMs(), hours(24)).counts,
            (Counts{99 * 1440, 144'000, 1440 * 60'000}));
}

TEST_F(LedgerTest, CoverageTellsNoTrafficFromNoData) {
  auto ledger = Open();
  const SloId slo = ledger->OpenSlo("s");
  const UnixMs start = kStart / 600'000 * 600'000;
  clock_.Advance(hours(1));
  for (int i = 0; i < 180; ++i) ledger->Add(slo, start + i * 10'000, {0, 0, i < 90 ? 10'000U : 0U});
  const WindowSum sum = ledger->Window(slo, start + 1'799'999, minutes(30));
  EXPECT_EQ(sum.counts.total, 0U);
  EXPECT_EQ(sum.counts.covered_ms, 900'000U);
}

TEST_F(LedgerTest, MergingIsIdempotentAndFreeOfOrder) {
  std::mt19937_64 rng(3);
  auto a = Open("a", false), b = Open("b", false), center = Open("center", false);
  std::vector<LedgerSlot> sent;
  Counts want;
  auto collect = [&](const LedgerSlot& s) { sent.push_back(s); };
  for (int i = 0; i < 2000; ++i) {
    clock_.Advance(seconds(7));
    Ledger& who = rng() % 2 == 0 ? *a : *b;
    const Counts c{rng() % 5, 5, 1000};
    who.Add(who.OpenSlo("s"), clock_.NowMs(), c);
    want += c;
    if (i % 100 == 0) {  // half-filled slots travel too, and come again with more in them
      a->Export(clock_.NowMs() - 3'600'000, collect);
      b->Export(clock_.NowMs() - 3'600'000, collect);
    }
  }
  a->Export(INT64_MIN / 2, collect);
  b->Export(INT64_MIN / 2, collect);
  for (int round = 0; round < 2; ++round) {
    std::shuffle(sent.begin(), sent.end(), rng);
    for (const LedgerSlot& s : sent) center->Import(s);
    const WindowSum sum = center->Window(center->OpenSlo("s"), clock_.NowMs(), hours(48));
    EXPECT_EQ(sum.counts.total, want.total);
    EXPECT_EQ(sum.counts.good, want.good);
  }
  EXPECT_EQ(center->LocalWindow(0, clock_.NowMs(), hours(24)).counts.total, 0U);
  EXPECT_FALSE(center->Import({"s", "center", Resolution::k10s, clock_.NowMs(), {1, 1, 0}}))
      << "its own slots";
}

TEST_F(LedgerTest, SpreadsADowntimeWithoutLosingAnEvent) {
  auto ledger = Open();
  const SloId slo = ledger->OpenSlo("s");
  const UnixMs to = kStart, from = to - 1'234'567;
  ASSERT_TRUE(ledger->AddOver(slo, from, to, 9'973, 10'007));
  const WindowSum sum = ledger->Window(slo, to, hours(1));
  EXPECT_EQ(sum.counts.good, 9'973U);
  EXPECT_EQ(sum.counts.total, 10'007U);
  EXPECT_EQ(sum.counts.covered_ms, 0U);
  const WindowSum five = ledger->Window(slo, to, minutes(5));
  EXPECT_NEAR(static_cast<double>(five.counts.total), 10'007.0 * 300 / 1234.567, 90);
}

TEST_F(LedgerTest, LargeCountsDoNotWrap) {
  auto ledger = Open();
  const SloId slo = ledger->OpenSlo("s");
  for (int i = 0; i < 5; ++i) ledger->Add(slo, kStart, {3'000'000'000, 4'000'000'000, 0});
  ASSERT_TRUE(ledger->Commit().has_value());
  ledger.reset();
  ledger = Open();
  EXPECT_EQ(ledger->Window(slo, kStart, minutes(5)).counts,
            (Counts{15'000'000'000, 20'000'000'000, 0}));
  EXPECT_EQ(ledger->Window(slo, kStart, hours(700)).counts.total, 20'000'000'000U);
}

TEST_F(LedgerTest, RefusesTimesItCannotKeep) {
  auto ledger = Open();
  const SloId slo = ledger->OpenSlo("s");
  EXPECT_TRUE(ledger->Add(slo, kStart, {1, 1, 0}));
  EXPECT_FALSE(ledger->Add(slo, kStart + 86'400'000, {1, 1, 0}))
      << "a clock far ahead must not push the window out";
  EXPECT_FALSE(ledger->Add(slo, kStart - int64_t{40} * 86'400'000, {1, 1, 0}));
  EXPECT_EQ(ledger->Window(slo, kStart, hours(700)).counts.total, 1U);
}

TEST_F(LedgerTest, RawCountersAndRemovalSurviveARestart) {
  auto ledger = Open();
  const SloId kept = ledger->OpenSlo("kept"), gone = ledger->OpenSlo("gone");
  ledger->SetRaw(kept, 7, {123.5, kStart - 1000, kStart});
  ledger->SetRaw(kept, 8, {1, 0, kStart});
  ledger->EraseRaw(kept, 8);
  ledger->Add(gone, kStart, {1, 1, 0});
  ledger->RemoveSlo("gone");
  ASSERT_TRUE(ledger->Commit().has_value());
  ledger.reset();
  ledger = Open();
  EXPECT_EQ(ledger->Slos(), std::vector<std::string>{"kept"});
  const auto raw = ledger->Raw(ledger->OpenSlo("kept"), 7);
  ASSERT_TRUE(raw.has_value());
  EXPECT_EQ(raw->value, 123.5);
  EXPECT_EQ(raw->start_ms, kStart - 1000);
  EXPECT_FALSE(ledger->Raw(ledger->OpenSlo("kept"), 8).has_value());
}

TEST_F(LedgerTest, SurvivesKillAtRandomMoments) {
  std::mt19937_64 rng(5);
  uint64_t committed_total = 0;
  for (int round = 0; round < 20; ++round) {
    int pipe_ends[2];
    ASSERT_EQ(pipe(pipe_ends), 0);
    fcntl(pipe_ends[1], F_SETPIPE_SZ, 4096);  // the child must not run far ahead
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      auto ledger = Open();
      const SloId slo = ledger->OpenSlo("s");
      for (uint64_t i = 0;; ++i) {
        ledger->Add(slo, clock_.NowMs(), {2, 3, 10});
        if (!ledger->Commit() || write(pipe_ends[1], "x", 1) != 1) _exit(1);
      }
    }
    close(pipe_ends[1]);
    const uint64_t wanted = 50 + rng() % 8000;
    uint64_t acknowledged = 0;
    char buffer[4096];
    while (acknowledged < wanted) {
      const ssize_t n = read(pipe_ends[0], buffer, sizeof buffer);
      ASSERT_GT(n, 0);
      acknowledged += static_cast<uint64_t>(n);
    }
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    for (ssize_t n; (n = read(pipe_ends[0], buffer, sizeof buffer)) > 0;)
      acknowledged += static_cast<uint64_t>(n);
    close(pipe_ends[0]);
    auto ledger = Open();
    const Counts have = ledger->Window(ledger->OpenSlo("s"), clock_.NowMs(), minutes(5)).counts;
    // What was acknowledged is there; at most the one commit that was on its way is there besides.
    EXPECT_GE(have.total, committed_total + acknowledged * 3);
    EXPECT_LE(have.total, committed_total + acknowledged * 3 + 3);
    EXPECT_EQ(have.good * 3, have.total * 2);
    EXPECT_EQ(ledger->recovery().damaged_parts, 0U) << "a commit is one write";
    committed_total = have.total;
  }
}

TEST_F(LedgerTest, DamageCostsItselfOnlyAndIsNamed) {
  std::mt19937_64 rng(9);
  {
    auto ledger = Open();
    for (int i = 0; i < 50; ++i) {
      ledger->Add(ledger->OpenSlo("s"), kStart, {1, 1, 0});
      ASSERT_TRUE(ledger->Commit().has_value());
    }
  }
  const std::string path = LogFile();
  std::ifstream in(path, std::ios::binary);
  const std::string whole((std::istreambuf_iterator<char>(in)), {});
  for (int round = 0; round < 60; ++round) {
    std::string bytes = whole;
    const bool torn = round % 2 == 0;
    if (torn)
      bytes.resize(17 + rng() % (bytes.size() - 17));
    else
      bytes[16 + rng() % (bytes.size() - 16)] ^= static_cast<char>(1 << (rng() % 8));
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
    auto ledger = Open();
    const uint64_t total = ledger->Window(ledger->OpenSlo("s"), kStart, minutes(5)).counts.total;
    EXPECT_EQ(total, torn ? (bytes.size() - 16) / ((whole.size() - 16) / 50) : 49U);
    if (!torn) {
      EXPECT_EQ(ledger->recovery().damaged_parts, 1U);
    }
    // It goes on from there, and what comes now is kept.
    ledger->Add(ledger->OpenSlo("s"), kStart, {1, 1, 0});
    ASSERT_TRUE(ledger->Commit().has_value());
    ledger.reset();
    ledger = Open();
    EXPECT_EQ(ledger->Window(ledger->OpenSlo("s"), kStart, minutes(5)).counts.total, total + 1);
  }
}

TEST_F(LedgerTest, SnapshotsReplaceTheLog) {
  auto ledger = Open();
  const SloId slo = ledger->OpenSlo("s");
  for (int i = 0; i < 40'000; ++i) {
    clock_.Advance(seconds(1));
    ledger->Add(slo, clock_.NowMs(), {1, 1, 1000});
    ASSERT_TRUE(ledger->Commit().has_value());
  }
  EXPECT_TRUE(std::filesystem::exists(dir_ + "/ledger.snapshot"));
  EXPECT_LT(ledger->disk_bytes(), 600U << 10);
  ledger.reset();
  ledger = Open();
  EXPECT_EQ(ledger->Window(slo, clock_.NowMs(), hours(24)).counts.total, 40'000U);
  int logs = 0;
  for (const auto& e : std::filesystem::directory_iterator(dir_))
    logs += e.path().extension() == ".log";
  EXPECT_EQ(logs, 1);
}

TEST_F(LedgerTest, RefusesADirectoryInUse) {
  auto ledger = Open();
  LedgerOptions options;
  options.data_dir = dir_;
  const auto second = Ledger::Open(std::move(options));
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().kind(), ErrorKind::kOverloaded);
}

}  // namespace
}  // namespace picket::store::ledger
