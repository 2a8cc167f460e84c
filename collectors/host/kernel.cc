// SPDX-License-Identifier: Apache-2.0
// The parts that are one small file each.
#include <sys/utsname.h>

#include <array>
#include <unordered_map>

#include "collectors/host/attributes.h"
#include "collectors/host/collectors.h"
#include "collectors/host/file.h"
#include "core/base/strings.h"

namespace picket::collectors::host {
namespace {

class Load final : public Part {
 public:
  explicit Load(const HostConfig& config) : file_(config.procfs + "/loadavg") {}
  std::string_view name() const override { return "loadavg"; }
  Status Tell(Row& row) override {
    static const Family one{"node_load1", MetricType::kGauge, "1m load average.", {}};
    static const Family five{"node_load5", MetricType::kGauge, "5m load average.", {}};
    static const Family fifteen{"node_load15", MetricType::kGauge, "15m load average.", {}};
    PICKET_ASSIGN(std::string_view text, file_.Read());
    for (const Family* family : {&one, &five, &fifteen})
      row.Tell(*family, {}, ToDouble(TakeWord(text)));
    return {};
  }

 private:
  KernelFile file_;
};

class Memory final : public Part {
 public:
  explicit Memory(const HostConfig& config) : file_(config.procfs + "/meminfo") {}
  std::string_view name() const override { return "meminfo"; }
  Status Tell(Row& row) override {
    PICKET_ASSIGN(const std::string_view text, file_.Read());
    Lines lines(text);
    for (std::string_view line; lines.Next(line);) {
      const std::string_view field = TakeWord(line);
      const std::string_view value = TakeWord(line);
      if (!field.ends_with(':') || value.empty()) continue;
      const bool kilobytes = TakeWord(line) == "kB";
      row.Tell(FamilyOf(field.substr(0, field.size() - 1), kilobytes), {},
               ToDouble(value) * (kilobytes ? 1024 : 1));
    }
    return {};
  }

 private:
  /// "Active(anon)" in kB is node_memory_Active_anon_bytes.
  const Family& FamilyOf(std::string_view field, bool kilobytes) {
    if (const auto it = families_.find(field); it != families_.end()) return *it->second;
    std::string name;
    for (const char c : field) {
      if (c == '(') name += '_';
      if (c != '(' && c != ')') name += c;
    }
    if (kilobytes) name += "_bytes";
    auto family = std::make_unique<Family>(Family{
        "node_memory_" + name, MetricType::kGauge, "Memory information field " + name + ".", {}});
    return *families_.emplace(std::string(field), std::move(family)).first->second;
  }
  KernelFile file_;
  std::unordered_map<std::string, std::unique_ptr<Family>, StringHash, std::equal_to<>> families_;
};

class Pressure final : public Part {
 public:
  explicit Pressure(const HostConfig& config)
      : cpu_(config.procfs + "/pressure/cpu"),
        io_(config.procfs + "/pressure/io"),
        memory_(config.procfs + "/pressure/memory"),
        irq_(config.procfs + "/pressure/irq") {}
  std::string_view name() const override { return "pressure"; }
  Status Tell(Row& row) override {
    static const Family cpu{"node_pressure_cpu_waiting_seconds_total",
                            MetricType::kCounter,
                            "Total time in seconds that processes have waited for CPU time",
                            {}};
    static const Family io{"node_pressure_io_waiting_seconds_total",
                           MetricType::kCounter,
                           "Total time in seconds that processes have waited due to IO congestion",
                           {}};
    static const Family io_full{
        "node_pressure_io_stalled_seconds_total",
        MetricType::kCounter,
        "Total time in seconds no process could make progress due to IO congestion",
        {}};
    static const Family memory{"node_pressure_memory_waiting_seconds_total",
                               MetricType::kCounter,
                               "Total time in seconds that processes have waited for memory",
                               {}};
    static const Family memory_full{
        "node_pressure_memory_stalled_seconds_total",
        MetricType::kCounter,
        "Total time in seconds no process could make progress due to memory congestion",
        {}};
    static const Family irq_full{
        "node_pressure_irq_stalled_seconds_total",
        MetricType::kCounter,
        "Total time in seconds no process could make progress due to IRQ congestion",
        {}};
    // A kernel without pressure information is no failure of ours; one without irq accounting is
    // usual.
    if (const Status status = TellFile(row, cpu_, &cpu, nullptr); !status)
      return Fail(OrNoData(status.error()));
    PICKET_TRY(TellFile(row, io_, &io, &io_full));
    PICKET_TRY(TellFile(row, memory_, &memory, &memory_full));
    static_cast<void>(TellFile(row, irq_, nullptr, &irq_full).has_value());
    return {};
  }

