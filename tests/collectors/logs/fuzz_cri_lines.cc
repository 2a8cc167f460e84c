// SPDX-License-Identifier: Apache-2.0
// A file fed in any pieces, to any format and limit: nothing is read outside it, every record lies
// in its arena, and cutting the file elsewhere gives the same records.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "collectors/logs/lines.h"

namespace {

using namespace picket;
using namespace picket::collectors::logs;

std::vector<std::string> Records(std::string_view file, Format format, size_t limit, size_t step) {
  LineAssembler lines(format, limit);
  LineCounts counts;
  std::vector<std::string> out;
  auto take = [&](const std::string& arena, const RecordLists& lists) {
    for (const auto& list : lists)
      for (const LogRecord& r : list) {
        if (r.offset > arena.size() || r.length > arena.size() - r.offset) std::abort();
        if (r.length > limit + kTruncatedMark.size()) std::abort();
        out.push_back(arena.substr(r.offset, r.length));
      }
  };
  size_t at = 0;
  for (size_t end = 0; end < file.size();) {
    end = std::min(end + step, file.size());
    std::string arena(file.substr(at, end - at));
    RecordLists lists;
    const size_t consumed = lines.Feed(
        arena,
        {.begin = 0, .at = {1, at}, .done = 0, .last = end == file.size(), .now = 1, .steady = {}},
        lists, counts);
    if (consumed > end - at) std::abort();
    at += consumed;
    take(arena, lists);
  }
  std::string arena;
  RecordLists lists;
  lines.FlushOpen(arena, Duration::max(), lists, counts);
  take(arena, lists);
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const auto format = static_cast<Format>(data[0] % 3);
  const size_t step = 1 + data[1];
  const std::string_view file(reinterpret_cast<const char*>(data) + 2, size - 2);
  // A limit above the whole file keeps every line whole, so that the pieces must not matter.
  auto whole = Records(file, format, file.size() + 64, file.size());
  auto pieces = Records(file, format, file.size() + 64, step);
  std::sort(whole.begin(), whole.end());
  std::sort(pieces.begin(), pieces.end());
  if (whole != pieces) std::abort();
  Records(file, format, 256, step);
  return 0;
}
