// SPDX-License-Identifier: Apache-2.0
#include "exporters/signals/exec.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>

#include "core/base/strings.h"

// glibc 2.36 declares pidfd_open without C linkage.
extern "C" {
#include <sys/pidfd.h>
}

extern char** environ;

namespace picket::exporters::signals {
namespace {

using SteadyClock = std::chrono::steady_clock;
constexpr size_t kTail = 4096;
constexpr auto kGrace = std::chrono::seconds(1);

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& o) noexcept : fd_(std::exchange(o.fd_, -1)) {}
  Fd& operator=(Fd&& o) noexcept {
    Close();
    fd_ = std::exchange(o.fd_, -1);
    return *this;
  }
  ~Fd() { Close(); }
  void Close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  int get() const { return fd_; }

 private:
  int fd_ = -1;
};

struct Child {
  pid_t pid = -1;
  Fd pidfd, input, output;
};

// Ours, then the inherited ones of other names: of two with one name, some shells take the last.
std::vector<char*> Environment(std::vector<std::string>& storage, const Command& command) {
  for (const auto& [name, value] : command.env) storage.push_back(name + "=" + value);
  std::vector<char*> out;
  out.reserve(storage.size());
  for (std::string& s : storage) out.push_back(s.data());
  for (char** e = environ; *e != nullptr; ++e) {
    const std::string_view name = std::string_view(*e).substr(0, std::string_view(*e).find('='));
    const bool ours = std::any_of(command.env.begin(), command.env.end(),
                                  [&](const auto& pair) { return pair.first == name; });
    if (!ours) out.push_back(*e);
  }
  out.push_back(nullptr);
  return out;
}

// A new group to kill as a whole; no signal blocked or ignored as it may be here.
void Prepare(posix_spawnattr_t& attributes) {
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  posix_spawnattr_setpgroup(&attributes, 0);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
}

Result<Child> Start(const Command& command) {
  // Sockets instead of pipes: writing to a child that does not read must not raise SIGPIPE.
  int in[2], out[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) != 0)
    return Fail(ErrnoError("socketpair", errno));
  Child child;
  child.input = Fd(in[0]);
  const Fd child_in(in[1]);
  if (::pipe2(out, O_CLOEXEC) != 0) return Fail(ErrnoError("pipe", errno));
  child.output = Fd(out[0]);
  const Fd child_out(out[1]);
  std::vector<char*> argv;
  argv.reserve(command.argv.size() + 1);
  for (const std::string& a : command.argv) argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);
  std::vector<std::string> storage;
  storage.reserve(command.env.size());
  std::vector<char*> env = Environment(storage, command);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, child_in.get(), 0);
  posix_spawn_file_actions_adddup2(&actions, child_out.get(), 1);
  posix_spawn_file_actions_adddup2(&actions, child_out.get(), 2);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  Prepare(attributes);
  const int rc =
      ::posix_spawnp(&child.pid, argv[0], &actions, &attributes, argv.data(), env.data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (rc != 0) return Fail(ErrnoError("run " + command.argv[0], rc));
  child.pidfd = Fd(::pidfd_open(child.pid, 0));
  return child;
}

void Feed(Child& child, std::string_view& input) {
  const ssize_t n =
      ::send(child.input.get(), input.data(), input.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (n > 0) input.remove_prefix(static_cast<size_t>(n));
  const bool gone = n < 0 && errno != EAGAIN && errno != EINTR;
  if (input.empty() || gone) child.input.Close();  // the child sees the end of its input
}

// False at the end.
bool Drain(Child& child, std::string& tail) {
  std::array<char, 4096> chunk;
  const ssize_t n = ::read(child.output.get(), chunk.data(), chunk.size());
  if (n <= 0) return n < 0 && errno == EINTR;
  tail.append(chunk.data(), static_cast<size_t>(n));
  if (tail.size() > kTail) tail.erase(0, tail.size() - kTail);
  return true;
}

void Reap(Child& child, CommandResult& result) {
  int status = 0;
  while (::waitpid(child.pid, &status, 0) < 0 && errno == EINTR) {
  }
  // What ended in time may have left something running on purpose; what did not may not.
  if (result.end != CommandResult::End::kExited) ::kill(-child.pid, SIGKILL);
  if (result.end != CommandResult::End::kExited) return;
  if (WIFSIGNALED(status)) result.end = CommandResult::End::kSignalled;
  result.code = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

StopFlag::StopFlag() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
StopFlag::~StopFlag() { ::close(fd_); }
void StopFlag::Raise() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = ::write(fd_, &one, sizeof one);
}

std::string CommandResult::ToString() const {
  std::string out;
  switch (end) {
    case End::kExited:
      out = fmt::format("exit code {}", code);
      break;
    case End::kSignalled:
      out = fmt::format("killed by signal {}", code);
      break;
    case End::kTimedOut:
      out = "timed out and was killed";
      break;
    case End::kStopped:
      out = "stopped";
      break;
  }
  std::string_view text = Trim(output);
  if (const size_t line = text.rfind('\n'); line != std::string_view::npos)
    text = text.substr(line + 1);
  if (!text.empty()) out += fmt::format(": {}", text.substr(0, 200));
  return out;
}

Result<CommandResult> RunCommand(const Command& command, const StopFlag& stop) {
  if (command.argv.empty()) return Fail(ErrorKind::kInvalidArgument, "the command is empty");
  PICKET_ASSIGN(Child child, Start(command));
  CommandResult result;
  std::string_view input = command.input;
  if (input.empty()) child.input.Close();
  auto deadline = SteadyClock::now() + command.timeout;
  bool terminated = false;
  for (bool running = true; running;) {
    std::array<pollfd, 4> fds{{{child.pidfd.get(), POLLIN, 0},
                               {child.input.get(), POLLOUT, 0},
                               {child.output.get(), POLLIN, 0},
                               {terminated ? -1 : stop.fd(), POLLIN, 0}}};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - SteadyClock::now());
    const int ready =
        ::poll(fds.data(), fds.size(), static_cast<int>(std::max<int64_t>(left.count(), 0)));
    if (ready < 0 && errno != EINTR) break;
    if (ready > 0 && fds[1].revents != 0) Feed(child, input);
    if (ready > 0 && fds[2].revents != 0 && !Drain(child, result.output)) child.output.Close();
    if (ready > 0 && fds[0].revents != 0) break;
    const bool stopped = ready > 0 && fds[3].revents != 0;
    if (!stopped && SteadyClock::now() < deadline) continue;
    if (!terminated)
      result.end = stopped ? CommandResult::End::kStopped : CommandResult::End::kTimedOut;
    ::kill(-child.pid, terminated ? SIGKILL : SIGTERM);
    terminated = true;
    deadline = SteadyClock::now() + kGrace;
  }
  // What it wrote last is still in the pipe; what its children may yet write is not waited for.
  for (pollfd rest{child.output.get(), POLLIN, 0};
       child.output.get() >= 0 && ::poll(&rest, 1, 0) > 0;)
    if (!Drain(child, result.output)) break;
  Reap(child, result);
  return result;
}

}  // namespace picket::exporters::signals
