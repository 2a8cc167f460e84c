// SPDX-License-Identifier: Apache-2.0
#include "core/net/runtime.h"

#include <pthread.h>

#include <algorithm>
#include <boost/asio.hpp>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "core/base/log.h"
#include "core/net/internal/resolver.h"

namespace picket::net {
namespace {

constexpr size_t kBlockingThreads = 4;
constexpr auto kLongest = std::chrono::hours(24 * 365);

// What a coroutine threw. Being cancelled is not a fault.
void LogFault(const std::string& what, const std::exception_ptr& fault) {
  if (!fault) return;
  try {
    std::rethrow_exception(fault);
  } catch (const boost::system::system_error& e) {
    if (e.code() != asio::error::operation_aborted)
      log::Error("A task ended with an error", {{"task", what}, {"error", e.what()}});
  } catch (const std::exception& e) {
    log::Error("A task ended with an error", {{"task", what}, {"error", e.what()}});
  } catch (...) {
    log::Error("A task ended with an error", {{"task", what}, {"error", "unknown"}});
  }
}

// Cancellation is a value here, never an exception (see the note in runtime.h).
asio::awaitable<void> Guarded(asio::awaitable<void> body) {
  co_await asio::this_coro::throw_if_cancelled(false);
  co_await std::move(body);
}

// Runs on the pool and completes where the waiting coroutine lives. Deliberately without a
// cancellation slot: cancelling would reach over to the pool's thread, and the work borrows from
// the waiting frame.
struct OnPool {
  asio::thread_pool& pool;
  template <class Handler>
  void operator()(Handler handler, std::function<void()> work) const {
    auto executor = asio::get_associated_executor(handler);
    auto alive = asio::make_work_guard(executor);
    asio::post(pool, [handler = std::move(handler), work = std::move(work), executor,
                      alive = std::move(alive)]() mutable {
      std::exception_ptr fault;
      try {
        work();
      } catch (...) {
        fault = std::current_exception();
      }
      asio::post(executor,
                 [handler = std::move(handler), fault]() mutable { std::move(handler)(fault); });
    });
  }
};

}  // namespace

struct Runtime::Impl {
  struct Loop {
    asio::io_context context{1};
    asio::executor_work_guard<asio::io_context::executor_type> guard{context.get_executor()};
    std::thread thread;
  };
  // Before the loops, so that it is destroyed after the coroutines that wait in it.
  std::unique_ptr<Resolver> resolver = std::make_unique<Resolver>();
  std::mutex mutex;  // guards pool, stopped
  std::unique_ptr<asio::thread_pool> pool;
  bool stopped = false;
  std::vector<std::unique_ptr<Loop>> loops;
  std::atomic<size_t> next{0};

  asio::thread_pool& Pool() {
    std::lock_guard lock(mutex);
    if (!pool) pool = std::make_unique<asio::thread_pool>(kBlockingThreads);
    return *pool;
  }
};

Runtime::Runtime(size_t threads) : impl_(std::make_unique<Impl>()) {
  if (threads == 0) threads = std::clamp<size_t>(std::thread::hardware_concurrency(), 1, 2);
  for (size_t i = 0; i < threads; ++i) impl_->loops.push_back(std::make_unique<Impl::Loop>());
  for (size_t i = 0; i < threads; ++i) {
    Impl::Loop& loop = *impl_->loops[i];
    loop.thread = std::thread([&loop] {
      for (;;) {
        try {
          loop.context.run();
          return;
        } catch (...) {  // a posted function threw; the loop goes on
          LogFault("posted work", std::current_exception());
        }
      }
    });
    pthread_setname_np(loop.thread.native_handle(), ("net-" + std::to_string(i)).c_str());
  }
}

Runtime::~Runtime() { Stop(); }

size_t Runtime::threads() const { return impl_->loops.size(); }

asio::any_io_executor Runtime::Next() {
  return At(impl_->next.fetch_add(1, std::memory_order_relaxed));
}

asio::any_io_executor Runtime::At(size_t index) {
  return impl_->loops[index % impl_->loops.size()]->context.get_executor();
}

bool Runtime::Owns(const asio::any_io_executor& executor) const {
  const auto& context = asio::query(executor, asio::execution::context);
  return std::any_of(impl_->loops.begin(), impl_->loops.end(),
                     [&](const auto& loop) { return &loop->context == &context; });
}

void Runtime::Post(const asio::any_io_executor& where, std::function<void()> work) {
  asio::post(where, std::move(work));
}

void Runtime::Spawn(const asio::any_io_executor& where, std::string what,
                    asio::awaitable<void> body) {
  asio::co_spawn(where, std::move(body), [what = std::move(what)](const std::exception_ptr& fault) {
    LogFault(what, fault);
  });
}

asio::awaitable<void> Runtime::RunBlocking(std::function<void()> work) {
  OnPool start{impl_->Pool()};
  co_await asio::async_initiate<const asio::use_awaitable_t<>, void(std::exception_ptr)>(
      start, asio::use_awaitable, std::move(work));
}

Resolver& Runtime::resolver() { return *impl_->resolver; }

void Runtime::Stop() {
  {
    std::lock_guard lock(impl_->mutex);
    if (impl_->stopped) return;
    impl_->stopped = true;
  }
  for (auto& loop : impl_->loops) {
    loop->guard.reset();
    loop->context.stop();
  }
  for (auto& loop : impl_->loops) loop->thread.join();
  impl_->resolver->Stop();
  if (impl_->pool) impl_->pool->join();
}

struct Tasks::Impl {
  struct Task {
    std::string what;
    asio::any_io_executor where;
    asio::cancellation_signal signal;
  };
  mutable std::mutex mutex;  // guards tasks, next
  std::condition_variable changed;
  std::unordered_map<uint64_t, std::shared_ptr<Task>> tasks;
  uint64_t next = 0;

