// SPDX-License-Identifier: Apache-2.0
// Lines as container runtimes write them: `<RFC 3339 time> <stdout|stderr> <tags> <message>`.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/base/clock.h"

namespace picket::collectors::logs {

/// Where a line came from. kWhole lines did not parse as CRI or come from a plain file.
enum class Origin : uint8_t { kStdout, kStderr, kWhole };
inline constexpr int kOrigins = 3;

struct CriLine {
  UnixNs time_ns = 0;
  Origin origin = Origin::kStdout;
  bool partial = false;  ///< tag P: the next line of the same stream goes on
  std::string_view message;
};

/// Reads CRI lines. Remembers the last day and zone seen, so that a time costs a few digits.
/// Threads: one. Source: Kubernetes CRI logging format; RFC 3339.
class CriParser {
 public:
  /// A line without its newline, or nothing if it is not well-formed. A `\r` before the newline
  /// belongs to the message.
  std::optional<CriLine> Parse(std::string_view line);

 private:
  bool ParseTime(const char*& p, const char* end, UnixNs& out);
  bool ParseDay(const char* p);

  char day_[10] = {};  // "2026-03-01" of day_ns_
  UnixNs day_ns_ = 0;
};

/// RFC 3339 with up to nine digits of fraction and any zone; the whole text. For JSON times and
/// tests.
std::optional<UnixNs> ParseRfc3339(std::string_view text);

}  // namespace picket::collectors::logs
