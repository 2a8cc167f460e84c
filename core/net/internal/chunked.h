// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <cstdint>

#include "core/base/result.h"
#include "core/net/buffer.h"

namespace picket::net {

/// Joins the chunks of a body in the memory they were received in. Source: RFC 9112 section 7.1.
/// Use: append what was received behind `buffer`'s payload, call Feed with where the payload ended.
/// Cost: one memmove of what was received with its framing; data of a large chunk that is read
/// after its size line lies in place and is not moved.
class ChunkedDecoder {
 public:
  /// `limit`: payload bytes, 0: none.
  explicit ChunkedDecoder(uint64_t limit) : limit_(limit == 0 ? UINT64_MAX : limit) {}

  /// [0, payload) is decoded, [payload, size) was received since. Afterwards the buffer holds
  /// payload only, followed, when done(), by what belongs to the next message: [payload_end(),
  /// size). Errors: kCorrupt, kLimit.
  Status Feed(BodyBuffer& buffer, size_t payload);
  bool done() const { return state_ == State::kDone; }
  size_t payload_end() const { return payload_; }
  /// Bytes known to come at least (the rest of a chunk), to size the next read.
  uint64_t expected() const { return state_ == State::kData ? left_ + 2 : 0; }

 private:
  enum class State : uint8_t {
    kSize,
    kExtension,
    kSizeLf,
    kData,
    kDataCr,
    kDataLf,
    kTrailer,
    kDone
  };
  Status Byte(char c);
  Status EndSizeLine();

  const uint64_t limit_;
  State state_ = State::kSize;
  uint64_t left_ = 0;  // of the chunk
  int digits_ = 0;
  size_t overhead_ = 0;  // bytes of this size line or of the trailer
  size_t payload_ = 0;
  uint32_t tail_ = 0;  // the last bytes of the trailer
};

}  // namespace picket::net
