// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <sys/stat.h>

#include <memory>
#include <mutex>
#include <string>

#include "core/base/result.h"

namespace picket::net {

/// A small file that is read anew when it has changed. Threads: any. Cost: one stat a call.
class WatchedFile {
 public:
  explicit WatchedFile(std::string path) : path_(std::move(path)) {}
  const std::string& path() const { return path_; }
  /// The same pointer as long as the file is the same. Errors: kNotFound, kIo, kLimit past 1 MiB.
  Result<std::shared_ptr<const std::string>> Read();

 private:
  struct Stamp {
    int64_t seconds = 0, nanoseconds = 0, size = -1;
    uint64_t inode = 0;
    bool operator==(const Stamp&) const = default;
  };
  const std::string path_;
  std::mutex mutex_;  // guards stamp_, text_
  Stamp stamp_;
  std::shared_ptr<const std::string> text_;
};

/// Text given inline, or in a file, or neither.
class TextSource {
 public:
  TextSource() = default;
  TextSource(std::string inline_text, const std::string& file);
  bool given() const { return text_ != nullptr || file_ != nullptr; }
  /// Null when not given.
  Result<std::shared_ptr<const std::string>> Read() const;
  bool from_file() const { return file_ != nullptr; }
  /// Where it comes from, for errors.
  std::string name(const char* key) const { return file_ ? file_->path() : key; }

 private:
  std::shared_ptr<const std::string> text_;
  std::shared_ptr<WatchedFile> file_;
};

}  // namespace picket::net
