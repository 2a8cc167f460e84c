// SPDX-License-Identifier: Apache-2.0
#include "store/tsdb/log_heap.h"

#include <cstring>

#include "core/base/hash.h"
#include "store/tsdb/bytes.h"

namespace picket::store::tsdb {
namespace {

constexpr uint32_t kChunkMagic = 0x474f4c50;  // "PLOG"
constexpr uint64_t kGrowPages = uint64_t{4} << LogHeap::kMaxOrder;

uint32_t HeaderCrc(const ChunkHeader& h) {
  return Crc32c({reinterpret_cast<const char*>(&h) + 8, sizeof h - 8});
}

}  // namespace

bool LogHeap::GrowLocked() {
  // Whole chunks of the largest order only, so that a buddy always exists.
  const uint64_t unit = kPage << kMaxOrder;
  const uint64_t first = (region_->size() + unit - 1) / unit * unit;
  for (uint64_t pages = kGrowPages; pages >= (uint64_t{1} << kMaxOrder); pages /= 2) {
    if (!region_->Grow(first + pages * kPage)) continue;
    for (uint64_t p = first / kPage; p < first / kPage + pages; p += 1U << kMaxOrder)
      free_[kMaxOrder].insert(p);
    return true;
  }
  return false;
}

uint8_t* LogHeap::Allocate(ChunkHeader header) {
  uint8_t* chunk;
  {
    std::lock_guard lock(mutex_);
    int order = header.order;
    while (order <= kMaxOrder && free_[order].empty()) ++order;
    if (order > kMaxOrder) {
      if (!GrowLocked()) return nullptr;
      order = kMaxOrder;
    }
    const uint64_t page = *free_[order].begin();
    free_[order].erase(free_[order].begin());
    for (; order > header.order; --order) free_[order - 1].insert(page + (1ULL << (order - 1)));
    chunk = region_->data() + page * kPage;
  }
  const uint64_t bytes = kPage << header.order;
  used_.fetch_add(bytes, std::memory_order_relaxed);
  std::memset(chunk, 0, bytes);
  header.crc = HeaderCrc(header);
  header.magic = 0;
  std::memcpy(chunk, &header, sizeof header);
  // A killed process leaves either no chunk or a whole header.
  __atomic_store_n(reinterpret_cast<uint32_t*>(chunk), kChunkMagic, __ATOMIC_RELEASE);
  return chunk;
}

void LogHeap::FreeLocked(uint64_t page, int order) {
  while (order < kMaxOrder) {
    const uint64_t buddy = page ^ (1ULL << order);
    if (free_[order].erase(buddy) == 0) break;
    page &= ~(1ULL << order);
    ++order;
  }
  free_[order].insert(page);
}

void LogHeap::Free(uint8_t* chunk) {
  const int order = reinterpret_cast<const ChunkHeader*>(chunk)->order;
  __atomic_store_n(reinterpret_cast<uint32_t*>(chunk), 0U, __ATOMIC_RELEASE);
  used_.fetch_sub(kPage << order, std::memory_order_relaxed);
  std::lock_guard lock(mutex_);
  FreeLocked(static_cast<uint64_t>(chunk - region_->data()) / kPage, order);
}

void LogHeap::LeaveToPageCache(const uint8_t* from, uint64_t length) {
  region_->LeaveToPageCache(static_cast<uint64_t>(from - region_->data()), length);
}

void LogHeap::LeaveToPageCache() {
  std::lock_guard lock(mutex_);
  region_->LeaveToPageCache(0, region_->size());
}

void LogHeap::Scan(const std::function<bool(const ChunkHeader&, uint8_t*)>& fn) {
  const uint64_t unit = 1ULL << kMaxOrder;
  const uint64_t pages = region_->size() / kPage / unit * unit;
  std::lock_guard lock(mutex_);
  for (uint64_t page = 0; page < pages;) {
    uint8_t* chunk = region_->data() + page * kPage;
    const auto header = Load<ChunkHeader>(chunk);
    const bool sound = header.magic == kChunkMagic && header.order <= kMaxOrder &&
                       page % (1ULL << header.order) == 0 && HeaderCrc(header) == header.crc;
    if (sound && fn(header, chunk)) {
      used_.fetch_add(kPage << header.order, std::memory_order_relaxed);
      page += 1ULL << header.order;
      continue;
    }
    if (header.magic == kChunkMagic) Put<uint32_t>(chunk, 0);
    FreeLocked(page, 0);
    ++page;
  }
}

}  // namespace picket::store::tsdb
