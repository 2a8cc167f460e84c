// SPDX-License-Identifier: Apache-2.0
// Typed columns: the values of one series in a sealed block. Source: FORMAT.md, "Columns".
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "store/tsdb/bytes.h"

namespace picket::store::tsdb {

/// Most rows a block may have. The usual block is sealed at kBlockRows.
inline constexpr int kMaxRows = 160;
inline constexpr int kBlockRows = 120;

/// Appends a column for `bits` (doubles as bits), found at the row numbers `rows` (ascending) of
/// `block_rows`.
void EncodeColumn(std::span<const uint64_t> bits, std::span<const uint8_t> rows, int block_rows,
                  std::vector<uint8_t>& out);
/// The same with a time for each value. Shape: times ascend.
void EncodeTimedColumn(std::span<const uint64_t> bits, std::span<const int64_t> times_ms,
                       std::vector<uint8_t>& out);

struct DecodedColumn {
  int size = 0;
  bool full = false;  ///< a value for every row; `row` is then not filled
  uint8_t row[kMaxRows];
  uint64_t bits[kMaxRows];
  int64_t times_ms[kMaxRows];  ///< timed columns only
};

/// False when the bytes are not a column. Never reads outside `bytes`.
bool DecodeColumn(std::span<const uint8_t> bytes, int block_rows, DecodedColumn& out);
bool DecodeTimedColumn(std::span<const uint8_t> bytes, DecodedColumn& out);

/// Ascending times as differences of differences.
void EncodeTimes(std::span<const int64_t> times_ms, std::vector<uint8_t>& out);
/// The position behind `count` times, or null.
const uint8_t* DecodeTimes(const uint8_t* p, const uint8_t* end, int count, int64_t* out);

}  // namespace picket::store::tsdb
