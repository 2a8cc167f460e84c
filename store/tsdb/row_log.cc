// SPDX-License-Identifier: Apache-2.0
#include "store/tsdb/row_log.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "core/base/hash.h"
#include "store/tsdb/bytes.h"

namespace picket::store::tsdb {
namespace {

constexpr uint32_t kLengthBits = 28;
constexpr uint32_t kLengthMask = (1U << kLengthBits) - 1;
constexpr size_t kRecordHead = 8;
constexpr size_t kLeaveStep = 8192;

uint64_t ChunkBytes(const uint8_t* chunk) {
  return LogHeap::kPage << reinterpret_cast<const ChunkHeader*>(chunk)->order;
}

}  // namespace

uint32_t RowLog::Crc(uint32_t word, std::span<const uint8_t> payload) const {
  struct {
    uint64_t log;
    uint32_t record;
    uint32_t word;
  } seed{log_, records_, word};
  const uint32_t crc = Crc32c({reinterpret_cast<const char*>(&seed), sizeof seed});
  return Crc32c({reinterpret_cast<const char*>(payload.data()), payload.size()}, crc);
}

const uint8_t* RowLog::Append(RecordType type, std::span<const uint8_t> payload) {
  const size_t need = kRecordHead + (payload.size() + 3) / 4 * 4;
  if (static_cast<size_t>(end_ - at_) < need) {
    // Chunks grow with the log: small sources waste little, large ones fill large chunks.
    const uint64_t want =
        std::max<uint64_t>(need + sizeof(ChunkHeader), std::min<uint64_t>(bytes_ / 4, 32768));
    const int order = std::bit_width((want - 1) / LogHeap::kPage);
    if (order > LogHeap::kMaxOrder) return nullptr;
    ChunkHeader header{0,
                       0,
                       log_,
                       source_,
                       stripe_,
                       static_cast<uint8_t>(kind_),
                       static_cast<uint8_t>(order),
                       static_cast<uint32_t>(chunks_.size()),
                       0};
    uint8_t* chunk = heap_->Allocate(header);
    if (chunk == nullptr) return nullptr;
    if (!chunks_.empty()) heap_->LeaveToPageCache(left_, static_cast<uint64_t>(end_ - left_));
    chunks_.push_back(chunk);
    left_ = chunk;
    at_ = chunk + sizeof(ChunkHeader);
    end_ = chunk + ChunkBytes(chunk);
    bytes_ += ChunkBytes(chunk);
  }
  uint8_t* record = at_;
  const uint32_t word =
      static_cast<uint32_t>(type) << kLengthBits | static_cast<uint32_t>(payload.size());
  std::memcpy(record + kRecordHead, payload.data(), payload.size());
  Put(record + 4, Crc(word, payload));
  // The length comes last: a process killed before this line has not written the record.
  __atomic_store_n(reinterpret_cast<uint32_t*>(record), word, __ATOMIC_RELEASE);
  at_ += need;
  ++records_;
  if (static_cast<size_t>(at_ - left_) >= kLeaveStep) {
    heap_->LeaveToPageCache(left_, static_cast<uint64_t>(at_ - left_));
    left_ = at_;
  }
  return record + kRecordHead;
}

void RowLog::Clear() {
  // The first chunk goes first: a log without its beginning is never taken for one.
  for (uint8_t* chunk : chunks_) heap_->Free(chunk);
  chunks_.clear();
  at_ = end_ = left_ = nullptr;
  bytes_ = 0;
  records_ = 0;
}

void RowLog::Restart(uint64_t log) {
  Clear();
  log_ = log;
}

uint64_t RowLog::Adopt(std::vector<uint8_t*> chunks,
                       const std::function<bool(RecordType, const uint8_t*, uint32_t)>& fn) {
  chunks_ = std::move(chunks);
  size_t c = 0;
  bool damaged = false;
  for (; c < chunks_.size() && !damaged; ++c) {
    left_ = chunks_[c];
    at_ = chunks_[c] + sizeof(ChunkHeader);
    end_ = chunks_[c] + ChunkBytes(chunks_[c]);
    bytes_ += ChunkBytes(chunks_[c]);
    while (static_cast<size_t>(end_ - at_) >= kRecordHead) {
      const auto word = Load<uint32_t>(at_);
      if (word == 0) break;
      const uint32_t size = word & kLengthMask;
      const auto type = static_cast<RecordType>(word >> kLengthBits);
      const uint8_t* payload = at_ + kRecordHead;
      damaged = size > static_cast<size_t>(end_ - payload) ||
                Load<uint32_t>(at_ + 4) != Crc(word, {payload, size}) || !fn(type, payload, size);
      if (damaged) break;
      at_ += kRecordHead + (size + 3) / 4 * 4;
      ++records_;
    }
  }
  uint64_t lost = 0;
  if (damaged) {
    lost = static_cast<uint64_t>(end_ - at_);
    std::memset(at_, 0, lost);
  }
  for (size_t i = c; i < chunks_.size(); ++i) {
    lost += ChunkBytes(chunks_[i]);
    heap_->Free(chunks_[i]);
  }
  chunks_.resize(c);
  return lost;
}

}  // namespace picket::store::tsdb
