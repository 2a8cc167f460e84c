// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <climits>
#include <cstdlib>
#include <map>

#include "collectors/host/attributes.h"
#include "collectors/host/collectors.h"
#include "collectors/host/file.h"
#include "collectors/host/filter.h"
#include "core/base/strings.h"

namespace picket::collectors::host {
namespace {

const std::vector<std::string> kLabels{"chip", "sensor"};
const Family kChip =
    Gauge("node_hwmon_chip_names", "Annotation metric for human-readable chip names",
          {"chip", "chip_name"});
const Family kLabel = Gauge("node_hwmon_sensor_label", "Label for given chip and sensor",
                            {"chip", "sensor", "label"});

constexpr std::string_view kTypes[] = {
    "vrm",  "beep_enable", "update_interval", "in",     "cpu",      "fan",       "pwm",
    "temp", "curr",        "power",           "energy", "humidity", "intrusion", "freq"};

/// Lower case, anything but letters, digits, ':' and '_' as '_', none of them at the ends.
std::string Clean(std::string_view name) {
  std::string out;
  for (const char c : name) {
    const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    const bool good = (lower >= 'a' && lower <= 'z') || (lower >= '0' && lower <= '9') ||
                      lower == ':' || lower == '_';
    out += good ? lower : '_';
  }
  const size_t first = out.find_first_not_of('_');
  return first == std::string::npos ? "" : out.substr(first, out.find_last_not_of('_') - first + 1);
}

/// "temp1_crit" is temp, temp1, crit.
struct SensorFile {
  std::string_view type, property;
  std::string sensor;
};
bool Explode(std::string_view name, SensorFile& out) {
  constexpr std::string_view kDigits = "0123456789";
  const size_t digits = name.find_first_of(kDigits);
  out.type = name.substr(0, digits);
  std::string_view number = digits == std::string_view::npos ? "" : name.substr(digits);
  const std::string_view rest =
      number.substr(std::min(number.size(), number.find_first_not_of(kDigits)));
  number.remove_suffix(rest.size());
  if (!rest.empty() && (rest[0] != '_' || rest.size() == 1)) return false;
  out.property = rest.empty() ? rest : rest.substr(1);
  if (std::ranges::find(kTypes, out.type) == std::end(kTypes)) return false;
  out.sensor = std::string(out.type) + (number.empty() ? "0" : std::string(number));
  return true;
}

std::string RealPath(const std::string& path) {
  char resolved[PATH_MAX];
  return realpath(path.c_str(), resolved) ? resolved : "";
}
std::string_view LastOf(std::string_view path) { return path.substr(path.rfind('/') + 1); }

class Hwmon final : public Part {
 public:
  explicit Hwmon(const HostConfig& config)
      : root_(config.sysfs + "/class/hwmon"),
        include_(Filter::Compile(config.hwmon.chip_include).value_or(Filter())),
        exclude_(Filter::Compile(config.hwmon.chip_exclude).value_or(Filter())) {}
  std::string_view name() const override { return "hwmon"; }

  Status Tell(Row& row) override {
    const auto monitors = ListFolder(root_);
    if (!monitors) return Fail(OrNoData(monitors.error()));
    files_.NextTurn();
    if (*monitors != monitors_) Look(*monitors);
    for (const Monitor& m : found_) {
      if (!include_.Finds(m.chip) || exclude_.Excludes(m.chip)) continue;
      if (!m.name.empty()) row.Tell(kChip, {m.chip, m.name}, 1);
      for (const auto& [sensor, files] : m.sensors) TellSensor(row, m.chip, sensor, files);
    }
    return {};
  }

 private:
  struct Property {
    std::string type, name, path;
  };
  struct Monitor {
    std::string chip, name;
    std::map<std::string, std::vector<Property>> sensors;
  };

  /// Which monitors and files there are changes only when a device comes or goes.
  void Look(const std::vector<std::string>& monitors) {
    monitors_ = monitors;
    found_.clear();
    std::map<std::string, int> sharing;
    for (const std::string& m : monitors) ++sharing[RealPath(root_ + "/" + m + "/device")];
    for (const std::string& folder : monitors) {
      const std::string path = root_ + "/" + folder;
      Monitor m;
      m.name = Clean(ReadSmall(path + "/name"));
      const std::string device = RealPath(path + "/device");
      if (!device.empty()) {
        m.chip = Clean(LastOf(device));
        const std::string bus = Clean(LastOf(device.substr(0, device.rfind('/'))));
        if (!bus.empty() && !m.chip.empty()) m.chip = bus + "_" + m.chip;
        if (sharing[device] > 1 && !m.name.empty()) m.chip += "_" + m.name;
      }
      if (m.chip.empty()) m.chip = m.name;
      if (m.chip.empty()) m.chip = Clean(LastOf(RealPath(path)));
      FindSensors(path, m);
      if (!device.empty()) FindSensors(path + "/device", m);
      found_.push_back(std::move(m));
    }
  }

