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

/// Reads a varint of at most ten bytes. Returns the byte behind it, or null if it is cut or too
/// long.
inline const char* ReadVarint(const char* p, const char* end, uint64_t& value) {
  if (p < end && static_cast<uint8_t>(*p) < 0x80) {
    value = static_cast<uint8_t>(*p);
    return p + 1;
  }
  uint64_t result = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (p == end) return nullptr;
    const auto byte = static_cast<uint8_t>(*p++);
    result |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) {
      // The tenth byte has room for one bit only.
      if (shift == 63 && byte > 1) return nullptr;
      value = result;
      return p;
    }
  }
  return nullptr;
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
  bool Next() {
    begin_ = p_;
    if (p_ == end_) return false;
    uint64_t tag = 0;
    if (!(p_ = ReadVarint(p_, end_, tag)) || tag > UINT32_MAX || (tag >> 3) == 0) return Fail();
    number_ = static_cast<uint32_t>(tag >> 3);
    type_ = static_cast<WireType>(tag & 7);
    switch (type_) {
      case WireType::kVarint:
        return (p_ = ReadVarint(p_, end_, value_)) != nullptr || Fail();
      case WireType::kFixed64:
        return ReadFixed(8);
      case WireType::kFixed32:
        return ReadFixed(4);
      case WireType::kBytes: {
        uint64_t size = 0;
        if (!(p_ = ReadVarint(p_, end_, size)) || size > static_cast<uint64_t>(end_ - p_))
          return Fail();
        bytes_ = {p_, static_cast<size_t>(size)};
        p_ += size;
        return true;
      }
      case WireType::kStartGroup:
        return SkipGroup();
      default:
        return Fail();
    }
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
  static constexpr int kMaxGroupDepth = 64;

  bool Fail() {
    failed_ = true;
    p_ = end_ = begin_;
    return false;
  }
  bool ReadFixed(ptrdiff_t n) {
    if (end_ - p_ < n) return Fail();
    value_ = 0;
    std::memcpy(&value_, p_, static_cast<size_t>(n));
    p_ += n;
    return true;
  }
  bool SkipGroup() {
    uint32_t open[kMaxGroupDepth];
    int depth = 0;
    open[depth++] = number_;
    const char* const whole = begin_;
    const uint32_t number = number_;
    while (depth > 0) {
      uint64_t tag = 0;
      uint64_t size = 0;
      if (!(p_ = ReadVarint(p_, end_, tag)) || tag > UINT32_MAX || (tag >> 3) == 0) return Fail();
      switch (static_cast<WireType>(tag & 7)) {
        case WireType::kVarint:
          if (!(p_ = ReadVarint(p_, end_, size))) return Fail();
          break;
        case WireType::kFixed64:
          if (!ReadFixed(8)) return false;
          break;
        case WireType::kFixed32:
          if (!ReadFixed(4)) return false;
          break;
        case WireType::kBytes:
          if (!(p_ = ReadVarint(p_, end_, size)) || size > static_cast<uint64_t>(end_ - p_))
            return Fail();
          p_ += size;
          break;
        case WireType::kStartGroup:
          if (depth == kMaxGroupDepth) return Fail();
          open[depth++] = static_cast<uint32_t>(tag >> 3);
          break;
        case WireType::kEndGroup:
          if (open[--depth] != tag >> 3) return Fail();
          break;
        default:
          return Fail();
      }
    }
    begin_ = whole;
    number_ = number;
    bytes_ = {};
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
