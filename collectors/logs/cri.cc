// SPDX-License-Identifier: Apache-2.0
#include "collectors/logs/cri.h"

#include <array>
#include <chrono>
#include <cstring>
#include <string>

namespace picket::collectors::logs {
namespace {

constexpr UnixNs kSecond = 1'000'000'000;
constexpr std::array<int32_t, 10> kScale = {0,      100'000'000, 10'000'000, 1'000'000, 100'000,
                                            10'000, 1'000,       100,        10,        1};

int Digit(char c) { return static_cast<unsigned char>(c) - '0'; }
bool IsDigit(char c) { return static_cast<unsigned>(Digit(c)) < 10; }

// Two digits, or -1.
int Two(const char* p) {
  return IsDigit(p[0]) && IsDigit(p[1]) ? Digit(p[0]) * 10 + Digit(p[1]) : -1;
}

}  // namespace

bool CriParser::ParseDay(const char* p) {
  const int century = Two(p);
  const int year = Two(p + 2);
  const int month = Two(p + 5);
  const int day = Two(p + 8);
  if (century < 0 || year < 0 || p[4] != '-' || p[7] != '-') return false;
  const std::chrono::year_month_day date{std::chrono::year(century * 100 + year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  // Nanoseconds since 1970 end in 2262 and begin in 1677.
  if (!date.ok() || century < 17 || century * 100 + year > 2261) return false;
  day_ns_ = std::chrono::sys_days(date).time_since_epoch().count() * 86'400 * kSecond;
  std::memcpy(day_, p, sizeof day_);
  return true;
}

bool CriParser::ParseTime(const char*& p, const char* end, UnixNs& out) {
  if (end - p < 20 || (p[10] != 'T' && p[10] != 't') || p[13] != ':' || p[16] != ':') return false;
  if (std::memcmp(p, day_, sizeof day_) != 0 && !ParseDay(p)) return false;
  const int hour = Two(p + 11);
  const int minute = Two(p + 14);
  const int second = Two(p + 17);
  // 60 is a leap second; it runs into the next minute.
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) return false;
  UnixNs ns = day_ns_ + ((hour * 60 + minute) * 60 + second) * kSecond;
  p += 19;
  if (*p == '.') {
    const char* const first = ++p;
    int32_t fraction = 0;
    while (p < end && IsDigit(*p) && p - first < 9) fraction = fraction * 10 + Digit(*p++);
    if (p == first || (p < end && IsDigit(*p))) return false;
    ns += fraction * kScale[static_cast<size_t>(p - first)];
  }
  if (p == end) return false;
  if (*p == 'Z' || *p == 'z') {
    ++p;
  } else if ((*p == '+' || *p == '-') && end - p >= 6 && p[3] == ':') {
    const int h = Two(p + 1);
    const int m = Two(p + 4);
    if (h < 0 || h > 23 || m < 0 || m > 59) return false;
    const UnixNs shift = (h * 60 + m) * 60 * kSecond;
    ns += *p == '+' ? -shift : shift;
    p += 6;
  } else {
    return false;
  }
  out = ns;
  return true;
}

std::optional<CriLine> CriParser::Parse(std::string_view line) {
  const char* p = line.data();
  const char* const end = p + line.size();
  CriLine out;
  // The shortest tail is " stdout F".
  if (!ParseTime(p, end, out.time_ns) || end - p < 9 || std::memcmp(p, " std", 4) != 0)
    return std::nullopt;
  if (std::memcmp(p + 4, "out ", 4) == 0) {
    out.origin = Origin::kStdout;
  } else if (std::memcmp(p + 4, "err ", 4) == 0) {
    out.origin = Origin::kStderr;
  } else {
    return std::nullopt;
  }
  p += 8;
  if (*p != 'F' && *p != 'P') return std::nullopt;
  out.partial = *p == 'P';
  ++p;
  if (p < end && *p == ':') {  // more tags; none has a meaning yet
    p = static_cast<const char*>(std::memchr(p, ' ', static_cast<size_t>(end - p)));
    if (p == nullptr) p = end;
  }
  if (p < end && *p != ' ') return std::nullopt;
  if (p < end) ++p;
  out.message = {p, static_cast<size_t>(end - p)};
  return out;
}

std::optional<UnixNs> ParseRfc3339(std::string_view text) {
  std::string line(text);
  line += " stdout F";
  if (text.find(' ') != std::string_view::npos) return std::nullopt;
  CriParser parser;
  if (auto parsed = parser.Parse(line)) return parsed->time_ns;
  return std::nullopt;
}

}  // namespace picket::collectors::logs
