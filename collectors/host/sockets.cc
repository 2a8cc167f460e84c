// SPDX-License-Identifier: Apache-2.0
// What the network stack counts: netstat, sockstat, softnet, udp_queues, conntrack.
#include <unistd.h>

#include <array>
#include <map>

#include "collectors/host/attributes.h"
#include "collectors/host/collectors.h"
#include "collectors/host/file.h"
#include "collectors/host/filter.h"
#include "core/base/strings.h"

namespace picket::collectors::host {
namespace {

class Netstat final : public Part {
 public:
  explicit Netstat(const HostConfig& config)
      : fields_(Filter::Compile(config.netstat.fields).value_or(Filter())),
        netstat_(config.procfs + "/net/netstat"),
        snmp_(config.procfs + "/net/snmp"),
        snmp6_(config.procfs + "/net/snmp6") {}
  std::string_view name() const override { return "netstat"; }

  Status Tell(Row& row) override {
    PICKET_TRY(TellPairs(row, netstat_));
    PICKET_TRY(TellPairs(row, snmp_));
    const auto text = snmp6_.Read();
    if (!text) {  // no IPv6 here
      return text.error().kind() == ErrorKind::kNotFound ? Status() : Status(Fail(text.error()));
    }
    Lines lines(*text);
    for (std::string_view line; lines.Next(line);) {
      const std::string_view field = TakeWord(line);
      const size_t six = field.find('6');
      if (six != std::string_view::npos)
        TellField(row, field.substr(0, six + 1), field.substr(six + 1), TakeWord(line));
    }
    return {};
  }

 private:
  /// Two lines each: names and values.
  Status TellPairs(Row& row, KernelFile& file) {
    PICKET_ASSIGN(const std::string_view text, file.Read());
    Lines lines(text);
    for (std::string_view names, values; lines.Next(names) && lines.Next(values);) {
      std::string_view protocol = TakeWord(names);
      if (TakeWord(values) != protocol || !protocol.ends_with(':'))
        return Fail(ErrorKind::kCorrupt, file.path() + ": names and values do not belong together");
      protocol.remove_suffix(1);
      for (std::string_view value = TakeWord(values); !value.empty(); value = TakeWord(values))
        TellField(row, protocol, TakeWord(names), value);
    }
    return {};
  }

  void TellField(Row& row, std::string_view protocol, std::string_view field,
                 std::string_view value) {
    key_.assign(protocol).append("_").append(field);
    auto it = known_.find(key_);
    if (it == known_.end()) {
      const Family* family = nullptr;  // not asked for
      if (fields_.Finds(key_)) {
        family = &families_.Of("node_netstat_" + key_, MetricType::kUnknown,
                               "Statistic " + std::string(protocol) + std::string(field) + ".");
      }
      it = known_.emplace(key_, family).first;
    }
    if (it->second) row.Tell(*it->second, {}, ToDouble(value));
  }

  const Filter fields_;
  KernelFile netstat_, snmp_, snmp6_;
  FamilyBook families_;
  std::string key_;
  std::unordered_map<std::string, const Family*> known_;
};

class Sockstat final : public Part {
 public:
  explicit Sockstat(const HostConfig& config)
      : v4_(config.procfs + "/net/sockstat"), v6_(config.procfs + "/net/sockstat6") {}
  std::string_view name() const override { return "sockstat"; }

  Status Tell(Row& row) override {
    for (KernelFile* file : {&v4_, &v6_}) {
      const auto text = file->Read();
      if (!text && text.error().kind() == ErrorKind::kNotFound) continue;  // switched off
      if (!text) return Fail(text.error());
      Lines lines(*text);
      for (std::string_view line; lines.Next(line);) TellLine(row, line);
    }
    return {};
  }

