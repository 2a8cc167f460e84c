// SPDX-License-Identifier: Apache-2.0
#include "collectors/discovery/dns/lookup.h"

#include <ares.h>
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <mutex>

namespace picket::collectors::discovery {
namespace {

constexpr int kClassInternet = 1;
constexpr int kAddressesAtMost = 4096;  // of 64 KiB

struct FreeData {
  void operator()(void* data) const { ares_free_data(data); }
};
struct FreeHost {
  void operator()(hostent* host) const { ares_free_hostent(host); }
};

/// One conversation with the servers. Threads: one.
class Channel {
 public:
  Channel() = default;
  ~Channel() {
    if (channel_ != nullptr) ares_destroy(channel_);
  }
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  Status Open(const DnsServers& servers) {
    static std::once_flag once;
    std::call_once(once, [] { ares_library_init(ARES_LIB_INIT_ALL); });
    ares_options options{};
    options.flags = ARES_FLAG_EDNS;
    options.timeout = 2000;
    options.tries = 2;
    int status = ares_init_options(&channel_, &options,
                                   ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES);
    if (status == ARES_SUCCESS && !servers.csv.empty())
      status = ares_set_servers_ports_csv(channel_, servers.csv.c_str());
    if (status != ARES_SUCCESS)
      return Fail(ErrorKind::kIo, fmt::format("resolv.conf: {}", ares_strerror(status)));
    if (!servers.csv.empty()) {
      domains_ = servers.domains;
      return {};
    }
    ares_options read{};
    int mask = 0;
    if (ares_save_options(channel_, &read, &mask) == ARES_SUCCESS) {
      for (int i = 0; i < read.ndomains; ++i) domains_.emplace_back(read.domains[i]);
      ndots_ = static_cast<size_t>(std::max(read.ndots, 0));
      ares_destroy_options(&read);
    }
    return {};
  }

  /// The status of c-ares, and the answer as it came.
  int Ask(const std::string& name, DnsType type, const std::atomic<bool>& stop, std::string& out) {
    struct State {
      bool done = false;
      int status = ARES_ECANCELLED;
      std::string answer;
    } state;
    const auto answered = [](void* arg, int status, int, unsigned char* bytes, int size) {
      auto* s = static_cast<State*>(arg);
      s->done = true;
      s->status = status;
      if (bytes != nullptr) s->answer.assign(reinterpret_cast<char*>(bytes), size_t(size));
    };
    ares_query(channel_, name.c_str(), kClassInternet, static_cast<int>(type), answered, &state);
    while (!state.done) {
      if (stop) ares_cancel(channel_);
      if (!state.done) Turn();
    }
    out = std::move(state.answer);
    return state.status;
  }

  size_t ndots() const { return ndots_; }
  const std::vector<std::string>& domains() const { return domains_; }

 private:
  /// Waits for sockets, a timeout of c-ares, or a quarter of a second.
  void Turn() {
    std::array<ares_socket_t, ARES_GETSOCK_MAXNUM> sockets{};
    const int bits = ares_getsock(channel_, sockets.data(), int(sockets.size()));
    std::array<pollfd, ARES_GETSOCK_MAXNUM> waits{};
    nfds_t n = 0;
    for (unsigned i = 0; i < sockets.size(); ++i) {
      const bool read = ARES_GETSOCK_READABLE(bits, i), write = ARES_GETSOCK_WRITABLE(bits, i);
      if (read || write)
        waits[n++] = {sockets[i], static_cast<short>((read ? POLLIN : 0) | (write ? POLLOUT : 0)),
                      0};
    }
    timeval most{0, 250'000}, use{};
    const timeval* wait = ares_timeout(channel_, &most, &use);
    const int ms = static_cast<int>(wait->tv_sec * 1000 + (wait->tv_usec + 999) / 1000);
    ::poll(waits.data(), n, ms);
    for (nfds_t i = 0; i < n; ++i) {
      const bool in = (waits[i].revents & (POLLIN | POLLERR | POLLHUP)) != 0;
      const bool out = (waits[i].revents & POLLOUT) != 0;
      if (in || out)
        ares_process_fd(channel_, in ? waits[i].fd : ARES_SOCKET_BAD,
                        out ? waits[i].fd : ARES_SOCKET_BAD);
    }
    ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);  // what timed out
  }

