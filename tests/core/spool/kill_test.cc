// SPDX-License-Identifier: Apache-2.0
// A process that appends and settles under load is killed at random moments; the next one goes on
// where it was.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <random>
#include <set>

#include "tests/core/spool/faults.h"

namespace picket::spool {
namespace {

using namespace testing;

SpoolOptions Options(const std::string& directory) {
  SpoolOptions o;
  o.directory = directory;
  o.max_bytes = Bytes(256 << 20);
  o.segment_bytes = Bytes(128 << 10);
  o.fsync = FsyncPolicy::kNever;
  return o;
}

struct Message {
  char what;  // 'a' before append, 'A' appended, 's' about to settle, 'S' settled
  uint64_t number;
};

// Appends from `number` on and settles about half of what waits, telling each step before and after
// it.
[[noreturn]] void Child(const std::string& directory, uint64_t number, int pipe, uint64_t seed) {
  const auto tell = [pipe](char what, uint64_t n) {
    const Message m{what, n};
    if (::write(pipe, &m, sizeof m) != sizeof m) ::_exit(3);
  };
  auto spool = Spool::Open(Options(directory));
  if (!spool) ::_exit(4);
  auto consumer = (*spool)->OpenConsumer("prom", NewBalance());
  if (!consumer) ::_exit(5);
  std::mt19937_64 random(seed);
  for (;; ++number) {
    tell('a', number);
    if (!(*spool)->Append({1, static_cast<uint16_t>(number % 5), 1, 1},
                          Body(number, 16 + random() % 20'000)))
      ::_exit(6);
    tell('A', number);
    if (random() % 5 < 2) continue;
    if (auto d = (*consumer)->Take(static_cast<uint16_t>(random() % 5))) {
      const uint64_t n = std::stoull(std::string(d->body().substr(0, 20)));
      tell('s', n);
      std::move(*d).Delivered();
      tell('S', n);
    }
  }
}

TEST(SpoolKill, NothingAcceptedIsLostAndNothingSettledComesAgain) {
  TempDir dir;
  std::mt19937_64 random(42);
  std::set<uint64_t> waiting;  // appended, not settled
  uint64_t next = 1, total = 0;
  for (int round = 0; round < 60; ++round) {
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    const uint64_t seed = random();
    const pid_t pid = ::fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) {
      ::close(pipe[0]);
      Child(dir.path(), next, pipe[1], seed);
    }
    ::close(pipe[1]);
    // The moment is counted in steps, so that it falls anywhere, also while the next step is half
    // done.
    const uint64_t steps = 1 + random() % 800;
    Message m{};
    uint64_t seen = 0;
    std::optional<uint64_t> appending, settling;
    while (::read(pipe[0], &m, sizeof m) == sizeof m) {
      if (++seen == steps) ::kill(pid, SIGKILL);
      switch (m.what) {
        case 'a':
          appending = m.number;
          next = m.number + 1;
          break;
        case 'A':
          appending.reset();
          waiting.insert(m.number);
          ++total;
          break;
        case 's':
          settling = m.number;
          break;
        case 'S':
          settling.reset();
          waiting.erase(m.number);
          break;
        default:
          FAIL();
      }
    }
    ::close(pipe[0]);
    int status = 0;
    ::waitpid(pid, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself with " << WEXITSTATUS(status);

    auto spool = Spool::Open(Options(dir.path()));
    ASSERT_TRUE(spool) << spool.error().ToString();
    std::set<uint64_t> found;
    {
      auto balance = NewBalance();
      auto consumer = *(*spool)->OpenConsumer("prom", balance);
      ASSERT_EQ(balance->Read().queued(), static_cast<int64_t>(consumer->Read().items));
      for (uint16_t lane = 0; lane < 5; ++lane) {
        // Only looked at: what is put back is there for the next round.
        std::optional<Delivery> head = consumer->Take(lane);
        if (!head) continue;
        const uint64_t n = std::stoull(std::string(head->body().substr(0, 20)));
        ASSERT_TRUE(waiting.contains(n) || appending == n) << "settled in an earlier life: " << n;
      }
      // A kill inside the write leaves a torn record that nobody was told is kept.
      ASSERT_LE(balance->dropped(DropReason::kCorrupt), appending ? 1U : 0U);
    }
    ASSERT_TRUE((*spool)->ForEach([&](const RecordInfo&, uint64_t, std::string_view body) {
      const uint64_t n = std::stoull(std::string(body.substr(0, 20)));
      ASSERT_EQ(body, Body(n, body.size()).substr(0, body.size()));
      found.insert(n);
    }));
    for (const uint64_t n : waiting)
      ASSERT_TRUE(found.contains(n) || settling == n) << "lost " << n << " in round " << round;
    if (settling && waiting.contains(*settling)) {
      // Whether the settlement reached the cursor is for the spool to say.
      auto consumer = *(*spool)->OpenConsumer("prom", NewBalance());
      auto head = consumer->Take(static_cast<uint16_t>(*settling % 5));
      if (!head || std::stoull(std::string(head->body().substr(0, 20))) != *settling)
        waiting.erase(*settling);
    }
    if (appending && found.contains(*appending))
      waiting.insert(*appending);  // complete, though nobody was told
    auto consumer = *(*spool)->OpenConsumer("prom", NewBalance());
    ASSERT_EQ(consumer->Read().records, waiting.size()) << "in round " << round;
  }
  EXPECT_GT(total, 1000U);
  // At last everything that waits comes, in order, once.
  auto spool = *Spool::Open(Options(dir.path()));
  auto consumer = *spool->OpenConsumer("prom", NewBalance());
  std::set<uint64_t> delivered;
  uint64_t last = 0;
  for (uint16_t lane = 0; lane < 5; ++lane, last = 0)
    while (auto d = consumer->Take(lane)) {
      const uint64_t n = std::stoull(std::string(d->body().substr(0, 20)));
      ASSERT_GT(n, last);
      last = n;
      delivered.insert(n);
      std::move(*d).Delivered();
    }
  EXPECT_EQ(delivered, waiting);
}

}  // namespace
}  // namespace picket::spool
