// SPDX-License-Identifier: Apache-2.0
#include "store/tsdb/index/series_log.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "core/base/hash.h"
#include "store/tsdb/bytes.h"

namespace picket::store::tsdb {
namespace {

constexpr uint32_t kMagic = 0x52455350;  // "PSER"
constexpr uint64_t kHeaderBytes = 64;
constexpr uint64_t kHeadBytes = 8;
constexpr uint32_t kLengthBits = 28;
constexpr uint32_t kLengthMask = (1U << kLengthBits) - 1;
constexpr uint64_t kMaxRecord = uint64_t{1} << 20;
constexpr uint64_t kCapacity = uint64_t{4} << 30;  // address space, not memory
constexpr uint64_t kLeaveStep = uint64_t{64} << 10;
constexpr uint64_t kGrow = uint64_t{256} << 10;

struct Header {
  uint32_t magic;
  uint32_t crc;
  uint64_t number;
};
/// The header stands there three times: all else in the file can be read with any of them.
constexpr uint64_t kHeaderCopies = 3;

uint32_t NumberCrc(uint64_t number) {
  return Crc32c({reinterpret_cast<const char*>(&number), sizeof number});
}
uint64_t Padded(uint64_t n) { return (n + 3) / 4 * 4; }

}  // namespace

uint32_t SeriesLog::Crc(uint32_t word, std::span<const uint8_t> payload) const {
  const uint64_t seed[2] = {number_, word};
  const uint32_t crc = Crc32c({reinterpret_cast<const char*>(seed), sizeof seed});
  return Crc32c({reinterpret_cast<const char*>(payload.data()), payload.size()}, crc);
}

Result<std::unique_ptr<SeriesLog>> SeriesLog::Open(std::string path, Region::Allocate allocate) {
  std::unique_ptr<SeriesLog> log(new SeriesLog());
  log->path_ = std::move(path);
  log->allocate_ = allocate;
  unlink((log->path_ + ".new").c_str());  // left by a rewrite that did not finish
  PICKET_ASSIGN(log->region_, Region::Open(log->path_, kCapacity, std::move(allocate)));
  return log;
}

Status SeriesLog::Begin(uint64_t number) {
  PICKET_TRY(region_->Grow(kGrow));
  std::memset(region_->data(), 0, region_->size());
  number_ = number;
  const Header header{kMagic, NumberCrc(number), number};
  for (uint64_t i = 0; i < kHeaderCopies; ++i)
    std::memcpy(region_->data() + i * sizeof header, &header, sizeof header);
  at_ = kHeaderBytes;
  return {};
}

bool SeriesLog::Sound(uint64_t at, uint32_t& word) const {
  if (at + kHeadBytes > region_->size()) return false;
  const uint8_t* p = region_->data() + at;
  word = Load<uint32_t>(p);
  const uint64_t size = word & kLengthMask;
  const uint32_t type = word >> kLengthBits;
  if (type < static_cast<uint32_t>(SeriesRecord::kSeriesNew) ||
      type > static_cast<uint32_t>(SeriesRecord::kSourceGone))
    return false;
  if (size > kMaxRecord || size > region_->size() - at - kHeadBytes) return false;
  return Load<uint32_t>(p + 4) == Crc(word, {p + kHeadBytes, size});
}

void SeriesLog::Replay(const std::function<void(SeriesRecord, std::span<const uint8_t>)>& fn,
                       const std::function<void(uint64_t, uint64_t)>& damage) {
  const uint64_t size = region_->size();
  if (size < kHeaderBytes) return;
  number_ = 0;
  for (uint64_t i = 0; i < kHeaderCopies && number_ == 0; ++i) {
    const auto header = Load<Header>(region_->data() + i * sizeof(Header));
    if (header.magic == kMagic && NumberCrc(header.number) == header.crc) number_ = header.number;
  }
  if (number_ == 0) {
    bool used = false;
    for (uint64_t i = 0; i < kHeaderBytes; ++i) used |= region_->data()[i] != 0;
    if (used) damage(size, 0);
    return;
  }
  at_ = kHeaderBytes;
  uint64_t bad_from = 0;
  for (uint64_t at = kHeaderBytes; at + kHeadBytes <= size;) {
    uint32_t word;
    if (!Sound(at, word)) {
      // An ordinary end is all zeros; behind damage the next sound record is searched.
      if (bad_from == 0) bad_from = at;
      at += 4;
      continue;
    }
    if (bad_from != 0) damage(at - bad_from, bad_from);
    bad_from = 0;
    const uint64_t length = word & kLengthMask;
    fn(static_cast<SeriesRecord>(word >> kLengthBits), {region_->data() + at + kHeadBytes, length});
    at += kHeadBytes + Padded(length);
    at_ = at;
  }
  if (bad_from == 0) return;
  uint64_t used = 0;
  for (uint64_t i = bad_from; i < size; ++i)
    if (region_->data()[i] != 0) used = i + 1 - bad_from;
  // A killed process may leave a payload without its length: that record was never there.
  if (used > 0 && Load<uint32_t>(region_->data() + at_) != 0) damage(used, bad_from);
  std::memset(region_->data() + at_, 0, size - at_);
}

Status SeriesLog::Append(SeriesRecord type, std::span<const uint8_t> payload) {
  if (payload.size() > kMaxRecord) return Fail(ErrorKind::kInvalidArgument, "record too large");
  if (at_ == 0) PICKET_TRY(Begin(1));
  const uint64_t need = kHeadBytes + Padded(payload.size());
  if (at_ + need + kHeadBytes > region_->size()) {
    const uint64_t step = std::max(kGrow, region_->size() / 8);
    const uint64_t old = region_->size();
    PICKET_TRY(region_->Grow(old + step + need));
    std::memset(region_->data() + old, 0, region_->size() - old);
  }
  uint8_t* p = region_->data() + at_;
  const uint32_t word =
      static_cast<uint32_t>(type) << kLengthBits | static_cast<uint32_t>(payload.size());
  std::memcpy(p + kHeadBytes, payload.data(), payload.size());
  Put(p + 4, Crc(word, payload));
  __atomic_store_n(reinterpret_cast<uint32_t*>(p), word, __ATOMIC_RELEASE);
  at_ += need;
  if (at_ - left_ >= kLeaveStep) {
    region_->LeaveToPageCache(left_, at_ - left_);
    left_ = at_;
  }
  return {};
}

void SeriesLog::LeaveToPageCache() { region_->LeaveToPageCache(0, region_->size()); }

Status SeriesLog::Rewrite(const std::function<Status(SeriesLog&)>& fill) {
  const std::string temporary = path_ + ".new";
  auto attempt = [&]() -> Result<std::unique_ptr<SeriesLog>> {
    PICKET_ASSIGN(auto fresh, Open(temporary, allocate_));
    PICKET_TRY(fresh->Begin(number_ + 1));
    PICKET_TRY(fill(*fresh));
    return fresh;
  };
  auto fresh = attempt();
  if (!fresh) {
    unlink(temporary.c_str());
    return std::unexpected<Error>(std::move(fresh).error());
  }
  if (rename(temporary.c_str(), path_.c_str()) != 0)
    return Fail(ErrnoError("rename " + temporary, errno));
  region_ = std::move((*fresh)->region_);
  number_ = (*fresh)->number_;
  at_ = (*fresh)->at_;
  left_ = (*fresh)->left_;
  return {};
}

}  // namespace picket::store::tsdb
