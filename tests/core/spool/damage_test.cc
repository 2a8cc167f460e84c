// SPDX-License-Identifier: Apache-2.0
// What a crash, a power cut, a bad sector or a full disk does to the log, and what is left of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "core/spool/format.h"
#include "tests/core/spool/faults.h"

namespace picket::spool {
namespace {

using namespace testing;

constexpr uint32_t kItems = 10;

class DamageTest : public ::testing::Test {
 protected:
  SpoolOptions Options(Files* files = &SystemFiles()) {
    SpoolOptions o;
    o.directory = dir_.path();
    o.max_bytes = 1_MiB;
    o.segment_bytes = Bytes(64 << 10);
    o.fsync = FsyncPolicy::kNever;
    o.files = files;
    return o;
  }
  // A log of `n` records, closed. Consumer "prom" exists and has settled the first `settled`.
  void Make(uint64_t n, size_t size = 100, uint64_t settled = 0) {
    auto spool = *Spool::Open(Options());
    auto consumer = *spool->OpenConsumer("prom", NewBalance());
    for (uint64_t i = 0; i < n; ++i)
      ASSERT_TRUE(spool->Append({1, static_cast<uint16_t>(i % 4), kItems, 1}, Body(i, size)));
    for (uint64_t i = 0; i < settled; ++i)
      std::move(*consumer->Take(static_cast<uint16_t>(i % 4))).Delivered();
  }
  struct Found {
    std::vector<std::string> bodies;
    uint64_t corrupt = 0, in = 0;
    Spool::Stats stats;
  };
  Found Reopen() {
    Found f;
    auto spool = Spool::Open(Options());
    EXPECT_TRUE(spool) << spool.error().ToString();
    auto balance = NewBalance();
    auto consumer = *(*spool)->OpenConsumer("prom", balance);
    f.bodies = Drain(*consumer);
    f.corrupt = balance->dropped(DropReason::kCorrupt);
    f.in = balance->in();
    f.stats = (*spool)->Read();
    EXPECT_EQ(balance->Read().queued(), 0);
    return f;
  }
  // Afterwards the spool must be as good as new.
  void ExpectUsable() {
    auto spool = *Spool::Open(Options());
    auto consumer = *spool->OpenConsumer("prom", NewBalance());
    Drain(*consumer);
    ASSERT_TRUE(spool->Append({1, 0, 1, 1}, "fresh"));
    EXPECT_THAT(Drain(*consumer), ::testing::ElementsAre("fresh"));
  }
  TempDir dir_;
};

TEST_F(DamageTest, ATailTornAtAnyByteCostsTheLastRecordOnly) {
  Make(5);
  const std::string path = dir_.Files(".seg").at(0), cursor = dir_.path() + "/cursor-prom";
  const std::string whole = ReadFile(path), place = ReadFile(cursor);
  const size_t last = whole.rfind("PKR1");
  const size_t end = RecordEnd(last, static_cast<uint32_t>(Body(4).size()));
  for (size_t cut = last; cut < end; ++cut) {
    std::string torn = whole;
    std::fill(torn.begin() + static_cast<ptrdiff_t>(cut), torn.end(), '\0');
    WriteFile(path, torn);
    WriteFile(cursor, place);
    const Found f = Reopen();
    const bool complete = whole.find_first_not_of('\0', cut) == std::string::npos ||
                          cut >= last + kRecordHeaderBytes + Body(4).size();
    ASSERT_EQ(f.bodies.size(), complete ? 5U : 4U) << "cut at " << cut - last;
    for (size_t i = 0; i < f.bodies.size(); ++i) ASSERT_EQ(f.bodies[i], Body(i));
    ASSERT_EQ(f.stats.truncated_tails, complete || cut == last ? 0U : 1U)
        << "cut at " << cut - last;
    // The header tells what the torn body held.
    const bool header_whole =
        torn.compare(last, kRecordHeaderBytes, whole, last, kRecordHeaderBytes) == 0;
    ASSERT_EQ(f.corrupt, !complete && header_whole ? kItems : 0U) << "cut at " << cut - last;
    ASSERT_EQ(f.in, f.bodies.size() * kItems + f.corrupt);
  }
  ExpectUsable();
}

TEST_F(DamageTest, ATailTornIntoOldBytesOfAReusedFileIsSeenToo) {
  Make(5);
  const std::string path = dir_.Files(".seg").at(0);
  std::string bytes = ReadFile(path);
  const size_t last = bytes.rfind("PKR1");
  for (size_t i = last + 60; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 31);
  WriteFile(path, bytes);
  const Found f = Reopen();
  EXPECT_EQ(f.bodies.size(), 4U);
  EXPECT_EQ(f.stats.truncated_tails, 1U);
  EXPECT_EQ(f.corrupt, kItems);
  ExpectUsable();
}

TEST_F(DamageTest, AFlippedBitAnywhereCostsAtMostItsOwnRecord) {
  constexpr uint64_t kRecords = 4;
  Make(kRecords);
  const std::string path = dir_.Files(".seg").at(0), cursor = dir_.path() + "/cursor-prom";
  const std::string whole = ReadFile(path), place = ReadFile(cursor);
  const size_t used =
      RecordEnd(whole.rfind("PKR1"), static_cast<uint32_t>(Body(kRecords - 1).size()));
  for (size_t at = 0; at < used; ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << (at % 8)));
    WriteFile(path, damaged);
    WriteFile(cursor, place);
    const Found f = Reopen();
    ASSERT_GE(f.bodies.size(), kRecords - 1) << "byte " << at;
    for (const auto& body : f.bodies) {
      const uint64_t number = std::stoull(body);
      ASSERT_EQ(body, Body(number)) << "byte " << at;
    }
    // In the middle the numbers around a gap tell in items what it held.
    const bool in_the_middle = f.bodies.size() < kRecords && f.bodies.back() == Body(kRecords - 1);
    ASSERT_TRUE(!in_the_middle || f.corrupt == kItems) << "byte " << at;
    ASSERT_EQ(f.in, f.bodies.size() * kItems + f.corrupt);
  }
  ExpectUsable();
}

