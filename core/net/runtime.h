// SPDX-License-Identifier: Apache-2.0
// The few threads that own every socket, and the coroutines on them.
#pragma once
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "core/base/clock.h"
#include "core/base/result.h"

namespace picket::net {

namespace asio = boost::asio;

class Resolver;

/// `threads` event loops, one a thread. Every executor handed out belongs to one loop, so all that
/// runs on it is serialised: work for one target, file or destination stays on one executor and
/// needs no lock or strand.
///
/// Threads: all methods from any thread.
///
/// Note: gcc 12 miscompiles two things in coroutines. (1) A co_await in the condition of if, while,
/// for or switch corrupts the frame, silently: write `const bool slept = co_await Sleep(t);` and
/// then `if (!slept)`; tests/core/net/coroutine_lint_test.cc looks for it in the whole tree.
/// (2) Temporaries with braces inside a co_await expression are destroyed twice: build arguments as
/// locals first. Nothing in core/net throws out of an awaitable; cancellation is a value.
class Runtime {
 public:
  /// `threads` 0: min(2, cores).
  explicit Runtime(size_t threads = 0);
  ~Runtime();  ///< Stop()
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  size_t threads() const;
  /// The loops in turn: take one for each new target, file, destination or connection and keep it.
  asio::any_io_executor Next();
  asio::any_io_executor At(size_t index);
  /// Whether the executor is one of ours; HttpClient refuses to run elsewhere.
  bool Owns(const asio::any_io_executor& executor) const;

  void Post(const asio::any_io_executor& where, std::function<void()> work);
  /// Starts a coroutine that nobody waits for. What it throws is logged under `what`. To stop
  /// coroutines, use Tasks.
  void Spawn(const asio::any_io_executor& where, std::string what, asio::awaitable<void> body);
  /// Runs `work` on the pool for blocking calls (4 threads, started on first use) and resumes where
  /// the caller was. Is not cut short by cancellation. What `work` throws comes out here.
  asio::awaitable<void> RunBlocking(std::function<void()> work);
  /// The same with a result: `auto text = co_await runtime.Blocking(ReadIt);`
  template <class F>
  asio::awaitable<std::invoke_result_t<F>> Blocking(F work) {
    std::optional<std::invoke_result_t<F>> out;
    std::function<void()> run = [&out, &work] { out.emplace(work()); };
    co_await RunBlocking(std::move(run));
    co_return *std::move(out);
  }
  Resolver& resolver();

  /// Ends the loops without waiting for what is in flight and joins the threads. Stop servers and
  /// Tasks before.
  void Stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Coroutines that a component can stop together.
/// Threads: all methods from any thread; those that wait must not be called on a Runtime thread.
class Tasks {
 public:
  explicit Tasks(Runtime& runtime);
  ~Tasks();  ///< Stop(0)
  Tasks(const Tasks&) = delete;
  Tasks& operator=(const Tasks&) = delete;

  /// Starts `body` on `where`. When cancelled, its pending operation ends, and so does every later
  /// one at once: Fetch with kCancelled, Sleep and Bell::Wait with false. The body must then
  /// return; nothing is thrown into it.
  void Start(const asio::any_io_executor& where, std::string what, asio::awaitable<void> body);
  void Cancel();
  /// True if all ended within `time`.
  bool WaitFor(Duration time);
  /// Waits up to `drain`, then cancels what is left and waits for that.
  void Stop(Duration drain = Duration(0));
  size_t running() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

/// Whether the calling coroutine has been cancelled.
asio::awaitable<bool> IsCancelled();

/// Waits on the calling coroutine's executor. False when cancelled.
asio::awaitable<bool> Sleep(Duration time);

/// A bell: one coroutine waits, anybody rings. Rings while nobody waits are remembered as one.
/// Threads: Ring from any thread; Wait from one coroutine on `where`.
class Bell {
 public:
  explicit Bell(asio::any_io_executor where);
  ~Bell();
  void Ring();
  /// True when rung, false when `longest` passed or when cancelled.
  asio::awaitable<bool> Wait(Duration longest);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace picket::net
