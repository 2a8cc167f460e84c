// SPDX-License-Identifier: Apache-2.0
#include "core/spool/format.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "core/base/hash.h"

namespace picket::spool {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers on disk are little-endian");

constexpr uint32_t kRecordMagic = 0x31524B50;   // "PKR1"
constexpr uint32_t kSegmentMagic = 0x31534B50;  // "PKS1"
constexpr uint32_t kCursorMagic = 0x31434B50;   // "PKC1"

template <class T>
void Put(char* out, size_t at, T value) {
  std::memcpy(out + at, &value, sizeof value);
}
template <class T>
T Get(std::string_view in, size_t at) {
  T value;
  std::memcpy(&value, in.data() + at, sizeof value);
  return value;
}

// Every header starts with its magic and the checksum of what follows.
void Seal(char* out, uint32_t magic, size_t size) {
  Put(out, 0, magic);
  Put(out, 4, Crc32c({out + 8, size - 8}));
}
bool Sealed(std::string_view in, uint32_t magic, size_t size) {
  return in.size() >= size && Get<uint32_t>(in, 0) == magic &&
         Get<uint32_t>(in, 4) == Crc32c(in.substr(8, size - 8));
}

}  // namespace

void Encode(const SegmentHeader& header, char* out) {
  std::memset(out, 0, kSegmentHeaderBytes);
  Put(out, 8, header.number);
  Put(out, 16, header.first_seq);
  Put(out, 24, header.items_before);
  Seal(out, kSegmentMagic, kSegmentHeaderBytes);
}

std::optional<SegmentHeader> DecodeSegment(std::string_view in) {
  if (!Sealed(in, kSegmentMagic, kSegmentHeaderBytes)) return std::nullopt;
  return SegmentHeader{Get<uint64_t>(in, 8), Get<uint64_t>(in, 16), Get<uint64_t>(in, 24)};
}

void Encode(const RecordHeader& header, char* out) {
  Put(out, 8, header.body_crc);
  Put(out, 12, header.length);
  Put(out, 16, header.seq);
  Put(out, 24, header.items_before);
  Put(out, 32, header.time_ms);
  Put(out, 40, header.items);
  Put(out, 44, header.lane);
  Put(out, 46, header.type);
  Seal(out, kRecordMagic, kRecordHeaderBytes);
}

std::optional<RecordHeader> DecodeRecord(std::string_view in) {
  if (!Sealed(in, kRecordMagic, kRecordHeaderBytes)) return std::nullopt;
  RecordHeader h;
  h.body_crc = Get<uint32_t>(in, 8);
  h.length = Get<uint32_t>(in, 12);
  h.seq = Get<uint64_t>(in, 16);
  h.items_before = Get<uint64_t>(in, 24);
  h.time_ms = Get<int64_t>(in, 32);
  h.items = Get<uint32_t>(in, 40);
  h.lane = Get<uint16_t>(in, 44);
  h.type = Get<uint16_t>(in, 46);
  if (h.lane >= kLanes || h.length > kMaxBodyBytes) return std::nullopt;
  return h;
}

void Encode(const CursorSlot& slot, char* out) {
  std::memset(out, 0, kCursorSlotBytes);
  Put(out, 8, slot.generation);
  Put(out, 16, kLanes);
  std::memcpy(out + 32, slot.positions.data(), 8 * kLanes);
  Seal(out, kCursorMagic, kCursorSlotBytes);
}

std::optional<CursorSlot> DecodeCursor(std::string_view in) {
  if (!Sealed(in, kCursorMagic, kCursorSlotBytes) || Get<uint32_t>(in, 16) != kLanes)
    return std::nullopt;
  CursorSlot slot;
  slot.generation = Get<uint64_t>(in, 8);
  std::memcpy(slot.positions.data(), in.data() + 32, 8 * kLanes);
  return slot;
}

namespace {

// Reads a file through a window, so that hopping over bodies reads headers only and searching reads
// in strides.
class Window {
 public:
  Window(File& file, uint64_t size) : file_(file), size_(size) {}
  /// Up to `n` bytes at `at`; fewer at the end, none where the disk cannot be read.
  std::string_view View(uint64_t at, size_t n, size_t read_ahead = 0) {
    if (at >= size_) return {};
    n = std::min<uint64_t>(n, size_ - at);
    if (at < start_ || at + n > start_ + bytes_.size()) {
      const size_t want = std::min<uint64_t>(std::max(n, read_ahead), size_ - at);
      bytes_.resize(want);
      auto got = file_.ReadAt(at, bytes_.data(), want);
      bytes_.resize(got ? *got : 0);
      start_ = at;
    }
    return std::string_view(bytes_).substr(std::min<size_t>(at - start_, bytes_.size()), n);
  }

