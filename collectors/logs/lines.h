// SPDX-License-Identifier: Apache-2.0
// From the bytes of a file to records: splits lines, joins the parts of CRI lines, caps long ones.
#pragma once
#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "collectors/logs/config.h"
#include "collectors/logs/cri.h"
#include "core/base/clock.h"
#include "core/model/logs.h"

namespace picket::collectors::logs {

/// A byte in one generation of a log: the file that was at the path at some time.
struct Place {
  uint64_t generation = 0;
  uint64_t offset = 0;
  auto operator<=>(const Place&) const = default;
};

/// Records of one read, by origin, in the order of the file.
using RecordLists = std::array<std::vector<LogRecord>, kOrigins>;

struct LineCounts {
  uint64_t unparsed = 0;   ///< lines of a CRI file that are not CRI, passed on whole
  uint64_t truncated = 0;  ///< lines cut at the limit
  uint64_t nul_bytes =
      0;  ///< skipped: the hole a truncation leaves under a writer without O_APPEND
};

/// The state between two reads of one reader of one log. Copyable: readers that part ways take a
/// copy each. Threads: one.
class LineAssembler {
 public:
  LineAssembler(Format format, size_t max_line_bytes)
      : format_(format), max_line_(max_line_bytes) {}

  struct Input {
    size_t begin = 0;   ///< first byte of the data in the arena
    Place at;           ///< where that byte lies
    uint64_t done = 0;  ///< records whose last line ends here or before were delivered earlier
    bool last = false;  ///< nothing will follow: an unfinished line counts as a line
    UnixNs now = 0;     ///< the time of lines that carry none
    Duration steady{};
  };
  /// Takes the complete lines in arena[begin, size) and adds their records. Text that is not in one
  /// piece in the file (joined or cut lines) is appended to the arena. Returns the bytes consumed.
  /// Cost: one memchr and one parse a line; no allocation unless a line is joined or cut.
  size_t Feed(std::string& arena, const Input& in, RecordLists& out, LineCounts& counts);

  /// Emits joins that have waited since before `older_than` as they are.
  void FlushOpen(std::string& arena, Duration older_than, RecordLists& out, LineCounts& counts);
  bool HasOpen() const { return joins_[0].open || joins_[1].open; }
  /// The first byte that is not in a record yet, if it lies before what was consumed.
  std::optional<Place> OldestOpen() const;

  /// The next bytes begin inside a line whose head was lost or delivered: skip to its end.
  void SkipToNewline() { skipping_ = true; }
  /// The file was cut off: what is open will not be finished.
  bool skipping() const { return skipping_; }
  /// Bytes that joins keep in memory.
  size_t HeldBytes() const { return joins_[0].text.size() + joins_[1].text.size(); }

 private:
  struct Join {
    bool open = false;
    bool cut = false;
    std::string text;
    UnixNs time_ns = 0;
    Place start;
    Duration since{};
  };
  struct Pass;  // one Feed

  void Line(Pass& pass, std::string_view line, uint64_t line_start, uint64_t line_end);
  void Cri(Pass& pass, const CriLine& line, uint64_t line_start, uint64_t line_end);
  void Emit(Pass& pass, Origin origin, UnixNs time, std::string_view text);
  void EmitCut(Pass& pass, Origin origin, UnixNs time, std::string_view text);
  void CloseJoin(Pass& pass, Origin origin);
  bool IsCri(std::string_view first_line);

  Format format_;
  size_t max_line_;
  CriParser cri_;
  std::array<Join, 2> joins_;
  bool skipping_ = false;
  UnixNs last_time_ = 0;
};

/// Ends a line that was cut at the limit.
inline constexpr std::string_view kTruncatedMark = "...[truncated]";

}  // namespace picket::collectors::logs
