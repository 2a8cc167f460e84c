// SPDX-License-Identifier: Apache-2.0
#include "core/net/internal/chunked.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace picket::net {
namespace {

constexpr size_t kLongestSizeLine = 1024;
constexpr size_t kLongestTrailer = 8192;
constexpr int kMostDigits = 15;  // below 2^60: sums cannot overflow

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::unexpected<Error> Damaged(const char* what) {
  return Fail(ErrorKind::kCorrupt, fmt::format("chunked body is damaged: {}", what));
}

}  // namespace

Status ChunkedDecoder::Feed(BodyBuffer& buffer, size_t payload) {
  payload_ = payload;
  char* const base = buffer.data();
  size_t at = payload;
  const size_t end = buffer.size();
  while (at < end && state_ != State::kDone) {
    if (state_ != State::kData) {
      PICKET_TRY(Byte(base[at++]));
      continue;
    }
    const size_t n = static_cast<size_t>(std::min<uint64_t>(left_, end - at));
    if (at != payload_) std::memmove(base + payload_, base + at, n);
    payload_ += n;
    at += n;
    left_ -= n;
    if (left_ == 0) state_ = State::kDataCr;
  }
  if (at != payload_) std::memmove(base + payload_, base + at, end - at);
  buffer.SetSize(payload_ + (end - at));
  return {};
}

Status ChunkedDecoder::EndSizeLine() {
  if (left_ == 0) {
    state_ = State::kTrailer;
    overhead_ = 0;
    tail_ = '\n';
    return {};
  }
  if (left_ > limit_ || payload_ > limit_ - left_)
    return Fail(ErrorKind::kLimit, fmt::format("body is over the limit of {} bytes", limit_));
  state_ = State::kData;
  return {};
}

Status ChunkedDecoder::Byte(char c) {
  switch (state_) {
    case State::kSize:
      if (const int digit = HexDigit(c); digit >= 0) {
        if (++digits_ > kMostDigits) return Damaged("a size has too many digits");
        left_ = left_ * 16 + static_cast<uint64_t>(digit);
        return {};
      }
      if (digits_ == 0) return Damaged("a chunk has no size");
      if (c == '\r') return state_ = State::kSizeLf, Status();
      if (c != ';' && c != ' ' && c != '\t') return Damaged("a size has a strange digit");
      state_ = State::kExtension;
      overhead_ = 0;
      return {};
    case State::kExtension:
      if (c == '\r') return state_ = State::kSizeLf, Status();
      if (c == '\n' || c == '\0') return Damaged("a size line has no CRLF");
      if (++overhead_ > kLongestSizeLine) return Damaged("a size line is too long");
      return {};
    case State::kSizeLf:
      if (c != '\n') return Damaged("a size line has no CRLF");
      return EndSizeLine();
    case State::kDataCr:
      if (c != '\r') return Damaged("a chunk is longer than its size");
      return state_ = State::kDataLf, Status();
    case State::kDataLf:
      if (c != '\n') return Damaged("a chunk is longer than its size");
      state_ = State::kSize;
      left_ = 0;
      digits_ = 0;
      return {};
    case State::kTrailer:
      // Fields are read over; an empty line ends them.
      if (++overhead_ > kLongestTrailer) return Damaged("the trailer is too long");
      if (c == '\n' && (tail_ & 0xff) != '\r')
        return Damaged("the trailer has a line without CRLF");
      if (c == '\n' && (tail_ & 0xff00) == ('\n' << 8)) state_ = State::kDone;
      tail_ = tail_ << 8 | static_cast<unsigned char>(c);
      return {};
    case State::kData:
    case State::kDone:
      break;
  }
  return {};
}

}  // namespace picket::net