 private:
  static Status TellFile(Row& row, KernelFile& file, const Family* some, const Family* full) {
    PICKET_ASSIGN(const std::string_view text, file.Read());
    Lines lines(text);
    for (std::string_view line; lines.Next(line);) {
      const std::string_view kind = TakeWord(line);
      const size_t total = line.find("total=");
      const Family* family = kind == "some" ? some : kind == "full" ? full : nullptr;
      if (family && total != std::string_view::npos)
        row.Tell(*family, {},
                 static_cast<double>(ToUint(line.substr(total + 6))) / 1000.0 / 1000.0);
    }
    return {};
  }
  KernelFile cpu_, io_, memory_, irq_;
};

class Stat final : public Part {
 public:
  explicit Stat(const HostConfig& config)
      : softirq_(config.stat.softirq), file_(config.procfs + "/stat") {}
  std::string_view name() const override { return "stat"; }
  Status Tell(Row& row) override {
    PICKET_ASSIGN(const std::string_view text, file_.Read());
    Lines lines(text);
    for (std::string_view line; lines.Next(line);) TellLine(row, TakeWord(line), line);
    return {};
  }

 private:
  void TellLine(Row& row, std::string_view word, std::string_view rest) const {
    static const std::pair<std::string_view, Family> families[] = {
        {"intr",
         {"node_intr_total", MetricType::kCounter, "Total number of interrupts serviced.", {}}},
        {"ctxt",
         {"node_context_switches_total",
          MetricType::kCounter,
          "Total number of context switches.",
          {}}},
        {"btime",
         {"node_boot_time_seconds", MetricType::kGauge, "Node boot time, in unixtime.", {}}},
        {"processes", {"node_forks_total", MetricType::kCounter, "Total number of forks.", {}}},
        {"procs_running",
         {"node_procs_running", MetricType::kGauge, "Number of processes in runnable state.", {}}},
        {"procs_blocked",
         {"node_procs_blocked",
          MetricType::kGauge,
          "Number of processes blocked waiting for I/O to complete.",
          {}}},
    };
    static const Family softirqs{
        "node_softirqs_total", MetricType::kCounter, "Number of softirq calls.", {"vector"}};
    static constexpr std::array<std::string_view, 10> kVectors{
        "hi",           "timer",   "net_tx", "net_rx",  "block",
        "block_iopoll", "tasklet", "sched",  "hrtimer", "rcu"};
    for (const auto& [key, family] : families) {
      if (word == key) return row.Tell(family, {}, ToDouble(TakeWord(rest)));
    }
    if (word != "softirq" || !softirq_) return;
    TakeWord(rest);  // the sum
    for (const std::string_view vector : kVectors)
      row.Tell(softirqs, {vector}, ToDouble(TakeWord(rest)));
  }
  const bool softirq_;
  KernelFile file_;
};

class Uname final : public Part {
 public:
  std::string_view name() const override { return "uname"; }
  Status Tell(Row& row) override {
    static const Family info{
        "node_uname_info",
        MetricType::kGauge,
        "Labeled system information as provided by the uname system call.",
        {"sysname", "release", "version", "machine", "nodename", "domainname"}};
    utsname u{};
    if (uname(&u) != 0) return Fail(ErrorKind::kIo, "uname failed");
    row.Tell(info, {u.sysname, u.release, u.version, u.machine, u.nodename, u.domainname}, 1);
    return {};
  }
};

}  // namespace

std::unique_ptr<Part> MakeLoad(const HostConfig& config) { return std::make_unique<Load>(config); }
std::unique_ptr<Part> MakeMemory(const HostConfig& config) {
  return std::make_unique<Memory>(config);
}
std::unique_ptr<Part> MakePressure(const HostConfig& config) {
  return std::make_unique<Pressure>(config);
}
std::unique_ptr<Part> MakeStat(const HostConfig& config) { return std::make_unique<Stat>(config); }
std::unique_ptr<Part> MakeUname(const HostConfig&) { return std::make_unique<Uname>(); }

}  // namespace picket::collectors::host
