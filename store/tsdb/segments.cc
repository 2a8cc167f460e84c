// SPDX-License-Identifier: Apache-2.0
#include "store/tsdb/segments.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "core/base/hash.h"

namespace picket::store::tsdb {
namespace {

constexpr uint32_t kSegmentMagic = 0x47455350;  // "PSEG"
constexpr uint64_t kHeaderBytes = 64;
constexpr uint64_t kLeaveStep = uint64_t{64} << 10;
constexpr size_t kSpareSegments = 2;  // free ones that keep their memory

struct SegmentHeader {
  uint32_t magic;
  uint32_t crc;  // of the number
  uint64_t number;
};

/// The header stands there three times: a segment is not lost for one bad byte.
constexpr uint64_t kHeaderCopies = 3;

uint32_t NumberCrc(uint64_t number) {
  return Crc32c({reinterpret_cast<const char*>(&number), sizeof number});
}

void StoreWord(uint8_t* p, uint32_t v) {
  __atomic_store_n(reinterpret_cast<uint32_t*>(p), v, __ATOMIC_RELEASE);
}

}  // namespace

std::shared_ptr<Segment> Segments::Make(uint64_t place, uint64_t number) {
  auto owned = std::make_unique<Segment>();
  owned->place = place;
  owned->number = number;
  owned->base = region_->data() + place * kSegmentBytes;
  owned->used = kHeaderBytes;
  return {owned.release(), [this](Segment* s) { Recycle(s); }};
}

void Segments::Recycle(Segment* segment) {
  const std::unique_ptr<Segment> owned(segment);
  if (!segment->dead.load()) return;  // the store is being closed
  dead_.fetch_sub(1, std::memory_order_relaxed);
  std::lock_guard lock(mutex_);
  if (free_.size() < kSpareSegments) {
    free_.push_back(segment->place);
    return;
  }
  region_->Discard(segment->place * kSegmentBytes, kSegmentBytes);
  discarded_.push_back(segment->place);
}

Result<std::shared_ptr<Segment>> Segments::NewSegmentLocked() {
  uint64_t place;
  if (!free_.empty()) {
    place = free_.back();
    free_.pop_back();
  } else if (!discarded_.empty()) {
    PICKET_TRY(region_->Restore(discarded_.back() * kSegmentBytes, kSegmentBytes));
    place = discarded_.back();
    discarded_.pop_back();
  } else {
    place = region_->size() / kSegmentBytes;
    PICKET_TRY(region_->Grow((place + 1) * kSegmentBytes));
  }
  auto segment = Make(place, next_number_++);
  std::memset(segment->base, 0, kHeaderBytes + 4);
  const SegmentHeader header{0, NumberCrc(segment->number), segment->number};
  for (uint64_t i = 0; i < kHeaderCopies; ++i) {
    std::memcpy(segment->base + i * sizeof header, &header, sizeof header);
    StoreWord(segment->base + i * sizeof header, kSegmentMagic);
  }
  segments_.push_back(segment);
  return segment;
}

Result<BlockRef> Segments::Write(BlockHeader header, std::span<const uint8_t> payload,
                                 SeriesId first, SeriesId last) {
  std::lock_guard lock(mutex_);
  std::shared_ptr<Segment> segment = segments_.empty() ? nullptr : segments_.back();
  const bool full = segment != nullptr && segment->used + header.length > kSegmentBytes;
  const bool long_enough =
      segment != nullptr && segment->begun_ms != INT64_MIN && header.max_ms > segment->begun_ms &&
      static_cast<uint64_t>(header.max_ms) - static_cast<uint64_t>(segment->begun_ms) >
          static_cast<uint64_t>(span_ms_.load(std::memory_order_relaxed));
  if (segment == nullptr || full || long_enough) {
    PICKET_ASSIGN(segment, NewSegmentLocked());
  }
  uint8_t* at = segment->base + segment->used;
  header.magic = 0;
  header.header_crc = BlockHeaderCrc(header, segment->number);
  std::memcpy(at + sizeof header, payload.data(), payload.size());
  std::memcpy(at, &header, sizeof header);
  segment->used += header.length;
  // What an earlier life of the place left behind must not follow.
  if (segment->used + 4 <= kSegmentBytes) std::memset(segment->base + segment->used, 0, 4);
  StoreWord(at, kBlockMagic);
  if (segment->blocks == 0) segment->begun_ms = header.max_ms;
  segment->min_ms = std::min(segment->min_ms, header.min_ms);
  segment->max_ms = std::max(segment->max_ms, header.max_ms);
  segment->samples += header.samples;
  segment->block_bytes += header.length;
  ++segment->blocks;
  if (segment->used - segment->left >= kLeaveStep) {
    region_->LeaveToPageCache(segment->place * kSegmentBytes + segment->left,
                              segment->used - segment->left);
    segment->left = segment->used / 4096 * 4096;
  }
  return BlockRef{segment, at,   header.min_ms, header.max_ms,
                  first,   last, header.stripe, static_cast<BlockKind>(header.kind)};
}

void Segments::Evict(const std::function<bool(const Segment&)>& more,
                     const std::function<void(const std::shared_ptr<Segment>&)>& gone) {
  std::vector<std::shared_ptr<Segment>> evicted;
  {
    std::lock_guard lock(mutex_);
    while (!segments_.empty() && more(*segments_.front())) {
      evicted.push_back(segments_.front());
      segments_.erase(segments_.begin());
      std::memset(evicted.back()->base, 0, kHeaderBytes);
      evicted.back()->dead.store(true);
      dead_.fetch_add(1, std::memory_order_relaxed);
    }
  }
  for (const auto& segment : evicted) gone(segment);
}

void Segments::ForEachBlock(const Segment& segment,
                            const std::function<void(const BlockHeader&, const uint8_t*)>& fn) {
  for (uint64_t at = kHeaderBytes; at + sizeof(BlockHeader) <= segment.used;) {
    const auto header = tsdb::Load<BlockHeader>(segment.base + at);
    // Damaged stretches were stepped over when the file was read; step over them again.
    if (header.magic != kBlockMagic ||
        BlockHeaderCrc(header, segment.number) != header.header_crc) {
      at += 8;
      continue;
    }
    fn(header, segment.base + at);
    at += header.length;
  }
}

void Segments::LoadSegment(const std::shared_ptr<Segment>& segment,
                           const std::function<void(BlockRef)>& fn,
                           const std::function<void(Damage)>& damage) {
  const uint64_t number = segment->number;
  uint64_t bad_from = 0;
  auto flush_damage = [&](uint64_t to) {
    if (bad_from != 0)
      damage({to - bad_from, fmt::format("blocks.tsdb segment {} bytes {} to {}: no block there",
                                         number, bad_from, to)});
    bad_from = 0;
  };
  uint64_t at = kHeaderBytes;
  while (at + sizeof(BlockHeader) <= kSegmentBytes) {
    const uint8_t* p = segment->base + at;
    const auto header = tsdb::Load<BlockHeader>(p);
    const bool sound = header.magic == kBlockMagic && header.length > sizeof header &&
                       header.length % 8 == 0 && header.length <= kSegmentBytes - at &&
                       BlockHeaderCrc(header, number) == header.header_crc;
    if (!sound) {
      // A clean end is a zero word with no block behind it; anything else is damage, searched for
      // the next block.
      if (bad_from == 0) bad_from = at;
      at += 8;
      continue;
    }
    flush_damage(at);
    segment->used = at + header.length;
    const std::span<const uint8_t> payload(p + sizeof header, header.length - sizeof header);
    if (Crc32c({reinterpret_cast<const char*>(payload.data()), payload.size()}) !=
        header.payload_crc) {
      damage(
          {header.length,
           fmt::format("blocks.tsdb segment {} block at {}: checksum of source {} from {} to {} ms",
                       number, at, header.source, header.min_ms, header.max_ms)});
      StoreWord(const_cast<uint8_t*>(p), 0);
    } else {
      BlockRef ref{segment, p, header.min_ms, header.max_ms,
                   0,       0, header.stripe, static_cast<BlockKind>(header.kind)};
      if (segment->blocks == 0) segment->begun_ms = header.max_ms;
      segment->min_ms = std::min(segment->min_ms, header.min_ms);
      segment->max_ms = std::max(segment->max_ms, header.max_ms);
      segment->samples += header.samples;
      segment->block_bytes += header.length;
      ++segment->blocks;
      fn(std::move(ref));
    }
    at += header.length;
  }
  // Nothing sound behind bad_from: a zero word there is the ordinary end, bytes there a block that
  // was not finished or whose header is damaged.
  if (bad_from != 0 && tsdb::Load<uint32_t>(segment->base + bad_from) != 0) {
    flush_damage(std::min<uint64_t>(bad_from + sizeof(BlockHeader), kSegmentBytes));
    StoreWord(segment->base + segment->used, 0);
  }
}

void Segments::Load(const std::function<void(BlockRef)>& fn,
                    const std::function<void(Damage)>& damage) {
  const uint64_t places = region_->size() / kSegmentBytes;
  std::vector<std::shared_ptr<Segment>> found;
  {
    std::lock_guard lock(mutex_);
    for (uint64_t place = 0; place < places; ++place) {
      const uint8_t* base = region_->data() + place * kSegmentBytes;
      SegmentHeader header{};
      bool sound = false, used = false;
      for (uint64_t i = 0; i < kHeaderCopies && !sound; ++i) {
        header = tsdb::Load<SegmentHeader>(base + i * sizeof header);
        sound = header.magic == kSegmentMagic && NumberCrc(header.number) == header.crc;
        used |= header.magic != 0;
      }
      if (!sound) {
        if (used)
          damage({kSegmentBytes, fmt::format("blocks.tsdb segment at place {}: header", place)});
        std::memset(const_cast<uint8_t*>(base), 0, kHeaderBytes);
        discarded_.push_back(place);
        continue;
      }
      found.push_back(Make(place, header.number));
      next_number_ = std::max(next_number_, header.number + 1);
    }
    std::sort(found.begin(), found.end(),
              [](const auto& a, const auto& b) { return a->number < b->number; });
    segments_ = found;
  }
  for (const auto& segment : found) LoadSegment(segment, fn, damage);
}

void Segments::LeaveToPageCache() {
  std::lock_guard lock(mutex_);
  region_->LeaveToPageCache(0, region_->size());
}

uint64_t Segments::segment_bytes() const {
  std::lock_guard lock(mutex_);
  uint64_t n = 0;
  for (const auto& s : segments_) n += BytesOf(*s);
  return n;
}

uint64_t Segments::block_bytes() const {
  std::lock_guard lock(mutex_);
  uint64_t n = 0;
  for (const auto& s : segments_) n += s->block_bytes;
  return n;
}

uint64_t Segments::samples() const {
  std::lock_guard lock(mutex_);
  uint64_t n = 0;
  for (const auto& s : segments_) n += s->samples;
  return n;
}

uint64_t Segments::blocks() const {
  std::lock_guard lock(mutex_);
  uint64_t n = 0;
  for (const auto& s : segments_) n += s->blocks;
  return n;
}

int64_t Segments::OldestMs() const {
  std::lock_guard lock(mutex_);
  int64_t oldest = INT64_MAX;
  for (const auto& s : segments_) oldest = std::min(oldest, s->min_ms);
  return oldest;
}

}  // namespace picket::store::tsdb