TEST_F(DamageTest, ADamagedStretchInTheMiddleIsSkippedToTheNextGoodRecord) {
  Make(200, 1000);
  const auto files = dir_.Files(".seg");
  ASSERT_GT(files.size(), 2U);
  std::string bytes = ReadFile(files[1]);
  for (size_t i = 10'000; i < 20'000; ++i) bytes[i] = '\xee';
  WriteFile(files[1], bytes);
  const Found f = Reopen();
  EXPECT_GE(f.bodies.size(), 188U);
  EXPECT_LT(f.bodies.size(), 200U);
  EXPECT_EQ(f.corrupt, (200 - f.bodies.size()) * kItems);
  EXPECT_EQ(f.bodies.back(), Body(199, 1000));
}

TEST_F(DamageTest, AMissingSegmentIsCountedAndTheRestGoesOn) {
  Make(200, 1000);
  const auto files = dir_.Files(".seg");
  std::filesystem::remove(files[1]);
  const Found f = Reopen();
  EXPECT_EQ(f.corrupt, (200 - f.bodies.size()) * kItems);
  EXPECT_GT(f.corrupt, 0U);
}

TEST_F(DamageTest, AnUnreadableSegmentIsSetAsideNotWiped) {
  Make(200, 1000);
  const auto files = dir_.Files(".seg");
  WriteFile(files[1], std::string(64 << 10, '\x77'));
  const Found f = Reopen();
  EXPECT_EQ(f.corrupt, (200 - f.bodies.size()) * kItems);
  EXPECT_EQ(dir_.Files(".bad").size(), 1U);
}

TEST_F(DamageTest, DamageBehindTheCursorCostsNothing) {
  Make(200, 1000, 120);
  const auto files = dir_.Files(".seg");
  std::string bytes = ReadFile(files[0]);
  std::fill(bytes.begin() + 64, bytes.begin() + 5000, '\x11');
  WriteFile(files[0], bytes);
  const Found f = Reopen();
  EXPECT_EQ(f.corrupt, 0U);
  EXPECT_EQ(f.bodies.size(), 80U);
}