 private:
  void TellLine(Row& row, std::string_view line) {
    static const Family used =
        Gauge("node_sockstat_sockets_used", "Number of IPv4 sockets in use.");
    static const double page = static_cast<double>(sysconf(_SC_PAGESIZE));
    std::string_view protocol = TakeWord(line);
    if (!protocol.ends_with(':')) return;
    protocol.remove_suffix(1);
    while (true) {
      const std::string_view state = TakeWord(line), value = TakeWord(line);
      if (value.empty()) return;
      if (protocol == "sockets") {
        if (state == "used") row.Tell(used, {}, ToDouble(value));
        continue;
      }
      row.Tell(FamilyOf(protocol, state), {}, ToDouble(value));
      if (state == "mem") row.Tell(FamilyOf(protocol, "mem_bytes"), {}, ToDouble(value) * page);
    }
  }
  const Family& FamilyOf(std::string_view protocol, std::string_view state) {
    const std::string p(protocol), s(state);
    return families_.Of("node_sockstat_" + p + "_" + s, MetricType::kGauge,
                        "Number of " + p + " sockets in state " + s + ".");
  }
  KernelFile v4_, v6_;
  FamilyBook families_;
};

class Softnet final : public Part {
 public:
  explicit Softnet(const HostConfig& config) : file_(config.procfs + "/net/softnet_stat") {}
  std::string_view name() const override { return "softnet"; }

  Status Tell(Row& row) override {
    static const std::pair<size_t, Family> kColumns[] = {
        {0, Count("node_softnet_processed_total", "Number of processed packets", {"cpu"})},
        {1, Count("node_softnet_dropped_total", "Number of dropped packets", {"cpu"})},
        {2, Count("node_softnet_times_squeezed_total",
                  "Number of times processing packets ran out of quota", {"cpu"})},
        {8, Count("node_softnet_cpu_collision_total",
                  "Number of collision occur while obtaining device lock while transmitting",
                  {"cpu"})},
        {9, Count("node_softnet_received_rps_total", "Number of times cpu woken up received_rps",
                  {"cpu"})},
        {10, Count("node_softnet_flow_limit_count_total",
                   "Number of times flow limit has been reached", {"cpu"})},
        {11, Gauge("node_softnet_backlog_len", "Softnet backlog status", {"cpu"})}};
    PICKET_ASSIGN(const std::string_view text, file_.Read());
    Lines lines(text);
    size_t number = 0;
    for (std::string_view line; lines.Next(line); ++number) {
      std::array<uint64_t, 13> columns{};
      size_t n = 0;
      for (std::string_view word = TakeWord(line); !word.empty() && n < columns.size();
           word = TakeWord(line))
        columns[n++] = FromHex(word);
      if (n < 9) return Fail(ErrorKind::kCorrupt, file_.path() + ": a line is too short");
      // Offline processors have no line: newer kernels say which one it is.
      const std::string cpu = std::to_string(n >= 13 ? columns[12] : number);
      for (const auto& [column, family] : kColumns)
        row.Tell(family, {cpu}, static_cast<double>(columns[column]));
    }
    return {};
  }

 private:
  KernelFile file_;
};

class UdpQueues final : public Part {
 public:
  explicit UdpQueues(const HostConfig& config)
      : v4_(config.procfs + "/net/udp"), v6_(config.procfs + "/net/udp6") {}
  std::string_view name() const override { return "udp_queues"; }

  Status Tell(Row& row) override {
    PICKET_ASSIGN(const bool v4, TellFile(row, v4_, "v4"));
    PICKET_ASSIGN(const bool v6, TellFile(row, v6_, "v6"));
    return v4 || v6 ? Status() : NoData("no " + v4_.path());
  }

