// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/result.h"

namespace picket {

/// A number of bytes. Written "128MiB", "2GiB", "500KB", "1024" or "0".
struct Bytes {
  uint64_t value = 0;
  constexpr Bytes() = default;
  constexpr explicit Bytes(uint64_t v) : value(v) {}
  auto operator<=>(const Bytes&) const = default;
};
constexpr Bytes operator""_KiB(unsigned long long n) { return Bytes(n << 10); }
constexpr Bytes operator""_MiB(unsigned long long n) { return Bytes(n << 20); }
constexpr Bytes operator""_GiB(unsigned long long n) { return Bytes(n << 30); }

/// Both decimal (KB, MB) and binary (KiB, MiB) units; a bare number is bytes.
Result<Bytes> ParseBytes(std::string_view text);
/// The shortest exact form: "128MiB", "1000B".
std::string FormatBytes(Bytes bytes);

/// Prometheus durations: "1h30m", "15s", "10ms", "0"; units y w d h m s ms, largest first, each
/// once, integers. Source: Prometheus documentation, configuration, <duration>.
Result<Milliseconds> ParseDuration(std::string_view text);
/// The same form back: "1h30m", "0s".
std::string FormatDuration(Milliseconds duration);

}  // namespace picket