TEST_F(DamageTest, ACrashAtAnyByteOfAnyWriteLosesNothingAccepted) {
  // Every file operation stops after so many bytes, as if the process were gone; then a new one
  // opens the directory.
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    TempDir dir;
    FaultFiles files;
    SpoolOptions o = Options(&files);
    o.directory = dir.path();
    o.max_bytes = Bytes(8 << 20);
    o.memory_overflow = Bytes(0);
    std::vector<uint64_t> accepted;
    std::set<std::string> settled;
    {
      auto spool = *Spool::Open(o);
      auto consumer = *spool->OpenConsumer("prom", NewBalance());
      files.bytes_until_crash = std::uniform_int_distribution<int>(1, 300'000)(random);
      for (uint64_t i = 0; !files.crashed() && i < 5000; ++i) {
        const auto lane = static_cast<uint16_t>(i % 3);
        if (spool->Append({1, lane, kItems, 1}, Body(i, 50 + i % 1500)) && !files.crashed())
          accepted.push_back(i);
        if (i % 2 == 0) continue;
        if (auto d = consumer->Take(lane)) {
          std::string body(d->body());
          std::move(*d).Delivered();
          if (!files.crashed()) settled.insert(std::move(body));
        }
      }
    }
    files.bytes_until_crash = INT64_MAX;
    o.files = &SystemFiles();
    auto spool = *Spool::Open(o);
    auto consumer = *spool->OpenConsumer("prom", NewBalance());
    std::set<std::string> found;
    for (auto& body : Drain(*consumer)) {
      ASSERT_EQ(body, Body(std::stoull(body), 50 + std::stoull(body) % 1500));
      ASSERT_FALSE(settled.contains(body)) << "settled, and yet sent again: " << body.substr(0, 8);
      found.insert(std::move(body));
    }
    for (const uint64_t i : accepted) {
      const auto body = Body(i, 50 + i % 1500);
      // The record being settled when the crash came may be settled on disk already.
      if (settled.contains(body) || found.contains(body)) continue;
      ASSERT_EQ(i,
                [&] {
                  for (const uint64_t k : accepted)
                    if (!settled.contains(Body(k, 50 + k % 1500)) && k % 3 == i % 3) return k;
                  return UINT64_MAX;
                }())
          << "lost in round " << round;
    }
  }
}

TEST_F(DamageTest, AFullDiskFirstUsesMemoryThenTheOldestAndRecovers) {
  FaultFiles files;
  Budget budget(Bytes(256 << 10));
  SpoolOptions o = Options(&files);
  o.budget = &budget;
  o.memory_overflow = Bytes(128 << 10);
  auto spool = *Spool::Open(o);
  auto balance = NewBalance();
  auto consumer = *spool->OpenConsumer("prom", balance);
  files.free_bytes = 2 * (64 << 10);
  uint64_t n = 0;
  const auto append = [&](int count) {
    for (int i = 0; i < count; ++i, ++n) {
      balance->In(kItems);
      ASSERT_TRUE(spool->Append({1, static_cast<uint16_t>(n % kLanes), kItems, 1}, Body(n, 1000)));
    }
  };
  append(150);
  EXPECT_GT(spool->Read().memory_bytes, 0U) << "two segments on disk, the rest in memory";
  EXPECT_EQ(balance->dropped(DropReason::kDiskFull), 0U);
  EXPECT_FALSE(spool->Read().last_error.empty());
  append(300);
  EXPECT_LE(spool->Read().memory_bytes, 128U << 10);
  const uint64_t dropped = balance->dropped(DropReason::kDiskFull);
  EXPECT_GT(dropped, 0U);
  // However long it lasts, room is made one segment at a time: most of what fits stays.
  for (int i = 0; i < 600; ++i) {
    append(1);
    ASSERT_GT(consumer->Read().bytes, 128U << 10) << "after " << n;
  }
  files.free_bytes = INT64_MAX;
  append(400);
  const auto rest = Drain(*consumer);
  EXPECT_EQ(rest.size() * kItems + balance->dropped(DropReason::kDiskFull), n * kItems);
  for (size_t i = 0; i < rest.size(); ++i)
    ASSERT_EQ(rest[i], Body(n - rest.size() + i, 1000)) << "in order, newest kept";
  append(200);
  EXPECT_EQ(spool->Read().memory_bytes, 0U) << "back on disk";
}

TEST_F(DamageTest, ADiskWithRoomAgainIsUsedAtOnceAndSaidSo) {
  FaultFiles files;
  ManualClock clock;
  SpoolOptions o = Options(&files);
  o.clock = &clock;
  auto spool = *Spool::Open(o);
  auto balance = NewBalance();
  auto consumer = *spool->OpenConsumer("prom", balance);
  files.free_bytes = 0;
  ASSERT_TRUE(spool->Append({1, 0, kItems, 1}, Body(0)));
  EXPECT_GT(spool->Read().memory_bytes, 0U);
  files.free_bytes = INT64_MAX;
  clock.Advance(std::chrono::seconds(2));
  ASSERT_TRUE(spool->Append({1, 0, kItems, 1}, Body(1)));
  EXPECT_EQ(spool->Read().last_error, "");
  consumer.reset();
  spool.reset();
  auto again = *Spool::Open(o);  // as after kill -9: what was in memory is gone, nothing else
  auto rest = *again->OpenConsumer("prom", NewBalance());
  EXPECT_THAT(Drain(*rest), ::testing::ElementsAre(Body(1)));
}

