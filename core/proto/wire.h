// SPDX-License-Identifier: Apache-2.0
// The protobuf wire form, read and written without generated code.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace picket::proto {

enum class WireType : uint8_t {
  kVarint = 0,
  kFixed64 = 1,
  kBytes = 2,  ///< length-delimited: strings, bytes, messages, packed numbers
  kStartGroup = 3,
  kEndGroup = 4,
  kFixed32 = 5,
};

static_assert(std::endian::native == std::endian::little, "fixed fields are copied as they lie");

namespace internal {

/// Both in registers: an out parameter would keep the reader's own fields in memory.
struct VarintAt {
  const char* end;  ///< null if it is cut or too long
  uint64_t value;
};
VarintAt ReadLongVarint(const char* p, const char* end);
/// Steps over a group whose start tag has been read. Null if it is malformed or too deep.
const char* SkipGroup(const char* p, const char* end, uint32_t number);

inline VarintAt ReadVarintAt(const char* p, const char* end) {
  if (p < end && static_cast<uint8_t>(*p) < 0x80) [[likely]]
    return {p + 1, static_cast<uint8_t>(*p)};
  return ReadLongVarint(p, end);
}

}  // namespace internal

/// Reads a varint of at most ten bytes. Returns the byte behind it, or null if it is cut or too
/// long.
inline const char* ReadVarint(const char* p, const char* end, uint64_t& value) {
  const internal::VarintAt v = internal::ReadVarintAt(p, end);
  value = v.value;
  return v.end;
}

inline constexpr uint64_t ZigZag(int64_t v) {
  return (static_cast<uint64_t>(v) << 1) ^ static_cast<uint64_t>(v >> 63);
}
inline constexpr int64_t UnZigZag(uint64_t v) {
  return static_cast<int64_t>(v >> 1) ^ -static_cast<int64_t>(v & 1);
}

/// Walks the fields of one message. Each Next() reads a tag and its payload; nested messages are
/// read by a Reader over bytes(). Groups (deprecated, but legal as unknown fields) are stepped over
/// as one field.
///   for (Reader r(body); r.Next();) if (r.Is(1, WireType::kBytes)) Use(r.bytes());
///   if (!r.ok()) -> malformed
/// Ownership: borrows the bytes. Errors: a cut or impossible field ends the walk with ok() false;
/// nothing past the end is read. Source: protobuf.dev, Encoding.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : p_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  /// Steps to the next field. False at the end and on malformed bytes.
  [[gnu::always_inline]] bool Next() {
    const char* p = p_;
    begin_ = p;
    if (p == end_) return false;
    const internal::VarintAt tag = internal::ReadVarintAt(p, end_);
    if (!tag.end || tag.value > UINT32_MAX || tag.value < 8) return Fail();
    p = tag.end;
    number_ = static_cast<uint32_t>(tag.value >> 3);
    type_ = static_cast<WireType>(tag.value & 7);
    if (type_ == WireType::kBytes) {
      const internal::VarintAt size = internal::ReadVarintAt(p, end_);
      if (!size.end || size.value > static_cast<uint64_t>(end_ - size.end)) return Fail();
      bytes_ = {size.end, static_cast<size_t>(size.value)};
      p_ = size.end + size.value;
      return true;
    }
    if (type_ == WireType::kVarint) {
      const internal::VarintAt v = internal::ReadVarintAt(p, end_);
      if (!v.end) return Fail();
      value_ = v.value;
      p_ = v.end;
      return true;
    }
    if (type_ == WireType::kFixed64) return ReadFixed(p, 8);
    if (type_ == WireType::kFixed32) return ReadFixed(p, 4);
    if (type_ != WireType::kStartGroup) return Fail();
    p_ = internal::SkipGroup(p, end_, number_);
    bytes_ = {};
    return p_ != nullptr || Fail();
  }

  bool ok() const { return !failed_; }
  uint32_t number() const { return number_; }
  WireType type() const { return type_; }
  bool Is(uint32_t number, WireType type) const { return number_ == number && type_ == type; }
  /// The payload of kVarint, kFixed64 and kFixed32.
  uint64_t value() const { return value_; }
  double AsDouble() const { return std::bit_cast<double>(value_); }
  int64_t AsSint() const { return UnZigZag(value_); }
  /// The payload of kBytes.
  std::string_view bytes() const { return bytes_; }
  /// The whole field with its tag, to be copied on untouched.
  std::string_view raw() const { return {begin_, static_cast<size_t>(p_ - begin_)}; }

 private:
  bool Fail() {
    failed_ = true;
    p_ = end_ = begin_;
    return false;
  }
  bool ReadFixed(const char* p, ptrdiff_t n) {
    if (end_ - p < n) return Fail();
    value_ = 0;
    std::memcpy(&value_, p, static_cast<size_t>(n));
    p_ = p + n;
    return true;
  }

  const char* p_;
  const char* end_;
  const char* begin_ = nullptr;
  uint64_t value_ = 0;
  std::string_view bytes_;
  uint32_t number_ = 0;
  WireType type_ = WireType::kVarint;
  bool failed_ = false;
};

