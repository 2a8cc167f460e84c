// SPDX-License-Identifier: Apache-2.0
// The node's clock: time, timex.
#include <sys/timex.h>

#include <cerrno>
#include <ctime>

#include "collectors/host/attributes.h"
#include "collectors/host/collectors.h"
#include "collectors/host/file.h"

namespace picket::collectors::host {
namespace {

class Time final : public Part {
 public:
  explicit Time(const HostConfig& config)
      : sources_(config.sysfs + "/devices/system/clocksource") {}
  std::string_view name() const override { return "time"; }
  Status Tell(Row& row) override {
    static const Family seconds =
        Gauge("node_time_seconds", "System time in seconds since epoch (1970).");
    static const Family offset = Gauge("node_time_zone_offset_seconds",
                                       "System time zone offset in seconds.", {"time_zone"});
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    row.Tell(seconds, {}, static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9);
    tm local{};
    localtime_r(&now.tv_sec, &local);
    row.Tell(offset, {local.tm_zone}, static_cast<double>(local.tm_gmtoff));
    TellSources(row);
    return {};
  }

 private:
  void TellSources(Row& row) {
    static const Family available =
        Gauge("node_time_clocksource_available_info",
              "Available clocksources read from '/sys/devices/system/clocksource'.",
              {"device", "clocksource"});
    static const Family current =
        Gauge("node_time_clocksource_current_info",
              "Current clocksource read from '/sys/devices/system/clocksource'.",
              {"device", "clocksource"});
    static constexpr std::string_view kPrefix = "clocksource";
    files_.NextTurn();
    for (const std::string& folder : NamesIn(sources_)) {
      if (!folder.starts_with(kPrefix)) continue;
      const std::string device = folder.substr(kPrefix.size());
      const std::string path = sources_ + "/" + folder;
      const std::string all = files_.Text(path + "/available_clocksource");
      std::string_view rest = all;
      for (auto word = TakeWord(rest); !word.empty(); word = TakeWord(rest))
        row.Tell(available, {device, word}, 1);
      if (const auto now = files_.Read(path + "/current_clocksource"))
        row.Tell(current, {device, *now}, 1);
    }
  }
  const std::string sources_;
  Attributes files_;
};

class Timex final : public Part {
 public:
  std::string_view name() const override { return "timex"; }
  Status Tell(Row& row) override {
    // 16 bits of fraction, in millionths: adjtimex(2).
    constexpr double kPpmFraction = 1000000.0 * 65536.0;
    constexpr double kMicro = 1e6;
    static const auto of = [](const char* what, const char* help) {
      return Gauge(std::string("node_timex_") + what, help);
    };
    static const auto total = [](const char* what, const char* help) {
      return Count(std::string("node_timex_") + what, help);
    };
    static const Family sync =
        of("sync_status", "Is clock synchronized to a reliable server (1 = yes, 0 = no).");
    static const Family offset =
        of("offset_seconds", "Time offset in between local system and reference clock.");
    static const Family frequency =
        of("frequency_adjustment_ratio", "Local clock frequency adjustment.");
    static const Family maxerror = of("maxerror_seconds", "Maximum error in seconds.");
    static const Family esterror = of("estimated_error_seconds", "Estimated error in seconds.");
    static const Family bits = of("status", "Value of the status array bits.");
    static const Family constant = of("loop_time_constant", "Phase-locked loop time constant.");
    static const Family tick = of("tick_seconds", "Seconds between clock ticks.");
    static const Family ppsfreq = of("pps_frequency_hertz", "Pulse per second frequency.");
    static const Family jitter = of("pps_jitter_seconds", "Pulse per second jitter.");
    static const Family shift = of("pps_shift_seconds", "Pulse per second interval duration.");
    static const Family stabil = of(
        "pps_stability_hertz", "Pulse per second stability, average of recent frequency changes.");
    static const Family jitcnt =
        total("pps_jitter_total", "Pulse per second count of jitter limit exceeded events.");
    static const Family calcnt =
        total("pps_calibration_total", "Pulse per second count of calibration intervals.");
    static const Family errcnt =
        total("pps_error_total", "Pulse per second count of calibration errors.");
    static const Family stbcnt =
        total("pps_stability_exceeded_total",
              "Pulse per second count of stability limit exceeded events.");
    static const Family tai = of("tai_offset_seconds", "International Atomic Time (TAI) offset.");
    timex t{};
    const int state = adjtimex(&t);
    if (state < 0)
      return errno == EPERM ? NoData("adjtimex is not allowed")
                            : Status(Fail(ErrnoError("adjtimex", errno)));
    const double unit = (t.status & STA_NANO) != 0 ? 1e9 : kMicro;
    const auto tell = [&row](const Family& family, auto value, double divisor = 1) {
      row.Tell(family, {}, static_cast<double>(value) / divisor);
    };
    tell(sync, state == TIME_ERROR ? 0 : 1);
    tell(offset, t.offset, unit);
    row.Tell(frequency, {}, 1 + static_cast<double>(t.freq) / kPpmFraction);
    tell(maxerror, t.maxerror, kMicro);
    tell(esterror, t.esterror, kMicro);
    tell(bits, t.status);
    tell(constant, t.constant);
    tell(tick, t.tick, kMicro);
    tell(ppsfreq, t.ppsfreq, kPpmFraction);
    tell(jitter, t.jitter, unit);
    tell(shift, t.shift);
    tell(stabil, t.stabil, kPpmFraction);
    tell(jitcnt, t.jitcnt);
    tell(calcnt, t.calcnt);
    tell(errcnt, t.errcnt);
    tell(stbcnt, t.stbcnt);
    tell(tai, t.tai);
    return {};
  }
};

}  // namespace

std::unique_ptr<Part> MakeTime(const HostConfig& c) { return std::make_unique<Time>(c); }
std::unique_ptr<Part> MakeTimex(const HostConfig&) { return std::make_unique<Timex>(); }

}  // namespace picket::collectors::host