TEST_F(DamageTest, WhatIsEvictedWhileItIsOutCountsForTheSameReason) {
  FaultFiles files;
  SpoolOptions o = Options(&files);
  o.max_bytes = 8_MiB;
  o.memory_overflow = Bytes(128 << 10);
  auto spool = *Spool::Open(o);
  auto balance = NewBalance();
  auto consumer = *spool->OpenConsumer("prom", balance);
  files.free_bytes = 64 << 10;
  uint64_t n = 0;
  std::optional<Delivery> out;
  while (balance->dropped(DropReason::kDiskFull) == 0 && n < 1000) {
    balance->In(kItems);
    ASSERT_TRUE(spool->Append({1, 0, kItems, 1}, Body(n++, 1000)));
    if (n == 1) out = consumer->Take(0);
  }
  const uint64_t before = balance->dropped(DropReason::kDiskFull);
  ASSERT_GT(before, 0U);
  out.reset();  // the attempt failed; it has no place to go back to
  EXPECT_EQ(balance->dropped(DropReason::kDiskFull), before + kItems);
  EXPECT_EQ(balance->dropped(DropReason::kQueueFull), 0U);
  EXPECT_EQ(Drain(*consumer).size() * kItems + before + kItems, n * kItems);
}

TEST_F(DamageTest, ADiskThatRefusesWritesIsBypassed) {
  FaultFiles files;
  SpoolOptions o = Options(&files);
  auto spool = *Spool::Open(o);
  auto consumer = *spool->OpenConsumer("prom", NewBalance());
  ASSERT_TRUE(spool->Append({1, 0, kItems, 1}, Body(0)));
  files.fail_writes = true;
  ASSERT_TRUE(spool->Append({1, 0, kItems, 1}, Body(1)));
  EXPECT_GT(spool->Read().memory_bytes, 0U);
  EXPECT_GT(spool->Read().append_errors, 0U);
  files.fail_writes = false;
  EXPECT_THAT(Drain(*consumer), ::testing::ElementsAre(Body(0), Body(1)));
}

TEST_F(DamageTest, AReadThatFailsOnceIsTriedAgainAndForEverIsCounted) {
  FaultFiles files;
  SpoolOptions o = Options(&files);
  auto spool = *Spool::Open(o);
  auto balance = NewBalance();
  auto consumer = *spool->OpenConsumer("prom", balance);
  balance->In(2 * kItems);
  ASSERT_TRUE(spool->Append({1, 0, kItems, 1}, Body(0)));
  ASSERT_TRUE(spool->Append({1, 1, kItems, 1}, Body(1)));
  files.fail_reads = true;
  EXPECT_FALSE(consumer->Take(0));
  EXPECT_EQ(balance->dropped(DropReason::kCorrupt), 0U);
  files.fail_reads = false;
  auto d = consumer->Take(0);
  ASSERT_TRUE(d);
  std::move(*d).Delivered();
  files.fail_reads = true;
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(consumer->Take(1));
  EXPECT_EQ(balance->dropped(DropReason::kCorrupt), kItems);
  EXPECT_EQ(balance->Read().queued(), 0);
}

TEST_F(DamageTest, FsyncFollowsThePolicy) {
  FaultFiles files;
  SpoolOptions o = Options(&files);
  o.fsync = FsyncPolicy::kAlways;
  auto spool = *Spool::Open(o);
  ASSERT_TRUE(spool->Append({1, 0, 1, 1}, "a"));
  EXPECT_EQ(files.syncs, 1);
  ASSERT_TRUE(spool->Sync());
  spool.reset();
  o.fsync = FsyncPolicy::kNever;
  files.syncs = 0;
  spool = *Spool::Open(o);
  ASSERT_TRUE(spool->Append({1, 0, 1, 1}, "a"));
  EXPECT_EQ(files.syncs, 0);
  ASSERT_TRUE(spool->Sync());
  EXPECT_EQ(files.syncs, 1);
  ASSERT_TRUE(spool->Sync());
  EXPECT_EQ(files.syncs, 1) << "nothing new, nothing to wait for";
}

}  // namespace
}  // namespace picket::spool
