// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace picket::collectors::host {

/// A file of the kernel's that is read over and over: kept open and read from its start each time.
/// Threads: one at a time.
class KernelFile {
 public:
  explicit KernelFile(std::string path) : path_(std::move(path)) {}
  ~KernelFile();
  KernelFile(KernelFile&& other) noexcept;
  KernelFile& operator=(KernelFile&&) = delete;

  /// The content now. Ownership: valid until the next Read. Errors: kNotFound, kIo with the path.
  Result<std::string_view> Read();
  const std::string& path() const { return path_; }

 private:
  Status Open();
  Result<size_t> ReadAll();
  std::string path_;
  int fd_ = -1;
  std::string buffer_;
};

/// The trimmed content of a small file, or empty.
std::string ReadSmall(const std::string& path);

/// Goes through a text by lines, without the line ends.
class Lines {
 public:
  explicit Lines(std::string_view text) : rest_(text) {}
  bool Next(std::string_view& line);

 private:
  std::string_view rest_;
};

/// Takes the next word, separated by blanks, off the front; empty at the end.
std::string_view TakeWord(std::string_view& line);
/// A whole unsigned decimal, or 0.
uint64_t ToUint(std::string_view text);
double ToDouble(std::string_view text);

}  // namespace picket::collectors::host
