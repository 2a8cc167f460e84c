// SPDX-License-Identifier: Apache-2.0
// The narrow seam to the file system, so that tests inject short writes, full disks, read errors
// and crashes at any byte.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace picket::spool {

/// One open file. Threads: reads from any; one writer at a time.
class File {
 public:
  virtual ~File() = default;
  /// Writes the pieces one after the other at `offset`. On failure any prefix may be in the file.
  /// Errors: kOverloaded when the disk is full (ENOSPC, EDQUOT), else kIo.
  virtual Status WriteAt(uint64_t offset, std::span<const std::string_view> pieces) = 0;
  /// Reads up to `n` bytes; fewer at the end of the file.
  virtual Result<size_t> ReadAt(uint64_t offset, char* to, size_t n) = 0;
  /// Makes the file `size` long with its blocks taken, so that later writes inside cannot meet a
  /// full disk. Falls back to a sparse file where the file system cannot.
  virtual Status Allocate(uint64_t size) = 0;
  virtual Status Sync() = 0;
};

/// What the spool needs of a file system. Paths are absolute or relative to the working directory.
class Files {
 public:
  virtual ~Files() = default;
  struct Entry {
    std::string name;
    uint64_t size = 0;
  };
  virtual Status MakeDirectories(const std::string& path) = 0;
  /// Regular files of a directory, unsorted.
  virtual Result<std::vector<Entry>> List(const std::string& directory) = 0;
  /// For reading and writing. Errors: kNotFound when it must exist and does not.
  virtual Result<std::unique_ptr<File>> Open(const std::string& path, bool create) = 0;
  virtual Status Rename(const std::string& from, const std::string& to) = 0;
  virtual Status Remove(const std::string& path) = 0;
  virtual Status SyncDirectory(const std::string& path) = 0;
  /// Holds an exclusive lock until the result goes away (or the process does). Errors: kOverloaded
  /// when held elsewhere.
  virtual Result<std::shared_ptr<void>> Lock(const std::string& path) = 0;
};

/// The real one. Threads: any.
Files& SystemFiles();

}  // namespace picket::spool
