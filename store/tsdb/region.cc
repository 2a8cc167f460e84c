// SPDX-License-Identifier: Apache-2.0
#include "store/tsdb/region.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace picket::store::tsdb {
namespace {

constexpr uint64_t kPage = 4096;
uint64_t PageUp(uint64_t n) { return (n + kPage - 1) / kPage * kPage; }

int FileAllocate(int fd, int64_t offset, int64_t length) {
  return posix_fallocate(fd, offset, length);
}

}  // namespace

Result<std::unique_ptr<Region>> Region::Open(const std::string& path, uint64_t capacity,
                                             Allocate allocate) {
  std::unique_ptr<Region> region(new Region());
  region->allocate_ = allocate ? std::move(allocate) : Allocate(FileAllocate);
  region->capacity_ = PageUp(capacity);
  if (path.empty()) {
    // No access until Grow: reserved address space is then not charged as memory anywhere.
    void* p = mmap(nullptr, region->capacity_, PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return Fail(ErrnoError("reserve memory for samples", errno));
    region->data_ = static_cast<uint8_t*>(p);
    return region;
  }
  region->fd_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (region->fd_ < 0) return Fail(ErrnoError("open " + path, errno));
  struct stat st{};
  if (fstat(region->fd_, &st) != 0) return Fail(ErrnoError("stat " + path, errno));
  region->size_ = static_cast<uint64_t>(st.st_size);
  region->capacity_ = std::max(region->capacity_, PageUp(region->size_));
  // The mapping reaches past the end of the file; nobody touches bytes beyond size_.
  void* p = mmap(nullptr, region->capacity_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
                 region->fd_, 0);
  if (p == MAP_FAILED) return Fail(ErrnoError("map " + path, errno));
  region->data_ = static_cast<uint8_t*>(p);
  return region;
}

Region::~Region() {
  if (data_ != nullptr) munmap(data_, capacity_);
  if (fd_ >= 0) close(fd_);
}

Status Region::Grow(uint64_t new_size) {
  new_size = PageUp(new_size);
  if (new_size <= size_) return {};
  if (new_size > capacity_) return Fail(ErrorKind::kOverloaded, "the store's file is at its limit");
  PICKET_TRY(Restore(size_, new_size - size_));
  size_ = new_size;
  return {};
}

void Region::Discard(uint64_t offset, uint64_t length) {
  if (fd_ >= 0) {
    fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
              static_cast<off_t>(length));
  } else {
    madvise(data_ + offset, length, MADV_DONTNEED);
  }
}

void Region::LeaveToPageCache(uint64_t offset, uint64_t length) {
  if (fd_ < 0) return;
  const uint64_t first = offset / kPage * kPage;
  const uint64_t last = (offset + length) / kPage * kPage;  // the rest of a page is yet to come
  // Of a shared mapping this drops no byte: dirty pages are the file's, not the process's.
  if (last > first) madvise(data_ + first, last - first, MADV_DONTNEED);
}

Status Region::Restore(uint64_t offset, uint64_t length) {
  if (fd_ >= 0) {
    const int e = allocate_(fd_, static_cast<int64_t>(offset), static_cast<int64_t>(length));
    if (e != 0) return Fail(ErrnoError("make room for samples", e));
    return {};
  }
  if (mprotect(data_ + offset, length, PROT_READ | PROT_WRITE) != 0)
    return Fail(ErrnoError("make room for samples", errno));
  return {};
}

}  // namespace picket::store::tsdb
