// SPDX-License-Identifier: Apache-2.0
// From the open block's rows to a sealed block's columns.
#include <algorithm>
#include <bit>

#include "store/tsdb/column/value_code.h"
#include "store/tsdb/stripe.h"

namespace picket::store::tsdb {
namespace {

/// A row's entries, stood before the next word that has not been read.
struct Cursor {
  RowEntries entries;
  WordEntry entry;
  bool more;
  Cursor(const uint8_t* payload, uint32_t size)
      : entries(payload, size), more(entries.Next(entry)) {}
};

}  // namespace

Stripe::Sealed Stripe::Seal() const {
  Sealed out;
  std::vector<ColumnRef> columns;
  std::vector<uint8_t> bytes;
  columns.reserve(ids_.size());
  bytes.reserve(log_.bytes());
  std::vector<int64_t> times;
  if (kind_ == BlockKind::kRows) {
    SealRows(out, columns, bytes);
    for (const Row& row : rows_) times.push_back(row.ms);
    out.header.rows = static_cast<uint16_t>(rows_.size());
  } else {
    SealTimed(out, columns, bytes);
  }
  if (columns.empty()) return out;
  std::sort(columns.begin(), columns.end(),
            [](const ColumnRef& a, const ColumnRef& b) { return a.id < b.id; });
  out.ids.reserve(columns.size());
  for (const ColumnRef& c : columns) out.ids.push_back(c.id);
  out.header.log = log_.log();
  out.header.source = source_;
  out.header.stripe = index_;
  out.header.kind = static_cast<uint8_t>(kind_);
  out.header.min_ms = first_ms_;
  out.header.max_ms = rows_.back().ms;
  if (kind_ == BlockKind::kTimed)
    for (const Row& row : rows_) out.header.max_ms = std::max(out.header.max_ms, row.ms);
  out.payload = BuildBlock(out.header, columns, bytes, times);
  return out;
}

void Stripe::SealRows(Sealed& out, std::vector<ColumnRef>& columns,
                      std::vector<uint8_t>& bytes) const {
  const int n = rows();
  std::vector<Cursor> cursors;
  cursors.reserve(rows_.size());
  for (const Row& row : rows_) cursors.emplace_back(row.payload, row.size);
  // 64 slots at a time: their matrix stays in the first two cache levels.
  std::vector<std::array<uint64_t, 64>> matrix(rows_.size());
  std::vector<uint64_t> present(rows_.size());
  uint64_t column[kMaxRows];
  uint8_t row_numbers[kMaxRows];
  for (int word = 0; word * 64 < slots(); ++word) {
    std::array<uint64_t, 64> state{};
    uint64_t changed = 0, everywhere = ~uint64_t{0}, anywhere = 0;
    for (int r = 0; r < n; ++r) {
      Cursor& c = cursors[r];
      if (c.more && c.entry.word == word) {
        const uint8_t* p = c.entry.p;
        for (uint64_t left = c.entry.bits; left != 0 && p != nullptr; left &= left - 1)
          p = ApplyValue<true>(p, c.entry.end, state[std::countr_zero(left)]);
        if (r > 0) changed |= c.entry.bits;
        c.more = c.entries.Next(c.entry);
      }
      matrix[r] = state;
      present[r] = PresentWord(rows_[r], word);
      everywhere &= present[r];
      anywhere |= present[r];
    }
    for (int i = 0; i < 64 && word * 64 + i < slots(); ++i) {
      const uint64_t bit = uint64_t{1} << i;
      if ((anywhere & bit) == 0) continue;
      const auto slot = static_cast<size_t>(word * 64 + i);
      const auto offset = static_cast<uint32_t>(bytes.size());
      int size = 0;
      if ((everywhere & bit) != 0 && (changed & bit) == 0) {
        size = n;
        std::fill_n(column, n, matrix[0][i]);
      } else {
        for (int r = 0; r < n; ++r) {
          column[size] = matrix[r][i];
          row_numbers[size] = static_cast<uint8_t>(r);
          size += static_cast<int>((present[r] >> i) & 1);
        }
      }
      EncodeColumn({column, static_cast<size_t>(size)}, {row_numbers, static_cast<size_t>(size)}, n,
                   bytes);
      out.header.samples += static_cast<uint32_t>(size);
      columns.push_back({ids_[slot], static_cast<uint8_t>(hashes_[slot]), offset,
                         static_cast<uint32_t>(bytes.size()) - offset});
    }
  }
}

void Stripe::SealTimed(Sealed& out, std::vector<ColumnRef>& columns,
                       std::vector<uint8_t>& bytes) const {
  std::vector<Cursor> cursors;
  cursors.reserve(rows_.size());
  for (const Row& row : rows_) cursors.emplace_back(row.payload, row.size);
  struct Series {
    int size = 0;
    uint64_t bits[kMaxRows];
    int64_t times[kMaxRows];
  };
  std::vector<Series> word_series(64);
  for (int word = 0; word * 64 < slots(); ++word) {
    for (Series& s : word_series) s.size = 0;
    std::array<uint64_t, 64> state{};
    std::array<int64_t, 64> ms{};
    for (Cursor& c : cursors) {
      if (!c.more || c.entry.word != word) continue;
      const uint8_t* p = c.entry.p;
      for (uint64_t left = c.entry.bits; left != 0 && p != nullptr; left &= left - 1) {
        const int i = std::countr_zero(left);
        uint64_t u;
        if ((p = GetVarint(p, c.entry.end, u)) == nullptr) break;
        ms[i] = Add(ms[i], UnZigZag(u));
        if ((p = ApplyValue<true>(p, c.entry.end, state[i])) == nullptr) break;
        Series& s = word_series[i];
        s.bits[s.size] = state[i];
        s.times[s.size++] = ms[i];
      }
      c.more = c.entries.Next(c.entry);
    }
    for (int i = 0; i < 64 && word * 64 + i < slots(); ++i) {
      const Series& s = word_series[i];
      if (s.size == 0) continue;
      const auto slot = static_cast<size_t>(word * 64 + i);
      const auto offset = static_cast<uint32_t>(bytes.size());
      EncodeTimedColumn({s.bits, static_cast<size_t>(s.size)},
                        {s.times, static_cast<size_t>(s.size)}, bytes);
      out.header.samples += static_cast<uint32_t>(s.size);
      columns.push_back({ids_[slot], static_cast<uint8_t>(hashes_[slot]), offset,
                         static_cast<uint32_t>(bytes.size()) - offset});
    }
  }
}

}  // namespace picket::store::tsdb
