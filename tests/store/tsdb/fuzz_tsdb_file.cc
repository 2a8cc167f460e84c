// SPDX-License-Identifier: Apache-2.0
// Any bytes as a column, a block, a row log and the series file: no crash, nothing read outside,
// nothing endless.
#include <cstdint>
#include <cstring>
#include <vector>

#include "core/base/hash.h"
#include "store/tsdb/column/block.h"
#include "store/tsdb/index/series_table.h"
#include "store/tsdb/log_heap.h"
#include "store/tsdb/stripe.h"

using namespace picket;
using namespace picket::store::tsdb;

namespace {

void Columns(std::span<const uint8_t> bytes) {
  if (bytes.empty()) return;
  DecodedColumn column;
  const int rows = bytes[0] % (kMaxRows + 2);
  DecodeColumn(bytes.subspan(1), rows, column);
  DecodeTimedColumn(bytes.subspan(1), column);
}

void Block(std::span<const uint8_t> bytes) {
  if (bytes.size() < sizeof(BlockHeader)) return;
  BlockHeader header;
  std::memcpy(&header, bytes.data(), sizeof header);
  header.version = kBlockVersion;
  const std::vector<uint8_t> payload(bytes.begin() + sizeof header, bytes.end());
  const BlockView view(header, payload);
  if (!view.ok()) return;
  int64_t times[kMaxRows];
  view.Times(times);
  DecodedColumn column;
  std::vector<SeriesId> ids;
  view.ForEach([&](const BlockView::Entry& e) {
    ids.push_back(e.id);
    DecodeColumn(e.column, header.rows, column);
    DecodeTimedColumn(e.column, column);
  });
  const std::vector<SeriesId> wanted = {0, 1, 5, 100, 1'000'000, UINT32_MAX};
  size_t found = 0;
  view.Find(wanted, [&](size_t, const BlockView::Entry&) { ++found; });
}

/// The bytes as a run of records, each given the checksum it needs to be looked at.
void Log(std::span<const uint8_t> bytes, BlockKind kind) {
  auto region = Region::Open("", uint64_t{4} << 20, {});
  LogHeap heap(*std::move(region));
  {
    RowLog log(heap, 7, 1, 0, kind);
    for (size_t at = 0; at + 2 <= bytes.size();) {
      const size_t n = std::min<size_t>(bytes[at + 1], bytes.size() - at - 2);
      log.Append(bytes[at] % 3 == 0 ? RecordType::kLayout : RecordType::kRow,
                 bytes.subspan(at + 2, n));
      at += 2 + n;
    }
  }
  std::vector<uint8_t*> chunks;
  heap.Scan([&](const ChunkHeader&, uint8_t* chunk) {
    chunks.push_back(chunk);
    return true;
  });
  Stripe stripe(heap, kind, 1, 0, 7);
  std::vector<uint32_t> hashes;
  stripe.Adopt(chunks, hashes);
  if (stripe.rows() == 0) return;
  std::vector<uint16_t> slots;
  for (int s = 0; s < stripe.slots(); ++s) slots.push_back(static_cast<uint16_t>(s));
  stripe.ReadBack(slots, 0, stripe.rows(), [](size_t, int, UnixMs, uint64_t) {});
  stripe.Seal();
}

void Series(std::span<const uint8_t> bytes) {
  SeriesTable table(nullptr);
  for (size_t at = 0; at + 2 <= bytes.size();) {
    const size_t n = std::min<size_t>(bytes[at + 1], bytes.size() - at - 2);
    // Ids are bounded by the file's own checksums; here they would only cost memory.
    const auto payload = bytes.subspan(at + 2, n);
    uint64_t id = 0;
    if (GetVarint(payload.data(), payload.data() + payload.size(), id) != nullptr && id < 100'000)
      table.Replay(static_cast<SeriesRecord>(1 + bytes[at] % 3), payload);
    at += 2 + n;
  }
  table.FinishReplay();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::span<const uint8_t> bytes(data + 1, size - 1);
  switch (data[0] % 5) {
    case 0:
      Columns(bytes);
      break;
    case 1:
      Block(bytes);
      break;
    case 2:
      Log(bytes, BlockKind::kRows);
      break;
    case 3:
      Log(bytes, BlockKind::kTimed);
      break;
    default:
      Series(bytes);
  }
  return 0;
}
