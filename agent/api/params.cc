// SPDX-License-Identifier: Apache-2.0
#include "agent/api/params.h"

#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <cmath>

#include "core/net/http_server.h"

namespace picket::agent {
namespace {

std::optional<double> Number(std::string_view text) {
  double v = 0;
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (ec != std::errc() || end != text.data() + text.size() || !std::isfinite(v))
    return std::nullopt;
  return v;
}

// Reads exactly `digits` digits at `at`.
bool Digits(std::string_view text, size_t at, size_t digits, int& out) {
  if (at + digits > text.size()) return false;
  auto [end, ec] = std::from_chars(text.data() + at, text.data() + at + digits, out);
  return ec == std::errc() && end == text.data() + at + digits;
}

std::optional<UnixMs> Rfc3339(std::string_view t) {
  int y = 0, mo = 0, d = 0, h = 0, mi = 0, s = 0;
  if (!Digits(t, 0, 4, y) || !Digits(t, 5, 2, mo) || !Digits(t, 8, 2, d) || !Digits(t, 11, 2, h) ||
      !Digits(t, 14, 2, mi) || !Digits(t, 17, 2, s) || t[4] != '-' || t[7] != '-' ||
      (t[10] != 'T' && t[10] != 't') || t[13] != ':' || t[16] != ':')
    return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(y),
                                         std::chrono::month(static_cast<unsigned>(mo)),
                                         std::chrono::day(static_cast<unsigned>(d))};
  if (!date.ok() || h > 23 || mi > 59 || s > 60) return std::nullopt;
  int64_t ms = std::chrono::sys_days(date).time_since_epoch().count() * 86'400'000LL +
               ((h * 60LL + mi) * 60 + s) * 1000;
  size_t i = 19;
  if (i < t.size() && t[i] == '.') {
    int64_t scale = 100;
    for (++i; i < t.size() && t[i] >= '0' && t[i] <= '9'; ++i, scale /= 10)
      ms += (t[i] - '0') * scale;
  }
  const std::string_view zone = t.substr(i);
  if (zone == "Z" || zone == "z") return ms;
  int zh = 0, zm = 0;
  if (zone.size() != 6 || (zone[0] != '+' && zone[0] != '-') || zone[3] != ':' ||
      !Digits(zone, 1, 2, zh) || !Digits(zone, 4, 2, zm))
    return std::nullopt;
  const int64_t offset = (zh * 60LL + zm) * 60'000;
  return zone[0] == '+' ? ms - offset : ms + offset;
}

}  // namespace

Params::Params(std::string_view query, std::string_view form) : pairs_(net::ParseQuery(query)) {
  // Prometheus' own order: what is posted wins over the URL.
  auto posted = net::ParseQuery(form);
  pairs_.insert(pairs_.begin(), posted.begin(), posted.end());
}

std::string_view Params::Get(std::string_view name) const {
  for (const auto& [n, v] : pairs_)
    if (n == name) return v;
  return {};
}

std::vector<std::string> Params::All(std::string_view name) const {
  std::vector<std::string> out;
  for (const auto& [n, v] : pairs_)
    if (n == name) out.push_back(v);
  return out;
}

bool Params::Has(std::string_view name) const {
  for (const auto& [n, v] : pairs_)
    if (n == name) return true;
  return false;
}

Result<UnixMs> ParseTime(std::string_view text) {
  if (const auto seconds = Number(text); seconds && std::fabs(*seconds) < 9e15)
    return static_cast<UnixMs>(std::llround(*seconds * 1000));
  if (const auto ms = Rfc3339(text)) return *ms;
  return Fail(ErrorKind::kInvalidArgument,
              fmt::format("cannot parse \"{}\" to a valid timestamp", text));
}

Result<Milliseconds> ParseStep(std::string_view text) {
  if (const auto seconds = Number(text)) {
    if (*seconds <= 0 || *seconds > 9e12)
      return Fail(
          ErrorKind::kInvalidArgument,
          "zero or negative query resolution step widths are not accepted. Try a positive integer");
    return Milliseconds(static_cast<int64_t>(*seconds * 1000));
  }
  auto d = ParseDuration(text);
  if (!d || d->count() <= 0)
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("cannot parse \"{}\" to a valid duration", text));
  return d;
}

std::string FormatTime(UnixMs ms) {
  const int64_t days = ms >= 0 ? ms / 86'400'000 : -((-ms + 86'399'999) / 86'400'000);
  const std::chrono::year_month_day date{std::chrono::sys_days(std::chrono::days(days))};
  int64_t rest = ms - days * 86'400'000;
  std::string out =
      fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", static_cast<int>(date.year()),
                  static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                  rest / 3'600'000, rest / 60'000 % 60, rest / 1000 % 60);
  if (const int64_t fraction = rest % 1000; fraction != 0) {
    out += fmt::format(".{:03}", fraction);
    while (out.back() == '0') out.pop_back();
  }
  return out + "Z";
}

}  // namespace picket::agent
