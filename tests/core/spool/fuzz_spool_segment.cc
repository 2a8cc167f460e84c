// SPDX-License-Identifier: Apache-2.0
// Any bytes as a segment: the scan ends, its records lie inside, ascend, and do not overlap.
#include <algorithm>
#include <cstdlib>

#include "core/spool/format.h"

namespace {

class Bytes final : public picket::spool::File {
 public:
  explicit Bytes(std::string_view b) : bytes_(b) {}
  picket::Status WriteAt(uint64_t, std::span<const std::string_view>) override { return {}; }
  picket::Result<size_t> ReadAt(uint64_t at, char* to, size_t n) override {
    if (at >= bytes_.size()) return 0;
    n = std::min<uint64_t>(n, bytes_.size() - at);
    std::copy_n(bytes_.data() + at, n, to);
    return n;
  }
  picket::Status Allocate(uint64_t) override { return {}; }
  picket::Status Sync() override { return {}; }

 private:
  std::string_view bytes_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace picket::spool;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  Bytes file(input);
  for (const bool verify : {false, true}) {
    const auto scan = ScanSegment(file, size, 1, verify);
    if (!scan) continue;
    uint64_t end = kSegmentHeaderBytes, seq = 0;
    for (const auto& r : scan->records) {
      if (r.offset < end || r.header.seq <= seq || r.header.lane >= kLanes) std::abort();
      if (uint64_t{r.offset} + kRecordHeaderBytes + r.header.length > size) std::abort();
      end = r.offset + kRecordHeaderBytes;
      seq = r.header.seq;
    }
    if (scan->end > std::max<uint64_t>(size, kSegmentHeaderBytes)) std::abort();
  }
  if (input.size() >= kCursorSlotBytes) (void)DecodeCursor(input);
  return 0;
}