 private:
  /// False: there is no such file.
  static Result<bool> TellFile(Row& row, KernelFile& file, std::string_view ip) {
    static const Family family = Gauge(
        "node_udp_queues", "Number of allocated memory in the kernel for UDP datagrams in bytes.",
        {"queue", "ip"});
    const auto text = file.Read();
    if (!text && text.error().kind() == ErrorKind::kNotFound) return false;
    if (!text) return Fail(text.error());
    Lines lines(*text);
    uint64_t tx = 0, rx = 0;
    std::string_view line;
    lines.Next(line);  // the heading
    while (lines.Next(line)) {
      for (int i = 0; i < 4; ++i) TakeWord(line);
      const std::string_view queues = TakeWord(line);
      const size_t colon = queues.find(':');
      if (colon == std::string_view::npos) continue;
      tx += FromHex(queues.substr(0, colon));
      rx += FromHex(queues.substr(colon + 1));
    }
    row.Tell(family, {"tx", ip}, static_cast<double>(tx));
    row.Tell(family, {"rx", ip}, static_cast<double>(rx));
    return true;
  }
  KernelFile v4_, v6_;
};

class Conntrack final : public Part {
 public:
  explicit Conntrack(const HostConfig& config)
      : count_(config.procfs + "/sys/net/netfilter/nf_conntrack_count"),
        max_(config.procfs + "/sys/net/netfilter/nf_conntrack_max"),
        stat_(config.procfs + "/net/stat/nf_conntrack") {}
  std::string_view name() const override { return "conntrack"; }

  Status Tell(Row& row) override {
    static const Family entries =
        Gauge("node_nf_conntrack_entries",
              "Number of currently allocated flow entries for connection tracking.");
    static const Family limit =
        Gauge("node_nf_conntrack_entries_limit", "Maximum size of connection tracking table.");
    const auto count = count_.Read();
    if (!count) return Fail(OrNoData(count.error()));
    row.Tell(entries, {}, ToNumber(Trim(*count)).value_or(0));
    const auto max = max_.Read();
    if (!max) return Fail(OrNoData(max.error()));
    row.Tell(limit, {}, ToNumber(Trim(*max)).value_or(0));
    return TellStat(row);
  }

 private:
  /// One line per processor, summed up.
  Status TellStat(Row& row) {
    static const auto of = [](const char* field, const char* help) {
      return Gauge(std::string("node_nf_conntrack_stat_") + field, help);
    };
    static const std::pair<size_t, Family> kColumns[] = {
        {2, of("found", "Number of searched entries which were successful.")},
        {4, of("invalid", "Number of packets seen which can not be tracked.")},
        {5,
         of("ignore", "Number of packets seen which are already connected to a conntrack entry.")},
        {8, of("insert", "Number of entries inserted into the list.")},
        {9, of("insert_failed",
               "Number of entries for which list insertion was attempted but failed.")},
        {10, of("drop", "Number of packets dropped due to conntrack failure.")},
        {11, of("early_drop",
                "Number of dropped conntrack entries to make room for new ones, if maximum table "
                "size was reached.")},
        {16, of("search_restart",
                "Number of conntrack table lookups which had to be restarted due to hashtable "
                "resizes.")}};
    PICKET_ASSIGN(const std::string_view text, stat_.Read());
    std::array<uint64_t, 17> sums{};
    Lines lines(text);
    std::string_view line;
    lines.Next(line);  // the heading
    while (lines.Next(line)) {
      for (uint64_t& sum : sums) sum += FromHex(TakeWord(line));
    }
    for (const auto& [column, family] : kColumns)
      row.Tell(family, {}, static_cast<double>(sums[column]));
    return {};
  }
  KernelFile count_, max_, stat_;
};

}  // namespace

std::unique_ptr<Part> MakeNetstat(const HostConfig& c) { return std::make_unique<Netstat>(c); }
std::unique_ptr<Part> MakeSockstat(const HostConfig& c) { return std::make_unique<Sockstat>(c); }
std::unique_ptr<Part> MakeSoftnet(const HostConfig& c) { return std::make_unique<Softnet>(c); }
std::unique_ptr<Part> MakeUdpQueues(const HostConfig& c) { return std::make_unique<UdpQueues>(c); }
std::unique_ptr<Part> MakeConntrack(const HostConfig& c) { return std::make_unique<Conntrack>(c); }

}  // namespace picket::collectors::host
