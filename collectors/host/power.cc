// SPDX-License-Identifier: Apache-2.0
// Heat and power: cpufreq, powersupplyclass, rapl, thermal_zone.
#include <map>

#include "collectors/host/attributes.h"
#include "collectors/host/collectors.h"
#include "collectors/host/file.h"
#include "collectors/host/filter.h"
#include "core/base/strings.h"

namespace picket::collectors::host {
namespace {

/// "cpu12" after "cpu"; empty when it is something else.
std::string NumberAfter(std::string_view prefix, std::string_view name) {
  if (!name.starts_with(prefix) || name.size() == prefix.size()) return {};
  name.remove_prefix(prefix.size());
  return name.find_first_not_of("0123456789") == std::string_view::npos ? std::string(name) : "";
}

class CpuFrequency final : public Part {
 public:
  explicit CpuFrequency(const HostConfig& config) : root_(config.sysfs + "/devices/system/cpu") {}
  std::string_view name() const override { return "cpufreq"; }

  Status Tell(Row& row) override {
    static const auto of = [](const char* file, const char* what, const char* help) {
      return std::pair(file, Gauge(std::string("node_cpu_") + what, help, {"cpu"}));
    };
    static const std::pair<const char*, Family> kFiles[] = {
        of("cpuinfo_cur_freq", "frequency_hertz", "Current CPU thread frequency in hertz."),
        of("cpuinfo_min_freq", "frequency_min_hertz", "Minimum CPU thread frequency in hertz."),
        of("cpuinfo_max_freq", "frequency_max_hertz", "Maximum CPU thread frequency in hertz."),
        of("scaling_cur_freq", "scaling_frequency_hertz",
           "Current scaled CPU thread frequency in hertz."),
        of("scaling_min_freq", "scaling_frequency_min_hertz",
           "Minimum scaled CPU thread frequency in hertz."),
        of("scaling_max_freq", "scaling_frequency_max_hertz",
           "Maximum scaled CPU thread frequency in hertz.")};
    static const Family governor =
        Gauge("node_cpu_scaling_governor", "Current enabled CPU frequency governor.",
              {"cpu", "governor"});
    files_.NextTurn();
    for (const std::string& folder : NamesIn(root_)) {
      const std::string cpu = NumberAfter("cpu", folder);
      if (cpu.empty()) continue;
      const std::string path = root_ + "/" + folder + "/cpufreq/";
      const std::string now = files_.Text(path + "scaling_governor");
      for (const auto& [file, family] : kFiles) {
        if (const auto khz = files_.Number(path + file)) row.Tell(family, {cpu}, *khz * 1000);
      }
      if (now.empty()) continue;
      const std::string all = files_.Text(path + "scaling_available_governors");
      std::string_view rest = all;
      for (auto word = TakeWord(rest); !word.empty(); word = TakeWord(rest))
        row.Tell(governor, {cpu, word}, word == now ? 1 : 0);
    }
    return {};
  }

 private:
  const std::string root_;
  Attributes files_;
};

class PowerSupply final : public Part {
 public:
  explicit PowerSupply(const HostConfig& config)
      : root_(config.sysfs + "/class/power_supply"),
        ignored_(Filter::Compile(config.powersupplyclass.ignored_supplies).value_or(Filter())) {
    const auto add = [this](double divisor,
                            std::initializer_list<std::pair<const char*, const char*>> rows) {
      for (const auto& [what, file] : rows) {
        const std::string name = what;
        fields_.emplace(*file != '\0' ? file : what,
                        Field{Gauge("node_power_supply_" + name,
                                    name + " value of /sys/class/power_supply/<power_supply>.",
                                    {"power_supply"}),
                              divisor});
      }
    };
    add(1, {{"authentic", ""},
            {"calibrate", ""},
            {"capacity", ""},
            {"capacity_alert_max", ""},
            {"capacity_alert_min", ""},
            {"cyclecount", "cycle_count"},
            {"online", ""},
            {"present", ""},
            {"time_to_empty_seconds", "time_to_empty_now"},
            {"time_to_full_seconds", "time_to_full_now"}});
    add(1e6, {{"current_boot", ""},
              {"current_max", ""},
              {"current_ampere", "current_now"},
              {"energy_empty", ""},
              {"energy_empty_design", ""},
              {"energy_full", ""},
              {"energy_full_design", ""},
              {"energy_watthour", "energy_now"},
              {"voltage_boot", ""},
              {"voltage_max", ""},
              {"voltage_max_design", ""},
              {"voltage_min", ""},
              {"voltage_min_design", ""},
              {"voltage_volt", "voltage_now"},
              {"voltage_ocv", ""},
              {"charge_control_limit", ""},
              {"charge_control_limit_max", ""},
              {"charge_counter", ""},
              {"charge_empty", ""},
              {"charge_empty_design", ""},
              {"charge_full", ""},
              {"charge_full_design", ""},
              {"charge_ampere", "charge_now"},
              {"charge_term_current", ""},
              {"constant_charge_current", ""},
              {"constant_charge_current_max", ""},
              {"constant_charge_voltage", ""},
              {"constant_charge_voltage_max", ""},
              {"precharge_current", ""},
              {"input_current_limit", ""},
              {"power_watt", "power_now"}});
    add(10, {{"temp_celsius", "temp"},
             {"temp_alert_max_celsius", "temp_alert_max"},
             {"temp_alert_min_celsius", "temp_alert_min"},
             {"temp_ambient_celsius", "temp_ambient"},
             {"temp_ambient_max_celsius", "temp_ambient_max"},
             {"temp_ambient_min_celsius", "temp_ambient_min"},
             {"temp_max_celsius", "temp_max"},
             {"temp_min_celsius", "temp_min"}});
  }
  std::string_view name() const override { return "powersupplyclass"; }

