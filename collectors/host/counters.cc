// SPDX-License-Identifier: Apache-2.0
// What the kernel counts outside the network: vmstat, filefd, entropy, schedstat, kernel_hung.
#include <unordered_map>

#include "collectors/host/attributes.h"
#include "collectors/host/collectors.h"
#include "collectors/host/file.h"
#include "collectors/host/filter.h"
#include "core/base/strings.h"

namespace picket::collectors::host {
namespace {

class Vmstat final : public Part {
 public:
  explicit Vmstat(const HostConfig& config)
      : fields_(Filter::Compile(config.vmstat.fields).value_or(Filter())),
        file_(config.procfs + "/vmstat") {}
  std::string_view name() const override { return "vmstat"; }
  Status Tell(Row& row) override {
    PICKET_ASSIGN(const std::string_view text, file_.Read());
    Lines lines(text);
    for (std::string_view line; lines.Next(line);) {
      const std::string_view field = TakeWord(line);
      auto it = known_.find(field);
      if (it == known_.end()) it = known_.emplace(std::string(field), Choose(field)).first;
      if (it->second) row.Tell(*it->second, {}, ToDouble(TakeWord(line)));
    }
    return {};
  }

 private:
  const Family* Choose(std::string_view field) {
    if (!fields_.Finds(field)) return nullptr;
    return &families_.Of("node_vmstat_" + std::string(field), MetricType::kUnknown,
                         "/proc/vmstat information field " + std::string(field) + ".");
  }
  const Filter fields_;
  KernelFile file_;
  FamilyBook families_;
  std::unordered_map<std::string, const Family*, StringHash, std::equal_to<>> known_;
};

class FileDescriptors final : public Part {
 public:
  explicit FileDescriptors(const HostConfig& config) : file_(config.procfs + "/sys/fs/file-nr") {}
  std::string_view name() const override { return "filefd"; }
  Status Tell(Row& row) override {
    static const Family allocated =
        Gauge("node_filefd_allocated", "File descriptor statistics: allocated.");
    static const Family maximum =
        Gauge("node_filefd_maximum", "File descriptor statistics: maximum.");
    PICKET_ASSIGN(std::string_view text, file_.Read());
    text = Trim(text);
    row.Tell(allocated, {}, ToDouble(TakeWord(text)));
    TakeWord(text);  // free ones, always 0
    row.Tell(maximum, {}, ToDouble(TakeWord(text)));
    return {};
  }

 private:
  KernelFile file_;
};

class Entropy final : public Part {
 public:
  explicit Entropy(const HostConfig& config)
      : available_(config.procfs + "/sys/kernel/random/entropy_avail"),
        size_(config.procfs + "/sys/kernel/random/poolsize") {}
  std::string_view name() const override { return "entropy"; }
  Status Tell(Row& row) override {
    static const Family available =
        Gauge("node_entropy_available_bits", "Bits of available entropy.");
    static const Family size = Gauge("node_entropy_pool_size_bits", "Bits of entropy pool.");
    PICKET_ASSIGN(const std::string_view bits, available_.Read());
    row.Tell(available, {}, ToNumber(Trim(bits)).value_or(0));
    PICKET_ASSIGN(const std::string_view pool, size_.Read());
    row.Tell(size, {}, ToNumber(Trim(pool)).value_or(0));
    return {};
  }

 private:
  KernelFile available_, size_;
};

class Schedstat final : public Part {
 public:
  explicit Schedstat(const HostConfig& config) : file_(config.procfs + "/schedstat") {}
  std::string_view name() const override { return "schedstat"; }
  Status Tell(Row& row) override {
    static const Family running = Count("node_schedstat_running_seconds_total",
                                        "Number of seconds CPU spent running a process.", {"cpu"});
    static const Family waiting =
        Count("node_schedstat_waiting_seconds_total",
              "Number of seconds spent by processing waiting for this CPU.", {"cpu"});
    static const Family slices =
        Count("node_schedstat_timeslices_total", "Number of timeslices executed by CPU.", {"cpu"});
    const auto text = file_.Read();
    if (!text) return Fail(OrNoData(text.error()));
    Lines lines(*text);
    for (std::string_view line; lines.Next(line);) {
      std::string_view cpu = TakeWord(line);
      if (!cpu.starts_with("cpu")) continue;
      cpu.remove_prefix(3);
      for (int i = 0; i < 6; ++i) TakeWord(line);
      row.Tell(running, {cpu}, static_cast<double>(ToUint(TakeWord(line))) / 1e9);
      row.Tell(waiting, {cpu}, static_cast<double>(ToUint(TakeWord(line))) / 1e9);
      row.Tell(slices, {cpu}, static_cast<double>(ToUint(TakeWord(line))));
    }
    return {};
  }

 private:
  KernelFile file_;
};

class KernelHung final : public Part {
 public:
  explicit KernelHung(const HostConfig& config)
      : file_(config.procfs + "/sys/kernel/hung_task_detect_count") {}
  std::string_view name() const override { return "kernel_hung"; }
  Status Tell(Row& row) override {
    static const Family tasks =
        Count("node_kernel_hung_tasks_total",
              "Total number of tasks that have been detected as hung since the system booted.");
    const auto text = file_.Read();  // kernels since 6.12 have it
    if (!text) return Fail(OrNoData(text.error()));
    row.Tell(tasks, {}, ToNumber(Trim(*text)).value_or(0));
    return {};
  }

 private:
  KernelFile file_;
};

}  // namespace

std::unique_ptr<Part> MakeVmstat(const HostConfig& c) { return std::make_unique<Vmstat>(c); }
std::unique_ptr<Part> MakeFilefd(const HostConfig& c) {
  return std::make_unique<FileDescriptors>(c);
}
std::unique_ptr<Part> MakeEntropy(const HostConfig& c) { return std::make_unique<Entropy>(c); }
std::unique_ptr<Part> MakeSchedstat(const HostConfig& c) { return std::make_unique<Schedstat>(c); }
std::unique_ptr<Part> MakeKernelHung(const HostConfig& c) {
  return std::make_unique<KernelHung>(c);
}

}  // namespace picket::collectors::host