  ares_channel channel_ = nullptr;
  size_t ndots_ = 1;
  std::vector<std::string> domains_;
};

template <class Reply>
using Parser = int (*)(const unsigned char*, int, Reply**);

/// The records of SRV and MX answers, which c-ares gives as a list.
template <class Reply, class Take>
int Walk(Parser<Reply> parse, const unsigned char* bytes, int size, Take take) {
  Reply* list = nullptr;
  const int status = parse(bytes, size, &list);
  const std::unique_ptr<Reply, FreeData> keep(list);
  for (const Reply* r = list; r != nullptr; r = r->next) take(*r);
  return status;
}

std::string Address(int family, const void* bytes) {
  char text[INET6_ADDRSTRLEN] = {};
  ::inet_ntop(family, bytes, text, sizeof text);
  return text;
}

template <class Entry, class Parse>
int Addresses(Parse parse, int family, const unsigned char* bytes, int size,
              std::vector<DnsRecord>& out) {
  std::vector<Entry> entries(kAddressesAtMost);
  int n = kAddressesAtMost;
  const int status = parse(bytes, size, nullptr, entries.data(), &n);
  for (int i = 0; status == ARES_SUCCESS && i < n; ++i)
    out.push_back({Address(family, &entries[size_t(i)]), 0});  // the address comes first in it
  return status;
}

int NameServers(const unsigned char* bytes, int size, std::vector<DnsRecord>& out) {
  hostent* host = nullptr;
  const int status = ares_parse_ns_reply(bytes, size, &host);
  const std::unique_ptr<hostent, FreeHost> keep(host);
  for (char** alias = host != nullptr ? host->h_aliases : nullptr;
       alias != nullptr && *alias != nullptr; ++alias)
    out.push_back({*alias, 0});
  return status;
}

int Parse(const std::string& answer, DnsType type, std::vector<DnsRecord>& out) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(answer.data());
  const int size = static_cast<int>(answer.size());
  switch (type) {
    case DnsType::kA:
      return Addresses<ares_addrttl>(ares_parse_a_reply, AF_INET, bytes, size, out);
    case DnsType::kAaaa:
      return Addresses<ares_addr6ttl>(ares_parse_aaaa_reply, AF_INET6, bytes, size, out);
    case DnsType::kSrv:
      return Walk<ares_srv_reply>(ares_parse_srv_reply, bytes, size, [&](const ares_srv_reply& r) {
        out.push_back({r.host, r.port});
      });
    case DnsType::kMx:
      return Walk<ares_mx_reply>(ares_parse_mx_reply, bytes, size,
                                 [&](const ares_mx_reply& r) { out.push_back({r.host, 0}); });
    case DnsType::kNs:
      return NameServers(bytes, size, out);
  }
  return ARES_EBADRESP;
}

}  // namespace

std::vector<std::string> SearchNames(const std::string& name, size_t ndots,
                                     const std::vector<std::string>& domains) {
  if (name.ends_with('.')) return {name};
  const bool enough = static_cast<size_t>(std::ranges::count(name, '.')) >= ndots;
  std::vector<std::string> out;
  if (enough) out.push_back(name + ".");
  for (const std::string& domain : domains)
    out.push_back(name + "." + domain + (domain.ends_with('.') ? "" : "."));
  if (!enough) out.push_back(name + ".");
  return out;
}

Result<std::vector<DnsRecord>> LookUp(const std::string& name, DnsType type,
                                      const DnsServers& servers, const std::atomic<bool>& stop) {
  Channel channel;
  PICKET_TRY(channel.Open(servers));
  std::string trouble;
  for (const std::string& full : SearchNames(name, channel.ndots(), channel.domains())) {
    std::string answer;
    int status = channel.Ask(full, type, stop, answer);
    if (stop) return Fail(ErrorKind::kCancelled, "cancelled");
    std::vector<DnsRecord> records;
    if (status == ARES_SUCCESS) {
      status = Parse(answer, type, records);
      // An answer that has only records of other types, say of an alias.
      if (status == ARES_ENODATA) return records;
    }
    if (status == ARES_SUCCESS || status == ARES_ENODATA) return records;
    if (status != ARES_ENOTFOUND && trouble.empty())
      trouble = fmt::format("could not resolve {}: {}", full, ares_strerror(status));
  }
  if (!trouble.empty()) return Fail(ErrorKind::kIo, std::move(trouble));
  return std::vector<DnsRecord>();
}

}  // namespace picket::collectors::discovery
