// SPDX-License-Identifier: Apache-2.0
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "agent/cli/cli.h"
#include "agent/config/config.h"
#include "agent/version.h"
#include "agent/wiring/agent.h"
#include "core/base/log.h"

namespace picket::agent {
namespace {

/// One datagram to the service manager. Source: sd_notify(3); no library is needed for it.
void NotifySystemd(const std::string& state) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  if (path == nullptr || (path[0] != '/' && path[0] != '@')) return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const size_t n = std::strlen(path);
  if (n >= sizeof address.sun_path) return;
  std::memcpy(address.sun_path, path, n);
  if (address.sun_path[0] == '@') address.sun_path[0] = 0;
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  ::sendto(fd, state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<sockaddr*>(&address),
           static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + n));
  ::close(fd);
}

/// The signals that the main thread waits for; blocked in every thread.
sigset_t BlockSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int s : {SIGHUP, SIGTERM, SIGINT}) sigaddset(&set, s);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);  // a limit on file sizes is a write error like a full disk
  return set;
}

/// Each target, file and pusher is a descriptor, and the usual soft limit of 1024 is for programs
/// that use select().
void RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

void ConfigureLog(const LogConfig& config) { log::Configure(config.level, config.format); }

/// Drains within the configured time; a second signal ends at once.
void Drain(std::unique_ptr<wiring::Agent> agent, const sigset_t& signals) {
  const Milliseconds within = agent->shutdown_timeout();
  NotifySystemd("STOPPING=1");
  log::Info("Stopping: inputs end, queues drain", {{"within", FormatDuration(within)}});
  std::thread second([signals] {
    int which = 0;
    do sigwait(&signals, &which);
    while (which == SIGHUP);
    log::Warn(
        "A second signal: ending at once; what is in durable queues is sent after the next start");
    ::_exit(kExitRuntime);
  });
  second.detach();
  agent->Stop(within);
  agent.reset();
}

void Tell(const wiring::Agent& agent) {
  std::fprintf(stderr, "Picket %s: http://%s/\n", kVersion, agent.address().c_str());
  for (const std::string& line : agent.Findings()) std::fprintf(stderr, "  %s\n", line.c_str());
}

}  // namespace

int RunAgent(const char* config_path, bool lenient) {
  const sigset_t signals = BlockSignals();
  RaiseDescriptorLimit();
  // A few arenas for a few threads: with one for each thread freed memory would stay with whoever
  // freed it.
  mallopt(M_ARENA_MAX, 2);
  // Bodies of a few hundred kilobytes come and go: to map and clear their pages each time costs
  // more than to handle them. Tables that stay are mapped, so that what they outgrow is given back.
  mallopt(M_MMAP_THRESHOLD, 1 << 20);
  mallopt(M_TRIM_THRESHOLD, 2 << 20);
  Loaded loaded = LoadConfig(config_path, {lenient, {}});
  if (!loaded.diagnostics.all().empty())
    std::fprintf(stderr, "%s\n", loaded.diagnostics.Render().c_str());
  if (!loaded.ok()) return kExitUsage;
  ConfigureLog(loaded.config.node.log);
  auto agent = wiring::Agent::Make(std::move(loaded), {config_path, lenient});
  if (!agent) {
    const Error& e = agent.error();
    // Findings with their excerpts have lines of their own.
    if (e.message().find('\n') != std::string::npos)
      std::fprintf(stderr, "%s\n", e.message().c_str());
    else if (e.remedy().empty())
      log::Error("Picket cannot start", {{"error", e.ToString()}});
    else
      log::Error("Picket cannot start", {{"error", e.ToString()}, {"remedy", e.remedy()}});
    return agent.error().kind() == ErrorKind::kInvalidArgument ? kExitUsage : kExitRuntime;
  }
  Tell(**agent);
  log::Info("Picket is ready", {{"version", kVersion}, {"address", (*agent)->address()}});
  NotifySystemd("READY=1");
  for (;;) {
    int which = 0;
    if (sigwait(&signals, &which) != 0) continue;
    if (which != SIGHUP) break;
    NotifySystemd("RELOADING=1");
    (*agent)->Reload();
    NotifySystemd("READY=1");
  }
  Drain(std::move(*agent), signals);
  log::Info("Picket has stopped");
  return kExitOk;
}

}  // namespace picket::agent
