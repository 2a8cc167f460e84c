// SPDX-License-Identifier: Apache-2.0
// Memory that is kept between bodies, so that a body costs no allocation and no zeroing.
#pragma once
#include <cstddef>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

namespace picket::net {

/// Bytes that grow without being cleared and stay allocated.
/// Shape: kPadding bytes behind size() are always readable (their content is unspecified), for
/// vector scans.
class BodyBuffer {
 public:
  static constexpr size_t kPadding = 64;
  BodyBuffer() = default;
  BodyBuffer(BodyBuffer&& o) noexcept
      : data_(std::move(o.data_)),
        size_(std::exchange(o.size_, 0)),
        capacity_(std::exchange(o.capacity_, 0)) {}
  BodyBuffer& operator=(BodyBuffer&& o) noexcept {
    data_ = std::move(o.data_);
    size_ = std::exchange(o.size_, 0);
    capacity_ = std::exchange(o.capacity_, 0);
    return *this;
  }

  const char* data() const { return data_.get(); }
  char* data() { return data_.get(); }
  size_t size() const { return size_; }
  size_t capacity() const { return capacity_; }
  bool empty() const { return size_ == 0; }
  std::string_view view() const { return {data_.get(), size_}; }

  void Clear() { size_ = 0; }
  /// Keeps the content. Grows to exactly `capacity` when that is asked for once, geometrically when
  /// repeatedly.
  void Reserve(size_t capacity);
  /// Sets the size within the capacity; new bytes are whatever is there.
  void SetSize(size_t size) { size_ = size; }
  void Append(std::string_view bytes);
  /// Gives the memory back if it is more than `keep` bytes. Clears.
  void Trim(size_t keep);

 private:
  std::unique_ptr<char[]> data_;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

/// Buffers shared by many targets: as many as there are bodies in flight, not as there are targets.
/// Threads: any.
class BufferPool {
 public:
  /// Keeps up to `max_kept` idle buffers of up to `max_bytes` each.
  explicit BufferPool(size_t max_kept = 8, size_t max_bytes = size_t{4} << 20)
      : max_kept_(max_kept), max_bytes_(max_bytes) {}
  std::unique_ptr<BodyBuffer> Take();
  void Give(std::unique_ptr<BodyBuffer> buffer);

 private:
  const size_t max_kept_;
  const size_t max_bytes_;
  std::mutex mutex_;  // guards idle_
  std::vector<std::unique_ptr<BodyBuffer>> idle_;
};

}  // namespace picket::net
