// SPDX-License-Identifier: Apache-2.0
#include "core/base/log.h"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <memory>

#include "core/base/clock.h"
#include "core/base/strings.h"

namespace picket::log {
namespace {

std::atomic<Format> g_format{Format::kLogfmt};

spdlog::logger& Logger() {
  // Kept for the life of the process: threads may log while it ends.
  static auto* logger = [] {
    auto* l = new spdlog::logger("picket", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    l->set_pattern("%v");
    l->set_level(spdlog::level::info);
    l->flush_on(spdlog::level::info);
    return l;
  }();
  return *logger;
}

spdlog::level::level_enum ToSpdlog(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarn:
      return spdlog::level::warn;
    case Level::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

std::string_view Name(Level level) {
  switch (level) {
    case Level::kDebug:
      return "debug";
    case Level::kInfo:
      return "info";
    case Level::kWarn:
      return "warn";
    case Level::kError:
      return "error";
  }
  return "info";
}

std::string Now() {
  const auto now = std::chrono::system_clock::now();
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch());
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  std::tm tm{};
  gmtime_r(&seconds, &tm);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", tm.tm_year + 1900, tm.tm_mon + 1,
                     tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, ms.count() % 1000);
}

void AppendLogfmtValue(std::string& out, std::string_view v) {
  const bool plain = !v.empty() && v.find_first_of(" \"=\\\n\r\t") == std::string_view::npos;
  if (plain && IsValidUtf8(v))
    out += v;
  else
    AppendJsonQuoted(out, v);
}

}  // namespace

void Configure(Level level, Format format) {
  g_format = format;
  SetLevel(level);
}

void SetLevel(Level level) { Logger().set_level(ToSpdlog(level)); }

bool Enabled(Level level) { return Logger().should_log(ToSpdlog(level)); }

void Write(Level level, std::string_view message, std::initializer_list<Field> fields) {
  if (!Enabled(level)) return;
  std::string line;
  if (g_format == Format::kJson) {
    line = fmt::format("{{\"ts\":\"{}\",\"level\":\"{}\",\"msg\":{}", Now(), Name(level),
                       JsonQuote(message));
    for (const Field& f : fields) {
      line += ',';
      AppendJsonQuoted(line, f.key);
      line += ':';
      AppendJsonQuoted(line, f.value);
    }
    line += '}';
  } else {
    line = fmt::format("ts={} level={} msg=", Now(), Name(level));
    AppendLogfmtValue(line, message);
    for (const Field& f : fields) {
      line += ' ';
      line += f.key;
      line += '=';
      AppendLogfmtValue(line, f.value);
    }
  }
  Logger().log(ToSpdlog(level), line);
}

bool RateLimit::Allow(uint64_t& suppressed, int64_t period_ms) {
  const int64_t now = SystemClock::Get().Steady().count() / 1'000'000;
  int64_t next = next_ms_.load(std::memory_order_relaxed);
  if (now < next || !next_ms_.compare_exchange_strong(next, now + period_ms)) {
    held_.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  suppressed = held_.exchange(0);
  return true;
}

}  // namespace picket::log
