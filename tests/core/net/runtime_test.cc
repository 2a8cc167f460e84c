// SPDX-License-Identifier: Apache-2.0
#include <future>

#include "tests/core/net/harness.h"

namespace picket::net {
namespace {

template <class T>
asio::awaitable<T> Now(T value) {
  co_return value;
}

asio::awaitable<void> Rounds(Bell& bell, std::atomic<int>& rounds, std::promise<void>& seen) {
  for (;;) {
    const bool rung = co_await bell.Wait(std::chrono::hours(1));
    if (!rung) co_return;
    if (++rounds == 2) seen.set_value();
  }
}

TEST(RuntimeTest, LoopsAreOursAndSerial) {
  Runtime runtime(2);
  EXPECT_EQ(runtime.threads(), 2u);
  const auto executor = runtime.Next();
  EXPECT_TRUE(runtime.Owns(executor));
  asio::io_context other;
  EXPECT_FALSE(runtime.Owns(other.get_executor()));
  int unguarded = 0;  // only ever touched on one executor
  std::promise<int> done;
  for (int i = 0; i < 10'000; ++i) runtime.Post(executor, [&] { ++unguarded; });
  runtime.Post(executor, [&] { done.set_value(unguarded); });
  EXPECT_EQ(done.get_future().get(), 10'000);
}

asio::awaitable<void> CompareThreads(Runtime& runtime, std::promise<bool>& moved_and_back) {
  const auto here = std::this_thread::get_id();
  std::function<std::thread::id()> where = [] { return std::this_thread::get_id(); };
  const auto there = co_await runtime.Blocking(std::move(where));
  moved_and_back.set_value(there != here && std::this_thread::get_id() == here);
}

TEST(RuntimeTest, BlockingWorkLeavesTheLoopAndComesBack) {
  Runtime runtime(1);
  std::promise<bool> result;
  runtime.Spawn(runtime.Next(), "blocking", CompareThreads(runtime, result));
  EXPECT_TRUE(result.get_future().get());
}

TEST(TasksTest, CancelEndsWhatWaits) {
  Runtime runtime(2);
  Tasks tasks(runtime);
  const auto executor = runtime.Next();
  Bell bell(executor);
  std::atomic<int> rounds{0};
  std::promise<void> seen;
  tasks.Start(executor, "rounds", Rounds(bell, rounds, seen));
  bell.Ring();
  while (rounds.load() == 0) std::this_thread::yield();
  bell.Ring();
  seen.get_future().wait();
  EXPECT_EQ(tasks.running(), 1u);
  tasks.Stop();
  EXPECT_EQ(tasks.running(), 0u);
  EXPECT_EQ(rounds.load(), 2);
}

asio::awaitable<void> SleepsOn(std::atomic<int>& ended) {
  // The second sleep begins when the task is already cancelled.
  co_await Sleep(std::chrono::hours(1));
  const bool slept = co_await Sleep(std::chrono::hours(1));
  if (!slept) ++ended;
}

TEST(TasksTest, EveryLoopEndsOrderly) {
  Runtime runtime(2);
  std::atomic<int> ended{0};
  Tasks tasks(runtime);
  for (int i = 0; i < 100; ++i) tasks.Start(runtime.Next(), "sleeps", SleepsOn(ended));
  tasks.Stop();
  EXPECT_EQ(ended.load(), 100);
}

asio::awaitable<void> Throws() {
  throw std::runtime_error("deliberate");
  co_return;
}

TEST(TasksTest, ExceptionsEndTheTaskNotTheProcess) {
  Runtime runtime(1);
  Tasks tasks(runtime);
  tasks.Start(runtime.Next(), "throws", Throws());
  EXPECT_TRUE(tasks.WaitFor(10s));
  std::promise<int> alive;
  runtime.Post(runtime.Next(), [] { throw std::runtime_error("deliberate"); });
  runtime.Post(runtime.Next(), [&] { alive.set_value(1); });
  EXPECT_EQ(alive.get_future().get(), 1);
}

asio::awaitable<void> SleepsForEver(std::atomic<bool>& ended) {
  ended = !co_await Sleep(std::chrono::hours(1));
}

TEST(TasksTest, OutliveAStoppedRuntime) {
  auto runtime = std::make_unique<Runtime>(1);
  Tasks tasks(*runtime);
  std::atomic<bool> ended{false};
  tasks.Start(runtime->Next(), "sleeps", SleepsForEver(ended));
  runtime.reset();  // drops the coroutine
  EXPECT_TRUE(tasks.WaitFor(10s));
  EXPECT_FALSE(ended);
}

asio::awaitable<void> BlocksAndThenSleeps(Runtime& runtime, std::promise<void>& begun,
                                          std::shared_future<void> release,
                                          std::atomic<int>& seen) {
  std::function<int()> work = [&] {
    begun.set_value();
    release.wait();
    return 7;
  };
  const int value = co_await runtime.Blocking(std::move(work));
  seen = value;
  co_await Sleep(std::chrono::hours(1));
}

TEST(TasksTest, BlockingWorkIsFinishedWhenCancelledInTheMiddle) {
  Runtime runtime(1);
  std::promise<void> begun, release;
  std::atomic<int> seen{0};
  Tasks tasks(runtime);
  tasks.Start(runtime.Next(), "blocks",
              BlocksAndThenSleeps(runtime, begun, release.get_future().share(), seen));
  begun.get_future().wait();
  for (int i = 0; i < 10; ++i) tasks.Cancel();
  release.set_value();
  tasks.Stop();
  EXPECT_EQ(seen, 7);
}

TEST(BellTest, RingsBeforeTheWaitAreNotLost) {
  Runtime runtime(1);
  const auto executor = runtime.Next();
  Bell bell(executor);
  bell.Ring();
  bell.Ring();
  auto first = asio::co_spawn(executor, bell.Wait(std::chrono::hours(1)), asio::use_future);
  EXPECT_TRUE(first.get());
  auto second = asio::co_spawn(executor, bell.Wait(1ms), asio::use_future);
  EXPECT_FALSE(second.get());
}

}  // namespace
}  // namespace picket::net
