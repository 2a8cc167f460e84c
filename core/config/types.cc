// SPDX-License-Identifier: Apache-2.0
#include "core/config/types.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "core/base/strings.h"

namespace picket::config::internal {
namespace {

std::string ParseBool(std::string_view text, void* out) {
  // YAML 1.1, as Prometheus reads it: true/yes/on in three spellings each.
  for (std::string_view yes : {"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"})
    if (text == yes) return *static_cast<bool*>(out) = true, std::string();
  for (std::string_view no : {"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"})
    if (text == no) return *static_cast<bool*>(out) = false, std::string();
  return fmt::format("\"{}\" is neither true nor false", text);
}

std::string ParseFloat(std::string_view text, void* out) {
  double v = 0;
  std::string_view digits = text;
  if (digits.starts_with('+')) digits.remove_prefix(1);
  auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), v);
  if (ec != std::errc() || end != digits.data() + digits.size() || digits.empty() ||
      !std::isfinite(v))
    return fmt::format("\"{}\" is not a number", text);
  *static_cast<double*>(out) = v;
  return {};
}

template <class D>
std::string ParseDurationAs(std::string_view text, void* out) {
  Result<Milliseconds> r = ParseDuration(text);
  if (!r) return r.error().message();
  if constexpr (std::is_same_v<D, std::chrono::seconds>)
    if (r->count() % 1000 != 0) return fmt::format("\"{}\" is not a whole number of seconds", text);
  *static_cast<D*>(out) = std::chrono::duration_cast<D>(*r);
  return {};
}
template <class D>
std::string FormatDurationAs(const void* v) {
  return FormatDuration(std::chrono::duration_cast<Milliseconds>(*static_cast<const D*>(v)));
}
template <class D>
long double DurationNumber(const void* v) {
  return static_cast<long double>(static_cast<const D*>(v)->count());
}
template <class D>
constexpr TypeInfo DurationType() {
  return {.kind = Kind::kDuration,
          .name = "duration",
          .parse = &ParseDurationAs<D>,
          .format = &FormatDurationAs<D>,
          .number = &DurationNumber<D>};
}

std::string ParseSize(std::string_view text, void* out) {
  Result<Bytes> r = ParseBytes(text);
  if (!r) return r.error().message();
  *static_cast<Bytes*>(out) = *r;
  return {};
}

}  // namespace

constinit const TypeInfo kBoolType = {.kind = Kind::kBool,
                                      .name = "boolean",
                                      .parse = &ParseBool,
                                      .format = [](const void* v) -> std::string {
                                        return *static_cast<const bool*>(v) ? "true" : "false";
                                      }};
constinit const TypeInfo kFloatType = {
    .kind = Kind::kFloat,
    .name = "number",
    .parse = &ParseFloat,
    .format = [](const void* v) { return FormatFloat(*static_cast<const double*>(v)); },
    .number = [](const void* v) -> long double { return *static_cast<const double*>(v); }};
constinit const TypeInfo kStringType = {
    .kind = Kind::kString,
    .name = "string",
    .parse =
        [](std::string_view text, void* out) {
          static_cast<std::string*>(out)->assign(text);
          return std::string();
        },
    .format = [](const void* v) { return *static_cast<const std::string*>(v); }};
constinit const TypeInfo kSecretType = {
    .kind = Kind::kSecret,
    .name = "secret",
    .parse =
        [](std::string_view text, void* out) {
          *static_cast<Secret*>(out) = Secret(std::string(text));
          return std::string();
        },
    .format = [](const void* v) -> std::string {
      return static_cast<const Secret*>(v)->empty() ? "" : "<secret>";
    }};
constinit const TypeInfo kBytesType = {
    .kind = Kind::kBytes,
    .name = "size",
    .parse = &ParseSize,
    .format = [](const void* v) { return FormatBytes(*static_cast<const Bytes*>(v)); },
    .number = [](const void* v) -> long double {
      return static_cast<long double>(static_cast<const Bytes*>(v)->value);
    }};
constinit const TypeInfo kMillisecondsType = DurationType<Milliseconds>();
constinit const TypeInfo kNanosecondsType = DurationType<std::chrono::nanoseconds>();
constinit const TypeInfo kSecondsType = DurationType<std::chrono::seconds>();
constinit const TypeInfo kLabelsType = {.kind = Kind::kLabels, .name = "labels"};

std::string ParseInteger(std::string_view text, bool is_signed, long double low, long double high,
                         uint64_t* bits) {
  std::string_view digits = text;
  const bool minus = digits.starts_with('-');
  if (minus || digits.starts_with('+')) digits.remove_prefix(1);
  int base = 10;
  if (digits.starts_with("0x")) base = 16;
  if (digits.starts_with("0o")) base = 8;
  if (digits.starts_with("0b")) base = 2;
  if (base != 10) digits.remove_prefix(2);
  uint64_t v = 0;
  auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), v, base);
  if (ec == std::errc::invalid_argument || end != digits.data() + digits.size())
    return fmt::format("\"{}\" is not a whole number", text);
  const long double value = minus ? -static_cast<long double>(v) : static_cast<long double>(v);
  if (ec != std::errc() || value < low || value > high) {
    if (minus && !is_signed) return fmt::format("{} is negative", text);
    return fmt::format("{} is out of range", text);
  }
  *bits = minus ? ~v + 1 : v;
  return {};
}

}  // namespace picket::config::internal
