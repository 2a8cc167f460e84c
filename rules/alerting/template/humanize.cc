// SPDX-License-Identifier: Apache-2.0
#include "rules/alerting/template/humanize.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <string_view>

#include "rules/alerting/template/value.h"

namespace picket::rules::alerting::tmpl {
namespace {

constexpr std::array<std::string_view, 8> kSmall = {"m", "u", "n", "p", "f", "a", "z", "y"};

// Scales a number below one up until it is at least one.
std::string Small(double v, std::string_view unit) {
  std::string_view prefix;
  for (const std::string_view p : kSmall) {
    if (std::fabs(v) >= 1) break;
    prefix = p;
    v *= 1000;
  }
  return fmt::format("{}{}{}", FourDigits(v), prefix, unit);
}

}  // namespace

std::string FourDigits(double v) {
  if (std::isnan(v)) return "NaN";
  if (std::isinf(v)) return v > 0 ? "+Inf" : "-Inf";
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.4g", v);
  return buffer;
}

std::string Humanize(double v) {
  if (v == 0 || !std::isfinite(v)) return FourDigits(v);
  if (std::fabs(v) < 1) return Small(v, "");
  std::string_view prefix;
  for (const std::string_view p : {"k", "M", "G", "T", "P", "E", "Z", "Y"}) {
    if (std::fabs(v) < 1000) break;
    prefix = p;
    v /= 1000;
  }
  return fmt::format("{}{}", FourDigits(v), prefix);
}

std::string Humanize1024(double v) {
  if (std::fabs(v) <= 1 || !std::isfinite(v)) return FourDigits(v);
  std::string_view prefix;
  for (const std::string_view p : {"ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"}) {
    if (std::fabs(v) < 1024) break;
    prefix = p;
    v /= 1024;
  }
  return fmt::format("{}{}", FourDigits(v), prefix);
}

std::string HumanizeDuration(double v) {
  if (!std::isfinite(v)) return FourDigits(v);
  if (v == 0) return FourDigits(v) + "s";
  if (std::fabs(v) < 1) return Small(v, "s");
  if (std::fabs(v) >= 9e18) return FourDigits(v) + "s";
  const std::string sign = v < 0 ? "-" : "";
  const double a = std::fabs(v);
  const auto total = static_cast<int64_t>(a);
  const int64_t s = total % 60, m = total / 60 % 60, h = total / 3600 % 24, d = total / 86400;
  if (d != 0) return fmt::format("{}{}d {}h {}m {}s", sign, d, h, m, s);
  if (h != 0) return fmt::format("{}{}h {}m {}s", sign, h, m, s);
  if (m != 0) return fmt::format("{}{}m {}s", sign, m, s);
  return fmt::format("{}{}s", sign, FourDigits(a));
}

std::string HumanizePercentage(double v) { return FourDigits(v * 100) + "%"; }

std::string HumanizeTimestamp(double v) {
  if (!std::isfinite(v) || std::fabs(v) > 9.2e9) return FourDigits(v);
  return PrintTime(static_cast<UnixNs>(std::llround(v * 1000)) * 1'000'000);
}

}  // namespace picket::rules::alerting::tmpl