  void Complain() const {
    std::lock_guard lock(mutex);
    for (const auto& [id, task] : tasks)
      log::Warn("A task does not end although it is cancelled", {{"task", task->what}});
  }

  void Cancel() {
    std::lock_guard lock(mutex);
    for (auto& [id, task] : tasks) {
      asio::post(task->where, [t = task] { t->signal.emit(asio::cancellation_type::terminal); });
    }
  }
};

namespace {
// Signs a task off when its completion handler goes away, called or not (a stopped loop drops it).
struct SignOff {
  std::function<void()> run;
  ~SignOff() { run(); }
};
}  // namespace

Tasks::Tasks(Runtime&) : impl_(std::make_shared<Impl>()) {}
Tasks::~Tasks() { Stop(); }

void Tasks::Start(const asio::any_io_executor& where, std::string what,
                  asio::awaitable<void> body) {
  auto task = std::make_shared<Impl::Task>();
  task->what = what;
  task->where = where;
  uint64_t id = 0;
  {
    std::lock_guard lock(impl_->mutex);
    id = impl_->next++;
    impl_->tasks.emplace(id, task);
  }
  auto sign_off = std::make_shared<SignOff>();
  sign_off->run = [impl = impl_, id] {
    std::shared_ptr<Impl::Task> last;  // destroyed outside the lock
    std::lock_guard lock(impl->mutex);
    if (auto it = impl->tasks.find(id); it != impl->tasks.end()) {
      last = std::move(it->second);
      impl->tasks.erase(it);
    }
    impl->changed.notify_all();
  };
  asio::co_spawn(
      where, Guarded(std::move(body)),
      asio::bind_cancellation_slot(
          task->signal.slot(), [what = std::move(what), task, sign_off](
                                   const std::exception_ptr& fault) { LogFault(what, fault); }));
}

void Tasks::Cancel() { impl_->Cancel(); }

bool Tasks::WaitFor(Duration time) {
  std::unique_lock lock(impl_->mutex);
  return impl_->changed.wait_for(lock, time, [this] { return impl_->tasks.empty(); });
}

void Tasks::Stop(Duration drain) {
  if (drain > Duration(0) && WaitFor(drain)) return;
  // A task may start another while it is being cancelled, so ask again until all are gone.
  for (int rounds = 1;; ++rounds) {
    impl_->Cancel();
    if (WaitFor(std::chrono::milliseconds(50))) return;
    if (rounds % 100 == 0) impl_->Complain();
  }
}

size_t Tasks::running() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->tasks.size();
}

asio::awaitable<bool> IsCancelled() {
  const auto state = co_await asio::this_coro::cancellation_state;
  co_return state.cancelled() != asio::cancellation_type::none;
}

asio::awaitable<bool> Sleep(Duration time) {
  const bool cancelled = co_await IsCancelled();
  if (cancelled) co_return false;
  asio::steady_timer timer(co_await asio::this_coro::executor);
  timer.expires_after(std::min<Duration>(time, kLongest));
  auto [ec] = co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
  co_return !ec;
}

struct Bell::Impl {
  explicit Impl(asio::any_io_executor w) : where(std::move(w)), timer(where) {}
  asio::any_io_executor where;
  asio::steady_timer timer;
  bool rung = false;  // on `where` only
  std::atomic<bool> posted{false};
};

Bell::Bell(asio::any_io_executor where) : impl_(std::make_shared<Impl>(std::move(where))) {}
Bell::~Bell() = default;

void Bell::Ring() {
  if (impl_->posted.exchange(true)) return;
  asio::post(impl_->where, [impl = impl_] {
    impl->posted = false;
    impl->rung = true;
    impl->timer.cancel();
  });
}

asio::awaitable<bool> Bell::Wait(Duration longest) {
  auto impl = impl_;
  const bool cancelled = co_await IsCancelled();
  if (cancelled) co_return false;
  if (!impl->rung && longest > Duration(0)) {
    impl->timer.expires_after(std::min<Duration>(longest, kLongest));
    co_await impl->timer.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  co_return std::exchange(impl->rung, false);
}

}  // namespace picket::net
