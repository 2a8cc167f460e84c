// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

#include "store/tsdb/bytes.h"

namespace picket::store::tsdb {

/// The values of up to 64 neighbouring slots in a row record.
struct WordEntry {
  int word = 0;
  uint64_t bits = 0;           ///< which of the 64 slots have a value here
  const uint8_t* p = nullptr;  ///< their codes
  const uint8_t* end = nullptr;
};

/// Walks a row record: its time step, then its words. Source: FORMAT.md, "Row records".
class RowEntries {
 public:
  RowEntries(const uint8_t* payload, uint32_t size) : end_(payload + size) {
    uint64_t u = 0;
    p_ = GetVarint(payload, end_, u);
    time_step_ = UnZigZag(u);
  }
  int64_t time_step() const { return time_step_; }
  /// False at the end, and on damage (then also !ok()).
  bool Next(WordEntry& out) {
    if (p_ == nullptr || p_ >= end_) return false;
    uint64_t step;
    p_ = GetVarint(p_, end_, step);
    if (p_ == nullptr || end_ - p_ < 10 || step > 15 || word_ + static_cast<int>(step) > 15)
      return Fail();
    word_ += static_cast<int>(step);
    out.word = word_;
    out.bits = Load<uint64_t>(p_);
    const auto size = Load<uint16_t>(p_ + 8);
    p_ += 10;
    if (size > end_ - p_) return Fail();
    out.p = p_;
    out.end = p_ += size;
    return true;
  }
  bool ok() const { return p_ != nullptr; }

 private:
  bool Fail() {
    p_ = nullptr;
    return false;
  }
  const uint8_t* p_;
  const uint8_t* end_;
  int word_ = 0;
  int64_t time_step_ = 0;
};

}  // namespace picket::store::tsdb
