// SPDX-License-Identifier: Apache-2.0
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>

#include "collectors/host/attributes.h"
#include "collectors/host/collectors.h"
#include "collectors/host/file.h"
#include "collectors/host/filter.h"

namespace picket::collectors::host {
namespace {

const Family kEntries = Gauge("node_arp_entries", "ARP entries by device", {"device"});

/// The neighbours of every protocol, asked of the kernel over a socket that stays open.
class NeighbourTable {
 public:
  ~NeighbourTable() { Close(); }
  /// How many by index of the device. Errors: kIo.
  Result<std::map<unsigned, unsigned>> Count() {
    auto counts = Ask();
    if (!counts) Close();  // answers still on their way would confuse the next question
    return counts;
  }

 private:
  Result<std::map<unsigned, unsigned>> Ask() {
    if (fd_ < 0) fd_ = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd_ < 0) return Fail(ErrnoError("open a netlink socket", errno));
    const timeval patience{5, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    struct {
      nlmsghdr header;
      ndmsg body;
    } request{};
    request.header.nlmsg_len = sizeof request;
    request.header.nlmsg_type = RTM_GETNEIGH;
    request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    request.header.nlmsg_seq = ++sequence_;
    if (send(fd_, &request, sizeof request, 0) < 0)
      return Fail(ErrnoError("ask for neighbours", errno));
    std::map<unsigned, unsigned> counts;
    alignas(nlmsghdr) char buffer[32 * 1024];
    while (true) {
      const ssize_t size = recv(fd_, buffer, sizeof buffer, 0);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0) return Fail(ErrnoError("read neighbours", errno));
      int rest = static_cast<int>(size);
      for (const auto* h = reinterpret_cast<const nlmsghdr*>(buffer); NLMSG_OK(h, rest);
           h = NLMSG_NEXT(h, rest)) {
        if (h->nlmsg_seq != sequence_) continue;
        if (h->nlmsg_type == NLMSG_DONE) return counts;
        if (h->nlmsg_type == NLMSG_ERROR) return Fail(ErrorKind::kIo, "neighbours were refused");
        if (h->nlmsg_type != RTM_NEWNEIGH || h->nlmsg_len < NLMSG_LENGTH(sizeof(ndmsg))) continue;
        const auto* neighbour = static_cast<const ndmsg*>(NLMSG_DATA(h));
        // As in /proc/net/arp, which has none that need no resolving.
        if ((neighbour->ndm_state & NUD_NOARP) == 0)
          ++counts[static_cast<unsigned>(neighbour->ndm_ifindex)];
      }
    }
  }
  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }
  int fd_ = -1;
  uint32_t sequence_ = 0;
};

class Arp final : public Part {
 public:
  explicit Arp(const HostConfig& config)
      : netlink_(config.arp.netlink),
        exclude_(Filter::Compile(config.arp.device_exclude).value_or(Filter())),
        file_(config.procfs + "/net/arp") {}
  std::string_view name() const override { return "arp"; }

  Status Tell(Row& row) override {
    std::map<std::string, unsigned, std::less<>> devices;
    PICKET_TRY(netlink_ ? FromNetlink(devices) : FromFile(devices));
    for (const auto& [device, count] : devices) {
      if (!exclude_.Excludes(device)) row.Tell(kEntries, {device}, count);
    }
    return {};
  }

 private:
  using Devices = std::map<std::string, unsigned, std::less<>>;

  Status FromNetlink(Devices& devices) {
    PICKET_ASSIGN(const auto counts, table_.Count());
    for (const auto& [index, count] : counts) {
      char device[IF_NAMESIZE];
      if (if_indextoname(index, device)) devices[device] += count;
    }
    return {};
  }
  Status FromFile(Devices& devices) {
    PICKET_ASSIGN(const std::string_view text, file_.Read());
    Lines lines(text);
    std::string_view line;
    lines.Next(line);  // the heading
    while (lines.Next(line)) {
      std::string_view last;
      for (auto word = TakeWord(line); !word.empty(); word = TakeWord(line)) last = word;
      if (!last.empty()) ++devices[std::string(last)];
    }
    return {};
  }

  const bool netlink_;
  const Filter exclude_;
  KernelFile file_;
  NeighbourTable table_;
};

}  // namespace

std::unique_ptr<Part> MakeArp(const HostConfig& c) { return std::make_unique<Arp>(c); }

}  // namespace picket::collectors::host