inline constexpr size_t VarintSize(uint64_t v) {
  // Seven bits a byte, one byte for zero.
  return (static_cast<size_t>(std::bit_width(v | 1)) * 9 + 64) / 64;
}
inline constexpr uint32_t Tag(uint32_t number, WireType type) {
  return number << 3 | static_cast<uint32_t>(type);
}
inline constexpr size_t TagSize(uint32_t number) { return VarintSize(uint64_t{number} << 3); }
/// Size of a length-delimited field with its tag and length.
inline constexpr size_t BytesFieldSize(uint32_t number, size_t payload) {
  return TagSize(number) + VarintSize(payload) + payload;
}

// Raw writers for callers that have computed their sizes: each returns the byte behind what it
// wrote. Room is the caller's.
inline char* WriteVarint(char* p, uint64_t v) {
  while (v >= 0x80) {
    *p++ = static_cast<char>(v | 0x80);
    v >>= 7;
  }
  *p++ = static_cast<char>(v);
  return p;
}
inline char* WriteTag(char* p, uint32_t number, WireType type) {
  return WriteVarint(p, Tag(number, type));
}
inline char* WriteRaw(char* p, std::string_view bytes) {
  if (!bytes.empty()) std::memcpy(p, bytes.data(), bytes.size());
  return p + bytes.size();
}
inline char* WriteFixed64(char* p, uint64_t v) {
  std::memcpy(p, &v, 8);
  return p + 8;
}

/// Appends fields to a string. Shape: Put* writes a field even when its value is the default;
/// Begin/End nest. Ownership: borrows the string. Cost: End moves the message's bytes only when its
/// length needs more bytes than `length_width` foresaw.
class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}

  void PutVarint(uint32_t number, uint64_t value) {
    char buffer[20];
    out_.append(buffer, WriteVarint(WriteTag(buffer, number, WireType::kVarint), value));
  }
  void PutInt(uint32_t number, int64_t value) { PutVarint(number, static_cast<uint64_t>(value)); }
  void PutSint(uint32_t number, int64_t value) { PutVarint(number, ZigZag(value)); }
  void PutBool(uint32_t number, bool value) { PutVarint(number, value ? 1 : 0); }
  void PutFixed64(uint32_t number, uint64_t value) {
    char buffer[18];
    out_.append(buffer, WriteFixed64(WriteTag(buffer, number, WireType::kFixed64), value));
  }
  void PutDouble(uint32_t number, double value) {
    PutFixed64(number, std::bit_cast<uint64_t>(value));
  }
  void PutFixed32(uint32_t number, uint32_t value) {
    char buffer[14];
    char* p = WriteTag(buffer, number, WireType::kFixed32);
    std::memcpy(p, &value, 4);
    out_.append(buffer, p + 4);
  }
  void PutBytes(uint32_t number, std::string_view bytes) {
    PutHeader(number, bytes.size());
    out_.append(bytes);
  }
  /// Tag and length; the caller appends exactly `size` bytes next.
  void PutHeader(uint32_t number, uint64_t size) {
    char buffer[20];
    out_.append(buffer, WriteVarint(WriteTag(buffer, number, WireType::kBytes), size));
  }
  /// Whole fields as they came (Reader::raw).
  void PutRaw(std::string_view fields) { out_.append(fields); }

  struct Mark {
    size_t start;  ///< of the payload
    size_t width;  ///< bytes kept for the length
  };
  /// Opens a nested message. `length_width` is the expected size of its length: 1 below 128 bytes,
  /// 2 below 16 KiB.
  Mark Begin(uint32_t number, size_t length_width = 1) {
    char buffer[10];
    out_.append(buffer, WriteTag(buffer, number, WireType::kBytes));
    out_.append(length_width, '\0');
    return {out_.size(), length_width};
  }
  void End(Mark mark) {
    const uint64_t size = out_.size() - mark.start;
    const size_t width = VarintSize(size);
    if (width > mark.width) {
      out_.insert(mark.start, width - mark.width, '\0');
    } else if (width < mark.width) {
      out_.erase(mark.start - (mark.width - width), mark.width - width);
    }
    WriteVarint(out_.data() + mark.start - mark.width, size);
  }
  std::string& out() { return out_; }

 private:
  std::string& out_;
};

}  // namespace picket::proto
