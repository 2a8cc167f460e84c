// SPDX-License-Identifier: Apache-2.0
// Bytes on disk. Source: core/spool/FORMAT.md.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/spool/files.h"
#include "core/spool/spool.h"

namespace picket::spool {

inline constexpr uint32_t kSegmentHeaderBytes = 64;
inline constexpr uint32_t kRecordHeaderBytes = 48;
inline constexpr uint32_t kTerminatorBytes = 8;
inline constexpr uint32_t kCursorSlotBytes = 32 + 8 * kLanes;
inline constexpr uint32_t kCursorSlotStride = 4096;  // two slots never share a page or a sector
inline constexpr uint32_t kMaxBodyBytes = 1U << 30;

struct SegmentHeader {
  uint64_t number = 0;
  uint64_t first_seq = 0;  ///< every record in it has at least this number; older ones are of the
                           ///< file's earlier life
  uint64_t items_before = 0;  ///< items appended to the spool before its first record
};

struct RecordHeader {
  uint32_t body_crc = 0;
  uint32_t length = 0;
  uint64_t seq = 0;           ///< strictly ascending over the life of the spool, from 1
  uint64_t items_before = 0;  ///< so that what a gap lost is known in items
  int64_t time_ms = 0;
  uint32_t items = 0;
  uint16_t lane = 0;
  uint16_t type = 0;
};

/// The positions of one consumer: everything below positions[lane] in a lane is settled.
struct CursorSlot {
  uint64_t generation = 0;
  std::array<uint64_t, kLanes> positions{};
};

/// Where the next record starts behind a body of `length` bytes at `offset`.
constexpr uint64_t RecordEnd(uint64_t offset, uint32_t length) {
  return (offset + kRecordHeaderBytes + length + 7) & ~uint64_t{7};
}

void Encode(const SegmentHeader& header, char* out);
void Encode(const RecordHeader& header, char* out);
void Encode(const CursorSlot& slot, char* out);
/// Nothing when magic, checksum or bounds are wrong.
std::optional<SegmentHeader> DecodeSegment(std::string_view bytes);
std::optional<RecordHeader> DecodeRecord(std::string_view bytes);
std::optional<CursorSlot> DecodeCursor(std::string_view bytes);

/// What is in one segment file.
struct SegmentScan {
  struct Record {
    RecordHeader header;
    uint32_t offset = 0;  ///< of the record's header
    bool body_ok = true;  ///< only known when bodies were verified
  };
  std::optional<SegmentHeader> header;
  std::vector<Record> records;         ///< ascending in seq and offset
  uint64_t end = kSegmentHeaderBytes;  ///< where the next record may be written
  uint32_t damaged_spans = 0;  ///< stretches that had to be skipped to find the next good record
  bool torn_tail = false;      ///< something that is no record followed the last good one
  uint32_t torn_items = 0;     ///< items of the torn record, when its header could be read
};

/// Reads a segment, skipping what is damaged up to the next good record. A record needs a good
/// header, a number of at least `min_seq` above the one before it, and room in the file. With
/// `verify` the bodies are checked too, and a last record with a bad body is a torn tail. Errors:
/// kIo when the file cannot be read at all; a read error inside counts as damage.
Result<SegmentScan> ScanSegment(File& file, uint64_t size, uint64_t min_seq, bool verify);

}  // namespace picket::spool
