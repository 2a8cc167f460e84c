// SPDX-License-Identifier: Apache-2.0
#include "core/spool/spool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/core/spool/faults.h"

namespace picket::spool {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class SpoolTest : public ::testing::Test {
 protected:
  SpoolOptions Options() {
    SpoolOptions o;
    o.directory = dir_.path();
    o.max_bytes = 1_MiB;
    o.segment_bytes = Bytes(64 << 10);
    o.fsync = FsyncPolicy::kNever;
    return o;
  }
  void Open() {
    consumer_.reset();
    spool_.reset();
    auto spool = Spool::Open(Options());
    ASSERT_TRUE(spool) << spool.error().ToString();
    spool_ = std::move(*spool);
    balance_ = NewBalance();
    consumer_ = *spool_->OpenConsumer("prom", balance_);
  }
  void Append(uint64_t number, uint16_t lane = 0, size_t size = 100, uint32_t items = 10) {
    balance_->In(items);
    auto s =
        spool_->Append({1, lane, items, 1000 + static_cast<UnixMs>(number)}, Body(number, size));
    ASSERT_TRUE(s) << s.error().ToString();
  }
  // in = out + queued + dropped, with queued as the spool sees it.
  void ExpectBalanced() {
    EXPECT_EQ(balance_->Read().queued(), static_cast<int64_t>(consumer_->Read().items));
  }

