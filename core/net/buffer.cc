// SPDX-License-Identifier: Apache-2.0
#include "core/net/buffer.h"

#include <algorithm>
#include <cstring>

namespace picket::net {

void BodyBuffer::Reserve(size_t capacity) {
  if (capacity <= capacity_) return;
  // The first size asked for is usually the announced one and stays; later ones mean that nobody
  // knows it.
  if (capacity_ > 0) capacity = std::max(capacity, capacity_ + capacity_ / 2);
  std::unique_ptr<char[]> grown(new char[capacity + kPadding]);
  if (size_ > 0) std::memcpy(grown.get(), data_.get(), size_);
  std::memset(grown.get() + capacity, 0, kPadding);
  data_ = std::move(grown);
  capacity_ = capacity;
}

void BodyBuffer::Append(std::string_view bytes) {
  if (bytes.empty()) return;
  Reserve(size_ + bytes.size());
  std::memcpy(data_.get() + size_, bytes.data(), bytes.size());
  size_ += bytes.size();
}

void BodyBuffer::Trim(size_t keep) {
  size_ = 0;
  if (capacity_ <= keep) return;
  data_.reset();
  capacity_ = 0;
}

std::unique_ptr<BodyBuffer> BufferPool::Take() {
  {
    std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      auto buffer = std::move(idle_.back());
      idle_.pop_back();
      return buffer;
    }
  }
  return std::make_unique<BodyBuffer>();
}

void BufferPool::Give(std::unique_ptr<BodyBuffer> buffer) {
  if (!buffer) return;
  buffer->Trim(max_bytes_);
  std::lock_guard lock(mutex_);
  if (idle_.size() < max_kept_) idle_.push_back(std::move(buffer));
}

}  // namespace picket::net
