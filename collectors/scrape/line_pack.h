// SPDX-License-Identifier: Apache-2.0
// The lines of the previous body, kept small between scrapes.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/metrics.h"

namespace picket::collectors::scrape {

/// One line of a body with the comments before it, as it is worked on.
struct LineEntry {
  enum class Kind : uint8_t { kRow, kTimed, kDropped, kRefused, kDuplicate, kTrailer };
  static constexpr uint8_t kNoValue = 31;  // a value length that never compares equal
  uint32_t offset = 0;                     // of its text: comments, then the series up to the value
  uint32_t length = 0;                     // of that text
  uint32_t lead : 29 = 0;                  // bytes of comments in it
  uint32_t has_metadata : 1 = 0;           // the comments hold HELP, TYPE or UNIT
  uint32_t has_type : 1 = 0;               // the comments hold TYPE
  uint32_t type_matters : 1 = 0;           // has a label `le` or `quantile`
  SeriesId id = kNoSeries;
  char value[14] = {};              // its text with the line end; kTimed: the latest timestamp
  uint8_t value_length = kNoValue;  // with the line end
  Kind kind : 4 = Kind::kRow;
  MetricType type : 4 = MetricType::kUnknown;  // the latest TYPE before this line
};

/// Lines in order, each with the text that differs from the line before: about 20 bytes and half of
/// its text. Shape: of a line of kind kRow the id is the owner's, in its row. Cost: Pack and Unpack
/// copy the text once, about 10 ns a line; reading ahead by Cursor copies nothing.
class LinePack {
 public:
  using Kind = LineEntry::Kind;
  struct alignas(16) Line {
    char value[14];
    uint8_t value_length;
    Kind kind : 3;
    uint8_t type_matters : 1;
    MetricType type : 4;
  };
  static_assert(sizeof(Line) == 16);

  size_t size() const { return lines_.size(); }
  bool empty() const { return lines_.empty(); }
  Line& operator[](size_t i) { return lines_[i]; }
  /// Of lines that have an id and are not of kind kRow, in turn.
  std::span<const SeriesId> other_ids() const { return other_ids_; }
  static bool HasOtherId(Kind kind) { return kind == Kind::kTimed || kind == Kind::kDuplicate; }

  /// Working memory of Pack.
  struct Scratch {
    std::string text;
    std::vector<Line> lines;
    std::vector<SeriesId> other_ids;
  };
  /// Takes over `entries`, whose texts lie in `text`. Memory is as large as it must be, or a
  /// quarter more when it was so before.
  void Pack(std::span<const LineEntry> entries, std::string_view text, Scratch& scratch);
  /// The reverse, into memory that is kept between uses. `row_ids`: those of lines of kind kRow.
  void Unpack(std::span<const SeriesId> row_ids, std::vector<LineEntry>& entries,
              std::string& text) const;
  /// Calls fn(kind, id) for each line; kNoSeries where it has none.
  template <class Fn>
  void ForEachId(std::span<const SeriesId> row_ids, Fn&& fn) const {
    size_t row = 0, other = 0;
    for (const Line& line : lines_) {
      const SeriesId id = line.kind == Kind::kRow ? row_ids[row++]
                          : HasOtherId(line.kind) ? other_ids_[other++]
                                                  : kNoSeries;
      fn(line.kind, id);
    }
  }
  size_t memory() const {
    return text_.capacity() + lines_.capacity() * sizeof(Line) +
           other_ids_.capacity() * sizeof(SeriesId);
  }

  /// What is packed of a line's text. Shape: `shared` bytes are those at the beginning of the
  /// series of the line before, `rest` bytes follow at `text`; kPadding more are readable.
  struct Piece {
    const char* text;
    uint32_t shared;
    uint32_t rest;
    uint32_t lead;
    uint32_t flags;
  };
  static constexpr size_t kPadding = 16;
  static constexpr uint32_t kMetadataFlag = 1, kTypeFlag = 2;

  /// Reads the pieces in turn.
  class Cursor {
   public:
    explicit Cursor(const LinePack& pack) : p_(pack.text_.data()) {}
    /// Once for each line.
    Piece Next() {
      Piece piece{};
      uint32_t first = static_cast<uint8_t>(*p_++);
      if (first == kWithLead) [[unlikely]] {
        piece.flags = static_cast<uint8_t>(*p_++);
        piece.lead = Number();
        first = static_cast<uint8_t>(*p_++);
      }
      piece.shared = first;
      piece.rest = Number();
      piece.text = p_;
      p_ += piece.rest;
      return piece;
    }

   private:
    uint32_t Number() {
      uint32_t n = static_cast<uint8_t>(*p_++);
      if (n < 128) [[likely]]
        return n;
      n &= 127U;
      for (int shift = 7;; shift += 7) {
        const uint32_t byte = static_cast<uint8_t>(*p_++);
        n |= (byte & 127U) << shift;
        if (byte < 128) return n;
      }
    }
    const char* p_;
  };

 private:
  static constexpr uint32_t kWithLead = 255;
  static constexpr uint32_t kMostShared = 254;

  std::vector<Line> lines_;
  std::string text_;  // of each line: [255, flags, lead] shared, rest, and the rest's bytes
  std::vector<SeriesId> other_ids_;
};

}  // namespace picket::collectors::scrape
