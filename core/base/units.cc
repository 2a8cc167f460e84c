// SPDX-License-Identifier: Apache-2.0
#include "core/base/units.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <limits>

namespace picket {
namespace {

struct Unit {
  std::string_view name;
  uint64_t factor;
};

constexpr std::array<Unit, 15> kByteUnits = {{{"B", 1},
                                              {"KiB", 1ULL << 10},
                                              {"MiB", 1ULL << 20},
                                              {"GiB", 1ULL << 30},
                                              {"TiB", 1ULL << 40},
                                              {"PiB", 1ULL << 50},
                                              {"EiB", 1ULL << 60},
                                              {"KB", 1000},
                                              {"MB", 1'000'000},
                                              {"GB", 1'000'000'000},
                                              {"TB", 1'000'000'000'000},
                                              {"PB", 1'000'000'000'000'000},
                                              {"K", 1ULL << 10},
                                              {"M", 1ULL << 20},
                                              {"G", 1ULL << 30}}};

constexpr std::array<Unit, 7> kTimeUnits = {{{"y", 365ULL * 86'400'000},
                                             {"w", 7ULL * 86'400'000},
                                             {"d", 86'400'000},
                                             {"h", 3'600'000},
                                             {"m", 60'000},
                                             {"s", 1000},
                                             {"ms", 1}}};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

Result<Bytes> ParseBytes(std::string_view text) {
  uint64_t number = 0;
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (ec != std::errc())
    return Fail(
        ErrorKind::kInvalidArgument,
        fmt::format("\"{}\" is not a size: expected a number with a unit like 64MiB", text));
  std::string_view unit = text.substr(static_cast<size_t>(end - text.data()));
  if (unit.empty()) return Bytes(number);
  for (const Unit& u : kByteUnits) {
    if (u.name != unit) continue;
    if (number > std::numeric_limits<uint64_t>::max() / u.factor)
      return Fail(ErrorKind::kInvalidArgument, fmt::format("\"{}\" is out of range", text));
    return Bytes(number * u.factor);
  }
  return Fail(ErrorKind::kInvalidArgument,
              fmt::format("\"{}\" has unknown unit \"{}\": use B, KiB, MiB, GiB, KB, MB or GB",
                          text, unit));
}

std::string FormatBytes(Bytes bytes) {
  const uint64_t v = bytes.value;
  if (v == 0) return "0";
  for (int i = 4; i >= 1; --i)
    if (const Unit& u = kByteUnits[static_cast<size_t>(i)]; v % u.factor == 0)
      return fmt::format("{}{}", v / u.factor, u.name);
  return fmt::format("{}B", v);
}

Result<Milliseconds> ParseDuration(std::string_view text) {
  auto bad = [&](std::string_view why) {
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("not a valid duration string: \"{}\"{}", text, why));
  };
  if (text == "0") return Milliseconds(0);
  if (text.empty()) return bad("");
  uint64_t total = 0;
  size_t next_unit = 0;
  std::string_view rest = text;
  while (!rest.empty()) {
    uint64_t number = 0;
    auto [end, ec] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
    if (ec != std::errc() || !IsDigit(rest.front())) return bad("");
    rest.remove_prefix(static_cast<size_t>(end - rest.data()));
    size_t len = 0;
    while (len < rest.size() && !IsDigit(rest[len])) ++len;
    const std::string_view name = rest.substr(0, len);
    size_t i = next_unit;
    while (i < kTimeUnits.size() && kTimeUnits[i].name != name) ++i;
    if (i == kTimeUnits.size()) return bad(": units are y w d h m s ms, largest first, each once");
    if (number > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) / kTimeUnits[i].factor)
      return bad(": out of range");
    total += number * kTimeUnits[i].factor;
    if (total > static_cast<uint64_t>(std::numeric_limits<int64_t>::max() / 1'000'000))
      return bad(": out of range");
    next_unit = i + 1;
    rest.remove_prefix(len);
  }
  return Milliseconds(static_cast<int64_t>(total));
}

std::string FormatDuration(Milliseconds duration) {
  int64_t ms = duration.count();
  if (ms == 0) return "0s";
  std::string out;
  if (ms < 0) {
    out = "-";
    ms = -ms;
  }
  auto put = [&](const Unit& u, bool exact_only) {
    const auto factor = static_cast<int64_t>(u.factor);
    if (exact_only && ms % factor != 0) return;
    if (const int64_t n = ms / factor; n > 0) {
      out += fmt::format("{}{}", n, u.name);
      ms -= n * factor;
    }
  };
  for (size_t i = 0; i < kTimeUnits.size(); ++i) put(kTimeUnits[i], i < 3);
  return out;
}

}  // namespace picket