  TempDir dir_;
  std::unique_ptr<Spool> spool_;
  std::shared_ptr<Balance> balance_;
  std::unique_ptr<Consumer> consumer_;
};

TEST_F(SpoolTest, HandsOutWhatWasAppendedWithItsFacts) {
  Open();
  Append(7, 3);
  auto d = consumer_->Take(3);
  ASSERT_TRUE(d);
  EXPECT_EQ(d->body(), Body(7));
  EXPECT_EQ(d->info().items, 10U);
  EXPECT_EQ(d->info().lane, 3);
  EXPECT_EQ(d->info().type, 1);
  EXPECT_EQ(d->info().time_ms, 1007);
  ExpectBalanced();
  std::move(*d).Delivered(4, "four were too old");
  EXPECT_EQ(Out(*balance_), 6U);
  EXPECT_EQ(balance_->dropped(DropReason::kPartial), 4U);
  EXPECT_EQ(consumer_->Read().records, 0U);
  ExpectBalanced();
}

TEST_F(SpoolTest, ALaneIsHandedOutInOrderAndOneAtATime) {
  Open();
  for (uint64_t i = 0; i < 6; ++i) Append(i, i % 2);
  auto a = consumer_->Take(0);
  EXPECT_FALSE(consumer_->Take(0)) << "its head is out";
  auto b = consumer_->Take(1);
  ASSERT_TRUE(a && b);
  std::move(*b).Delivered();
  auto c = consumer_->Take(1);
  ASSERT_TRUE(c);
  EXPECT_EQ(c->body(), Body(3));
  a.reset();  // not settled: it is the head again
  a = consumer_->Take(0);
  ASSERT_TRUE(a);
  EXPECT_EQ(a->body(), Body(0));
}

TEST_F(SpoolTest, ARestartSendsExactlyWhatWasNotSettled) {
  Open();
  for (uint64_t i = 0; i < 6; ++i) Append(i, i % 3);
  std::move(*consumer_->Take(1)).Delivered();                            // 1
  std::move(*consumer_->Take(2)).Delivered();                            // 2
  std::move(*consumer_->Take(2)).Dropped(DropReason::kRejected, "400");  // 5
  Open();
  EXPECT_EQ(balance_->Read().in, 30U) << "what is restored is in again";
  ExpectBalanced();
  EXPECT_THAT(Drain(*consumer_), ElementsAre(Body(0), Body(3), Body(4)));
  ExpectBalanced();
  Open();
  EXPECT_THAT(Drain(*consumer_), IsEmpty());
  Append(9);
  EXPECT_THAT(Drain(*consumer_), ElementsAre(Body(9)));
}

TEST_F(SpoolTest, SegmentsAreUsedAgainAndStaleBytesInThemAreNeverRead) {
  Open();
  for (int round = 0; round < 20; ++round) {
    for (uint64_t i = 0; i < 100; ++i) Append(round * 1000 + i, i % kLanes, 1500);
    ASSERT_EQ(Drain(*consumer_).size(), 100U);
    ASSERT_LE(dir_.Files(".seg").size(), 4U);
    Open();
    ASSERT_EQ(spool_->Read().truncated_tails, 0U);
    ASSERT_EQ(spool_->Read().damaged_records, 0U);
    ASSERT_THAT(Drain(*consumer_), IsEmpty());
  }
  EXPECT_LE(spool_->Read().bytes, 5U * (64 << 10));
}

TEST_F(SpoolTest, TheCapDropsTheOldestFirstAndCountsItems) {
  Open();
  constexpr int kRecords = 1500;
  for (uint64_t i = 0; i < kRecords; ++i) Append(i, i % kLanes, 1400);
  EXPECT_LE(spool_->Read().bytes, 1U << 20);
  const uint64_t dropped = balance_->dropped(DropReason::kQueueFull);
  EXPECT_GT(dropped, 0U);
  ExpectBalanced();
  const auto rest = Drain(*consumer_);
  ASSERT_EQ(rest.size() * 10 + dropped, kRecords * 10U);
  EXPECT_EQ(rest.front(), Body(kRecords - rest.size(), 1400)) << "the newest stay, without a gap";
  EXPECT_EQ(rest.back(), Body(kRecords - 1, 1400));
}

TEST_F(SpoolTest, ARecordThatIsOutWhenItsSegmentGoesIsCountedOnce) {
  Open();
  Append(0, 5, 1400);
  auto out = consumer_->Take(5);
  for (uint64_t i = 1; i < 1500; ++i) Append(i, i % kLanes, 1400);
  ExpectBalanced();
  const uint64_t dropped = balance_->dropped(DropReason::kQueueFull);
  std::move(*out).Delivered();
  EXPECT_EQ(Out(*balance_), 10U);
  EXPECT_EQ(balance_->dropped(DropReason::kQueueFull), dropped);
  ExpectBalanced();

  auto again = consumer_->Take(5);
  ASSERT_TRUE(again);
  for (uint64_t i = 0; i < 1500; ++i) Append(i, i % kLanes, 1400);
  const uint64_t before = balance_->dropped(DropReason::kQueueFull);
  again.reset();
  EXPECT_EQ(balance_->dropped(DropReason::kQueueFull), before + 10);
  ExpectBalanced();
}

TEST_F(SpoolTest, EachDestinationHasItsOwnCursor) {
  Open();
  auto other_balance = NewBalance();
  auto other = *spool_->OpenConsumer("mimir", other_balance);
  for (uint64_t i = 0; i < 4; ++i) {
    Append(i);
    other_balance->In(10);
  }
  EXPECT_EQ(Drain(*consumer_).size(), 4U);
  EXPECT_EQ(other->Read().records, 4U);
  other.reset();
  Open();
  EXPECT_EQ(consumer_->Read().records, 0U);
  other = *spool_->OpenConsumer("mimir", other_balance = NewBalance());
  EXPECT_EQ(Drain(*other).size(), 4U);
  EXPECT_EQ(Out(*other_balance), 40U);
}

TEST_F(SpoolTest, ANewDestinationStartsAtTheEndAndALostCursorAtTheStart) {
  Open();
  Append(1);
  auto balance = NewBalance();
  {
    auto added = *spool_->OpenConsumer("added", balance);
    EXPECT_EQ(added->Read().records, 0U);
  }
  std::move(*consumer_->Take(0)).Delivered();
  Append(2);
  consumer_.reset();
  spool_.reset();
  for (const auto& path : dir_.Files("cursor-prom")) WriteFile(path, "garbage");
  Open();
  EXPECT_THAT(Drain(*consumer_), ElementsAre(Body(1), Body(2))) << "twice rather than never";
}

TEST_F(SpoolTest, ATornCursorWriteLeavesTheOneBefore) {
  Open();
  for (uint64_t i = 0; i < 5; ++i) Append(i);
  for (int i = 0; i < 3; ++i) std::move(*consumer_->Take(0)).Delivered();
  consumer_.reset();
  spool_.reset();
  const std::string path = dir_.path() + "/cursor-prom";
  const std::string good = ReadFile(path);
  for (size_t slot = 0; slot < 2; ++slot) {
    std::string torn = good;
    for (size_t i = 0; i < 200; ++i) torn[slot * 4096 + 40 + i] = '\x5a';
    WriteFile(path, torn);
    Open();
    const auto rest = consumer_->Read().records;
    EXPECT_TRUE(rest == 2 || rest == 3) << rest;
    consumer_.reset();
    spool_.reset();
  }
}

TEST_F(SpoolTest, RetiredDestinationsHoldNoDisk) {
  Open();
  auto gone = *spool_->OpenConsumer("gone", NewBalance());
  for (uint64_t i = 0; i < 200; ++i) Append(i, 0, 1400);
  gone.reset();
  Drain(*consumer_);
  EXPECT_GT(spool_->Read().segments, 2U);
  const auto retired = spool_->RetireClosed();
  ASSERT_EQ(retired.size(), 1U);
  EXPECT_EQ(retired[0].first, "gone");
  EXPECT_EQ(retired[0].second, 2000U);
  EXPECT_LE(spool_->Read().segments, 1U);
}

TEST_F(SpoolTest, ADestinationThatWentIsNamedWithWhatWaitsAndForgottenOnlyWhenNothingDoes) {
  Open();
  auto gone = *spool_->OpenConsumer("gone", NewBalance());
  auto drained = *spool_->OpenConsumer("drained", NewBalance());
  for (uint64_t i = 0; i < 3; ++i) Append(i);
  Drain(*drained);
  gone.reset();
  drained.reset();
  spool_->RetireDrained();
  auto left = spool_->Closed();
  ASSERT_EQ(left.size(), 1U);
  EXPECT_EQ(left[0].name, "gone");
  EXPECT_EQ(left[0].items, 30U);
  EXPECT_GT(left[0].bytes, 0U);
  Open();
  ASSERT_EQ(spool_->Closed().size(), 1U) << "also after a restart";
  auto back = *spool_->OpenConsumer("gone", NewBalance());
  EXPECT_EQ(Drain(*back).size(), 3U) << "under its old name it gets all of it";
}

TEST_F(SpoolTest, SaysHowItIsInItsMetrics) {
  Telemetry telemetry;
  const auto read = [&](const std::string& name) {
    for (const auto& f : telemetry.Collect())
      if (f.name == name && !f.samples.empty()) return f.samples.at(0).value;
    return -1.0;
  };
  Open();
  Append(1);
  Append(2);
  consumer_.reset();
  spool_.reset();
  const std::string path = dir_.path() + "/0000000000000001.seg";
  std::string bytes = ReadFile(path);
  ASSERT_NE(bytes.find(Body(2)), bytes.npos);
  bytes[bytes.find(Body(2)) + 5] ^= 1;  // the end of a write that did not happen
  WriteFile(path, bytes);
  SpoolOptions o = Options();
  o.telemetry = &telemetry;
  o.name = "remote_write prom";
  auto spool = *Spool::Open(o);
  EXPECT_EQ(read("picket_spool_truncated_tails_total"), 1);
  EXPECT_GT(read("picket_spool_bytes"), 0);
  EXPECT_EQ(read("picket_spool_memory_bytes"), 0);
  spool.reset();
  EXPECT_EQ(read("picket_spool_bytes"), -1) << "gone with the queue";
}

TEST_F(SpoolTest, TwoAgentsCannotShareADirectory) {
  Open();
  auto second = Spool::Open(Options());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind(), ErrorKind::kOverloaded);
  EXPECT_FALSE(second.error().remedy().empty());
  EXPECT_FALSE(Spool::OpenOrMemory(Options())) << "memory would hide the mistake";
  consumer_.reset();
  spool_.reset();
  EXPECT_TRUE(Spool::Open(Options()));
}

