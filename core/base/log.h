// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <fmt/format.h>

#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace picket::log {

/// error = data lost or a human needed; warn = odd but recovered; info = lifecycle; debug = per
/// batch.
enum class Level : uint8_t { kDebug, kInfo, kWarn, kError };
enum class Format : uint8_t { kLogfmt, kJson };

/// Sets where the process writes (standard error) and how. Threads: call once, before the others.
void Configure(Level level, Format format);
bool Enabled(Level level);
void SetLevel(Level level);

/// One key and its value, rendered when the line is written. Secrets render as "<secret>".
struct Field {
  std::string_view key;
  std::string value;
  template <class T>
  Field(std::string_view k, const T& v) : key(k), value(fmt::format("{}", v)) {}
};

/// A sentence and its fields: log::Info("Target is up", {{"job", job}, {"instance", instance}}).
/// Cost: formats only when the level is enabled at the sink; keep off per-item paths.
void Write(Level level, std::string_view message, std::initializer_list<Field> fields = {});
inline void Debug(std::string_view m, std::initializer_list<Field> f = {}) {
  Write(Level::kDebug, m, f);
}
inline void Info(std::string_view m, std::initializer_list<Field> f = {}) {
  Write(Level::kInfo, m, f);
}
inline void Warn(std::string_view m, std::initializer_list<Field> f = {}) {
  Write(Level::kWarn, m, f);
}
inline void Error(std::string_view m, std::initializer_list<Field> f = {}) {
  Write(Level::kError, m, f);
}

/// Lets one message a period through for each call site and says how many it held back.
class RateLimit {
 public:
  /// True if the message may be written; `suppressed` is how many were not since the last one.
  bool Allow(uint64_t& suppressed, int64_t period_ms = 10'000);

 private:
  std::atomic<int64_t> next_ms_{0};
  std::atomic<uint64_t> held_{0};
};

}  // namespace picket::log