  Status Tell(Row& row) override {
    const auto supplies = ListFolder(root_);
    if (!supplies) return Fail(OrNoData(supplies.error()));
    files_.NextTurn();
    for (const std::string& supply : *supplies) {
      if (!ignored_.Excludes(supply)) TellSupply(row, supply);
    }
    return {};
  }

 private:
  struct Field {
    Family family;
    double divisor;
  };
  void TellSupply(Row& row, const std::string& supply) {
    static constexpr const char* kTexts[] = {
        "capacity_level", "charge_type", "health", "manufacturer", "model_name", "serial_number",
        "status",         "technology",  "type",   "usb_type",     "scope"};
    static const Family info =
        Gauge("node_power_supply_info", "info of /sys/class/power_supply/<power_supply>.",
              {"power_supply", "capacity_level", "charge_type", "health", "manufacturer",
               "model_name", "serial_number", "status", "technology", "type", "usb_type", "scope"});
    const std::string path = root_ + "/" + supply + "/";
    for (const std::string& file : NamesIn(path)) {
      const auto it = fields_.find(file);
      if (it == fields_.end()) continue;
      if (const auto value = files_.Number(path + file))
        row.Tell(it->second.family, {supply}, *value / it->second.divisor);
    }
    std::vector<std::string> texts;
    for (const char* file : kTexts) texts.push_back(ValidUtf8(files_.Text(path + file)));
    std::vector<std::string_view> values{supply};
    values.insert(values.end(), texts.begin(), texts.end());
    row.Tell(info, values, 1);
  }
  const std::string root_;
  const Filter ignored_;
  std::map<std::string, Field, std::less<>> fields_;
  Attributes files_;
};

class Rapl final : public Part {
 public:
  explicit Rapl(const HostConfig& config) : root_(config.sysfs + "/class/powercap") {}
  std::string_view name() const override { return "rapl"; }

  Status Tell(Row& row) override {
    const auto zones = ListFolder(root_);
    if (!zones) return Fail(OrNoData(zones.error()));
    files_.NextTurn();
    std::map<std::string, int> used;
    for (const std::string& zone : *zones) {
      const std::string path = root_ + "/" + zone;
      std::string what = files_.Text(path + "/name");
      if (what.empty()) continue;
      // "package-0" has its number, several "dram" are counted.
      const size_t dash = what.find('-');
      std::string index = dash == std::string::npos ? "" : NumberAfter("-", what.substr(dash));
      if (index.empty()) {
        index = dash == std::string::npos ? std::to_string(used[what]++) : "0";
      }
      what = what.substr(0, dash);
      const auto energy = files_.Number(path + "/energy_uj");
      if (!energy) return NoData("may not read " + path + "/energy_uj");
      std::string metric = what;
      for (char& c : metric) {
        if ((c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != ':')
          c = '_';
      }
      row.Tell(families_.Of("node_rapl_" + metric + "_joules_total", MetricType::kCounter,
                            "Current RAPL " + what + " value in joules", {"index", "path"}),
               {index, path}, *energy / 1e6);
    }
    return {};
  }

 private:
  const std::string root_;
  Attributes files_;
  FamilyBook families_;
};

class Thermal final : public Part {
 public:
  explicit Thermal(const HostConfig& config) : root_(config.sysfs + "/class/thermal") {}
  std::string_view name() const override { return "thermal_zone"; }

  Status Tell(Row& row) override {
    static const Family temp =
        Gauge("node_thermal_zone_temp", "Zone temperature in Celsius", {"zone", "type"});
    static const Family current =
        Gauge("node_cooling_device_cur_state", "Current throttle state of the cooling device",
              {"name", "type"});
    static const Family max =
        Gauge("node_cooling_device_max_state", "Maximum throttle state of the cooling device",
              {"name", "type"});
    files_.NextTurn();
    for (const std::string& folder : NamesIn(root_)) {
      const std::string path = root_ + "/" + folder + "/";
      if (const std::string zone = NumberAfter("thermal_zone", folder); !zone.empty()) {
        const std::string type = files_.Text(path + "type");
        if (const auto value = files_.Number(path + "temp"))
          row.Tell(temp, {zone, type}, *value / 1000);
      }
      if (const std::string device = NumberAfter("cooling_device", folder); !device.empty()) {
        const std::string type = files_.Text(path + "type");
        if (const auto value = files_.Number(path + "cur_state"))
          row.Tell(current, {device, type}, *value);
        if (const auto value = files_.Number(path + "max_state"))
          row.Tell(max, {device, type}, *value);
      }
    }
    return {};
  }

 private:
  const std::string root_;
  Attributes files_;
};

}  // namespace

std::unique_ptr<Part> MakeCpuFreq(const HostConfig& c) { return std::make_unique<CpuFrequency>(c); }
std::unique_ptr<Part> MakePowerSupply(const HostConfig& c) {
  return std::make_unique<PowerSupply>(c);
}
std::unique_ptr<Part> MakeRapl(const HostConfig& c) { return std::make_unique<Rapl>(c); }
std::unique_ptr<Part> MakeThermal(const HostConfig& c) { return std::make_unique<Thermal>(c); }

}  // namespace picket::collectors::host