TEST_F(SpoolTest, AQueueOpenedAgainInTheSameProcessGoesOnCounting) {
  Open();
  for (uint64_t i = 0; i < 4; ++i) Append(i);
  auto out = consumer_->Take(0);
  spool_->Close();
  std::move(*out).Delivered();
  EXPECT_EQ(Out(*balance_), 0U) << "it will be sent again, and counted then";
  EXPECT_FALSE(consumer_->Take(1));
  EXPECT_FALSE(spool_->Append({1, 0, 1, 1}, "late"));
  auto again = *Spool::Open(Options());
  auto consumer = *again->OpenConsumer("prom", balance_);
  EXPECT_EQ(balance_->in(), 40U);
  EXPECT_EQ(Drain(*consumer).size(), 4U);
  EXPECT_EQ(Out(*balance_), 40U);
  EXPECT_EQ(balance_->Read().queued(), 0);
}

TEST_F(SpoolTest, ABodyLargerThanASegmentGetsItsOwn) {
  Open();
  Append(1, 0, 300'000);
  Append(2, 0, 100);
  Open();
  EXPECT_THAT(Drain(*consumer_), ElementsAre(Body(1, 300'000), Body(2)));
  auto s = spool_->Append({1, 0, 1, 0}, std::string(2 << 20, 'x'));
  ASSERT_FALSE(s);
  EXPECT_EQ(s.error().kind(), ErrorKind::kInvalidArgument);
}

TEST_F(SpoolTest, WithoutADiskMemoryHasTheSameInterfaceAndTheBudgetSetsItsSize) {
  Budget budget(Bytes(700 << 10));
  SpoolOptions o = Options();
  o.budget = &budget;
  o.max_bytes = 2_MiB;
  auto spool = Spool::OpenMemory(o);
  auto balance = NewBalance();
  auto consumer = *spool->OpenConsumer("prom", balance);
  EXPECT_EQ(budget.used(), 0U);
  for (uint64_t i = 0; i < 1500; ++i) {
    balance->In(1);
    ASSERT_TRUE(spool->Append({1, static_cast<uint16_t>(i % kLanes), 1, 1}, Body(i, 1400)));
  }
  EXPECT_LE(budget.used(), 700U << 10);
  EXPECT_GT(balance->dropped(DropReason::kMemory), 0U);
  EXPECT_EQ(balance->Read().queued(), static_cast<int64_t>(consumer->Read().items));
  const auto rest = Drain(*consumer);
  EXPECT_EQ(rest.back(), Body(1499, 1400));
  EXPECT_EQ(rest.size() + balance->dropped(DropReason::kMemory), 1500U);
  EXPECT_EQ(budget.used(), 0U) << "an empty queue holds nothing";
  EXPECT_FALSE(spool->Read().durable);
}

TEST_F(SpoolTest, AQueueInMemoryKeepsToItsShareAndTakesNothingFromAnother) {
  Budget budget(2_MiB);
  SpoolOptions o = Options();
  o.budget = &budget;
  o.max_bytes = 1_GiB;  // what it might have on a disk
  o.max_memory = Bytes(512 << 10);
  auto away = Spool::OpenMemory(o), well = Spool::OpenMemory(o);
  auto lost = NewBalance(), kept = NewBalance();
  auto away_reader = *away->OpenConsumer("away", lost),
       well_reader = *well->OpenConsumer("b", kept);
  for (uint64_t i = 0; i < 3000; ++i) {
    lost->In(1);
    ASSERT_TRUE(away->Append({1, 0, 1, 1}, Body(i, 1400)));
  }
  EXPECT_LE(budget.used(), 512U << 10);
  EXPECT_EQ(budget.pressure(), Pressure::kNone)
      << "a backend that is away is nobody else's trouble";
  EXPECT_EQ(lost->dropped(DropReason::kQueueFull) + away_reader->Read().items, 3000U);
  kept->In(1);
  ASSERT_TRUE(well->Append({1, 0, 1, 1}, Body(1)));
  EXPECT_THAT(Drain(*well_reader), ElementsAre(Body(1)));
  EXPECT_EQ(Drain(*away_reader).back(), Body(2999, 1400)) << "the oldest went";
}

TEST_F(SpoolTest, OpenOrMemoryGoesOnWithoutADirectory) {
  SpoolOptions o = Options();
  WriteFile(dir_.path() + "/file", "x");
  o.directory = dir_.path() + "/file/below";
  auto spool = Spool::OpenOrMemory(o);
  ASSERT_TRUE(spool);
  EXPECT_FALSE((*spool)->Read().durable);
}

TEST_F(SpoolTest, TheWakerRingsWhenAnEmptyLaneFillsOrARecordComesBack) {
  Open();
  int rings = 0;
  consumer_->SetWaker([&] { ++rings; });
  Append(1, 4);
  EXPECT_EQ(rings, 1);
  Append(2, 4);
  EXPECT_EQ(rings, 1);
  {
    auto d = consumer_->Take(4);
  }
  EXPECT_EQ(rings, 2);
}

TEST_F(SpoolTest, ManyWritersAndReadersLoseNothing) {
  Open();
  constexpr int kWriters = 3, kEach = 2000;
  std::atomic<int> done{0};
  std::vector<std::thread> threads;
  for (int w = 0; w < kWriters; ++w)
    threads.emplace_back([&, w] {
      for (int i = 0; i < kEach; ++i)
        Append(static_cast<uint64_t>(w * kEach + i), static_cast<uint16_t>(w), 64, 1);
      ++done;
    });
  std::array<std::vector<std::string>, kWriters> got;
  for (int w = 0; w < kWriters; ++w)
    threads.emplace_back([&, w] {
      for (;;) {
        const bool last = done == kWriters;
        while (auto d = consumer_->Take(static_cast<uint16_t>(w))) {
          got[w].emplace_back(d->body());
          std::move(*d).Delivered();
        }
        if (last) break;
      }
    });
  for (auto& t : threads) t.join();
  ExpectBalanced();
  for (int w = 0; w < kWriters; ++w) {
    const auto dropped = kEach - got[w].size();
    for (size_t i = 0; i < got[w].size() && dropped == 0; ++i)
      ASSERT_EQ(got[w][i], Body(static_cast<uint64_t>(w * kEach) + i, 64));
  }
  EXPECT_EQ(Out(*balance_) + balance_->dropped(DropReason::kQueueFull), uint64_t{kWriters} * kEach);
}

}  // namespace
}  // namespace picket::spool