  static void FindSensors(const std::string& path, Monitor& m) {
    SensorFile file;
    for (const std::string& name : NamesIn(path)) {
      if (Explode(name, file)) {
        m.sensors[file.sensor].push_back(
            {std::string(file.type), std::string(file.property), path + "/" + name});
      }
    }
  }

  void TellSensor(Row& row, const std::string& chip, const std::string& sensor,
                  const std::vector<Property>& files) {
    std::string label;
    bool bare = false;  // a value in a file without a property
    for (const Property& p : files) {
      bare |= p.name.empty();
      if (p.name != "label") continue;
      label = files_.Text(p.path);
      if (!label.empty()) row.Tell(kLabel, {chip, sensor, ValidUtf8(label)}, 1);
    }
    for (const Property& p : files) {
      if (p.name == "label") continue;
      const auto value = files_.Number(p.path);
      if (!value) continue;
      if (p.type == "freq" && p.name == "input") {
        if (label.empty()) continue;
        row.Tell(families_.Of("node_hwmon_freq_freq_mhz", MetricType::kGauge,
                              "Hardware monitor for GPU frequency in MHz", kLabels),
                 {chip, Clean(label)}, *value / 1e6);
        continue;
      }
      const Meaning meaning = MeaningOf(p, bare);
      row.Tell(*meaning.family, {chip, sensor},
               meaning.divide ? *value / meaning.unit : *value * meaning.unit);
    }
  }

  struct Meaning {
    const Family* family;
    double unit = 1;
    bool divide = false;  // as node_exporter does, for the same last digit
  };
  Meaning MeaningOf(const Property& p, bool bare) {
    const auto gauge = [this](const std::string& name, const std::string& help) {
      return &families_.Of(name, MetricType::kGauge, help, kLabels);
    };
    const std::string& type = p.type;
    const std::string& e = p.name;
    if (type == "beep_enable") return {gauge("node_hwmon_beep_enabled", "Hardware beep enabled")};
    if (type == "vrm")
      return {gauge("node_hwmon_voltage_regulator_version", "Hardware voltage regulator")};
    if (type == "update_interval")
      return {gauge("node_hwmon_update_interval_seconds", "Hardware monitor update interval"),
              0.001};
    std::string name = "node_hwmon_" + type;
    if (e == "input") {
      if (bare) name += "_input";
    } else if (!e.empty()) {
      name += "_" + Clean(e);
    }
    if (e == "fault" || e == "alarm")
      return {gauge(name, "Hardware sensor " + e + " status (" + type + ")")};
    if (e == "beep")
      return {gauge(name + "_enabled", "Hardware monitor sensor has beeping enabled")};
    if (type == "in" || type == "cpu")
      return {gauge(name + "_volts", "Hardware monitor for voltage (" + e + ")"), 0.001};
    if (type == "temp" && e != "type")
      return {gauge(name + "_celsius", "Hardware monitor for temperature (" + e + ")"), 0.001};
    if (type == "curr")
      return {gauge(name + "_amps", "Hardware monitor for current (" + e + ")"), 0.001};
    if (type == "energy") {
      return {&families_.Of(name + "_joule_total", MetricType::kCounter,
                            "Hardware monitor for joules used so far (" + e + ")", kLabels),
              1e6, true};
    }
    if (type == "power" && e == "accuracy")
      return {gauge(name, "Hardware monitor power meter accuracy, as a ratio"), 1e6, true};
    if (type == "power" && e.starts_with("average_interval")) {
      return {gauge(name + "_seconds", "Hardware monitor power usage update interval (" + e + ")"),
              0.001};
    }
    if (type == "power")
      return {gauge(name + "_watt", "Hardware monitor for power usage in watts (" + e + ")"), 1e6,
              true};
    if (type == "humidity") {
      return {gauge(name,
                    "Hardware monitor for humidity, as a ratio (multiply with 100.0 to get "
                    "the humidity as a percentage) (" +
                        e + ")"),
              1e6, true};
    }
    if (type == "fan" && (e == "input" || e == "min" || e == "max" || e == "target")) {
      return {gauge(name + "_rpm", "Hardware monitor for fan revolutions per minute (" + e + ")")};
    }
    return {gauge(name, "Hardware monitor " + type + " element " + e)};
  }

  const std::string root_;
  const Filter include_, exclude_;
  Attributes files_{256};
  FamilyBook families_;
  std::vector<std::string> monitors_;
  std::vector<Monitor> found_;
};

}  // namespace

std::unique_ptr<Part> MakeHwmon(const HostConfig& c) { return std::make_unique<Hwmon>(c); }

}  // namespace picket::collectors::host