 private:
  File& file_;
  uint64_t size_;
  uint64_t start_ = 0;
  std::string bytes_;
};

class Scanner {
 public:
  Scanner(File& file, uint64_t size, uint64_t min_seq, bool verify)
      : file_(file), window_(file, size), size_(size), next_seq_(min_seq), verify_(verify) {}

  SegmentScan Run() {
    scan_.header = DecodeSegment(window_.View(0, kSegmentHeaderBytes));
    if (scan_.header) next_seq_ = std::max(next_seq_, scan_.header->first_seq);
    uint64_t at = kSegmentHeaderBytes;
    while (at + kRecordHeaderBytes <= size_) {
      if (Accept(at)) continue;
      const bool clean_end = IsTerminator(at);
      const auto found = Search(at + 8);
      if (!found) {
        scan_.torn_tail = !clean_end;
        NoteTorn(at);
        break;
      }
      ++scan_.damaged_spans;
      at = *found;
    }
    CutBadTail();
    return std::move(scan_);
  }

 private:
  // A good record at `at` is taken and `at` moved behind it.
  bool Accept(uint64_t& at) {
    auto header = Decode(at);
    if (!header) return false;
    const bool body_ok = !verify_ || BodyOk(at, *header);
    scan_.records.push_back({*header, static_cast<uint32_t>(at), body_ok});
    next_seq_ = header->seq + 1;
    at = RecordEnd(at, header->length);
    scan_.end = std::min(at, size_);
    return true;
  }
  std::optional<RecordHeader> Decode(uint64_t at, size_t read_ahead = 0) {
    auto header = DecodeRecord(window_.View(at, kRecordHeaderBytes, read_ahead));
    if (!header || header->seq < next_seq_ || at + kRecordHeaderBytes + header->length > size_)
      return std::nullopt;
    return header;
  }
  bool BodyOk(uint64_t at, const RecordHeader& header) {
    body_.resize(header.length);
    auto got = file_.ReadAt(at + kRecordHeaderBytes, body_.data(), body_.size());
    return got && *got == body_.size() && Crc32c(body_) == header.body_crc;
  }
  bool IsTerminator(uint64_t at) {
    const auto bytes = window_.View(at, 4);
    return bytes.size() == 4 && Get<uint32_t>(bytes, 0) == 0;
  }
  std::optional<uint64_t> Search(uint64_t from) {
    constexpr size_t kStride = 64 << 10;
    for (uint64_t at = from; at + kRecordHeaderBytes <= size_; at += 8) {
      const auto bytes = window_.View(at, 4, kStride);
      if (bytes.size() < 4) {
        at += kStride - 8;  // unreadable: go on behind it
        continue;
      }
      if (Get<uint32_t>(bytes, 0) == kRecordMagic && Decode(at, kStride)) return at;
    }
    return std::nullopt;
  }
  // A record whose header can be read but whose body does not fit in the file.
  void NoteTorn(uint64_t at) {
    if (!scan_.torn_tail) return;
    auto header = DecodeRecord(window_.View(at, kRecordHeaderBytes));
    if (header && header->seq >= next_seq_) scan_.torn_items += header->items;
  }
  void CutBadTail() {
    if (scan_.records.empty() || scan_.records.back().body_ok) return;
    scan_.torn_tail = true;
    scan_.torn_items += scan_.records.back().header.items;
    scan_.end = scan_.records.back().offset;
    scan_.records.pop_back();
  }

  File& file_;
  Window window_;
  uint64_t size_;
  uint64_t next_seq_;
  bool verify_;
  std::string body_;
  SegmentScan scan_;
};

}  // namespace

Result<SegmentScan> ScanSegment(File& file, uint64_t size, uint64_t min_seq, bool verify) {
  char probe;
  if (size > 0) PICKET_TRY(file.ReadAt(0, &probe, 1));
  return Scanner(file, std::min<uint64_t>(size, UINT32_MAX), min_seq, verify).Run();
}

}  // namespace picket::spool
