// SPDX-License-Identifier: Apache-2.0
// An open file and how to know it again.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "collectors/logs/checkpoint.h"
#include "core/base/result.h"

namespace picket::collectors::logs {

/// What fstat said.
struct FileState {
  uint64_t device = 0;
  uint64_t inode = 0;
  uint64_t size = 0;
  int64_t mtime_ns = 0;
  bool linked = true;  ///< some folder still names it
};
Result<FileState> StatPath(const std::string& path);

/// A file open for reading; the descriptor keeps it readable after a rename or a delete.
/// Errors: kIo, kNotFound. Threads: one.
class SourceFile {
 public:
  static Result<std::unique_ptr<SourceFile>> Open(const std::string& path);
  ~SourceFile();
  SourceFile(const SourceFile&) = delete;
  SourceFile& operator=(const SourceFile&) = delete;

  Result<FileState> Stat() const;
  /// Appends up to `length` bytes from `offset` to `out`, fewer only at the end of the file.
  Status Read(uint64_t offset, size_t length, std::string& out) const;
  /// Where data begin at or behind `offset`: steps over a hole.
  uint64_t NextData(uint64_t offset) const;
  /// XXH3 of [offset, offset + length), or nothing if the file is shorter.
  bool Hash(uint64_t offset, uint32_t length, uint64_t& hash) const;
  /// Takes in more of the head while the file is short. True if the fingerprint changed.
  bool UpdateHead(uint64_t size, Fingerprint& fingerprint) const;
  /// Whether the head that `fingerprint` saw is still there.
  bool SameHead(const Fingerprint& fingerprint) const;
  /// Whether `mark` can go on in this file: same head, and the same bytes before where it stopped.
  bool Continues(const FileMark& mark) const;
  /// Lines in [offset, end of file). Cost: reads them.
  uint64_t CountLines(uint64_t offset) const;
  /// The same open file once more.
  Result<std::unique_ptr<SourceFile>> Duplicate() const;

 private:
  explicit SourceFile(int fd) : fd_(fd) {}
  int fd_;
};

/// A file beside a log that rotation may have made of it: app.log.1, app.log-20260301,
/// 0.log.2026...
struct Sibling {
  std::string path;
  FileState state;
};
/// Siblings of `path`, oldest modification first, compressed ones left out.
std::vector<Sibling> ListSiblings(const std::string& path);

}  // namespace picket::collectors::logs
