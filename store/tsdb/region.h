// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "core/base/result.h"

namespace picket::store::tsdb {

/// Bytes at a fixed address that grow at their end: a mapped file, or plain memory without one.
/// Address space for `capacity` is reserved at once, so pointers stay good while it grows. Bytes
/// are made real on the disk before they are handed out: a full disk is an error here and never a
/// SIGBUS later. Threads: Grow is the caller's to serialise; reading and writing what is there is
/// free.
class Region {
 public:
  using Allocate = std::function<int(int fd, int64_t offset, int64_t length)>;
  /// `path` empty: anonymous memory. An existing file larger than `capacity` raises it.
  static Result<std::unique_ptr<Region>> Open(const std::string& path, uint64_t capacity,
                                              Allocate allocate);
  ~Region();
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;

  uint8_t* data() const { return data_; }
  uint64_t size() const { return size_; }
  uint64_t capacity() const { return capacity_; }
  bool IsFile() const { return fd_ >= 0; }
  /// Errors: kOverloaded at the capacity, kIo when the system refuses (no space).
  Status Grow(uint64_t new_size);
  /// Gives the memory and disk of a range back; Restore makes it usable again, with undefined
  /// bytes.
  void Discard(uint64_t offset, uint64_t length);
  Status Restore(uint64_t offset, uint64_t length);
  /// Takes the pages up to the last whole one of a range out of this process's memory. A file's
  /// bytes stay in the page cache, which the system may take back, and are mapped again when
  /// touched. Nothing is done to plain memory.
  void LeaveToPageCache(uint64_t offset, uint64_t length);
  int fd() const { return fd_; }

 private:
  Region() = default;
  uint8_t* data_ = nullptr;
  uint64_t size_ = 0;
  uint64_t capacity_ = 0;
  int fd_ = -1;
  Allocate allocate_;
};

}  // namespace picket::store::tsdb
