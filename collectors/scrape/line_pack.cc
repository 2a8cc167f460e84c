// SPDX-License-Identifier: Apache-2.0
#include "collectors/scrape/line_pack.h"

#include <algorithm>
#include <cstring>

namespace picket::collectors::scrape {
namespace {

void PutNumber(std::string& out, uint32_t n) {
  for (; n > 127; n >>= 7) out += static_cast<char>(n | 128U);
  out += static_cast<char>(n);
}

/// `from` in memory of its size, unless what is there already fits about.
template <class T>
void AssignTight(T& to, const T& from) {
  if (to.capacity() < from.size() || to.capacity() > from.size() + from.size() / 4 + 256) {
    to = T();
    to.reserve(from.size());
  }
  to.assign(from.begin(), from.end());
}

}  // namespace

void LinePack::Pack(std::span<const LineEntry> entries, std::string_view text, Scratch& scratch) {
  auto& [packed, lines, others] = scratch;
  packed.clear();
  lines.clear();
  others.clear();
  std::string_view before;
  for (const LineEntry& entry : entries) {
    const std::string_view own = text.substr(entry.offset, entry.length);
    const size_t most = std::min<size_t>({own.size(), before.size(), kMostShared});
    const size_t shared = static_cast<size_t>(
        std::mismatch(own.begin(), own.begin() + static_cast<ptrdiff_t>(most), before.begin())
            .first -
        own.begin());
    if (entry.lead != 0) {
      packed += static_cast<char>(kWithLead);
      packed += static_cast<char>((entry.has_metadata ? kMetadataFlag : 0) |
                                  (entry.has_type ? kTypeFlag : 0));
      PutNumber(packed, entry.lead);
    }
    packed += static_cast<char>(shared);
    PutNumber(packed, static_cast<uint32_t>(own.size() - shared));
    packed += own.substr(shared);
    before = own.substr(entry.lead);
    Line line{};
    std::memcpy(line.value, entry.value, sizeof line.value);
    line.value_length = entry.value_length;
    line.kind = entry.kind;
    line.type_matters = entry.type_matters;
    line.type = entry.type;
    lines.push_back(line);
    if (HasOtherId(entry.kind)) others.push_back(entry.id);
  }
  packed.append(kPadding, '\0');
  AssignTight(text_, packed);
  AssignTight(lines_, lines);
  AssignTight(other_ids_, others);
}

void LinePack::Unpack(std::span<const SeriesId> row_ids, std::vector<LineEntry>& entries,
                      std::string& text) const {
  entries.clear();
  text.clear();
  Cursor cursor(*this);
  size_t before = 0;  // where the series of the line before begins
  size_t i = 0;
  ForEachId(row_ids, [&](Kind, SeriesId id) {
    const Line& line = lines_[i++];
    const Piece piece = cursor.Next();
    LineEntry entry;
    entry.offset = static_cast<uint32_t>(text.size());
    entry.length = piece.shared + piece.rest;
    entry.lead = piece.lead;
    entry.has_metadata = (piece.flags & kMetadataFlag) != 0;
    entry.has_type = (piece.flags & kTypeFlag) != 0;
    entry.type_matters = line.type_matters;
    entry.id = id;
    std::memcpy(entry.value, line.value, sizeof entry.value);
    entry.value_length = line.value_length;
    entry.kind = line.kind;
    entry.type = line.type;
    text.resize(text.size() + entry.length);
    char* const to = text.data() + entry.offset;
    std::memcpy(to, text.data() + before, piece.shared);
    std::memcpy(to + piece.shared, piece.text, piece.rest);
    before = entry.offset + entry.lead;
    entries.push_back(entry);
  });
}

}  // namespace picket::collectors::scrape
