// SPDX-License-Identifier: Apache-2.0
#include "collectors/host/file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

#include "core/base/strings.h"

namespace picket::collectors::host {

KernelFile::KernelFile(KernelFile&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      buffer_(std::move(other.buffer_)) {}

KernelFile::~KernelFile() {
  if (fd_ >= 0) close(fd_);
}

Status KernelFile::Open() {
  if (fd_ >= 0) return {};
  fd_ = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  return fd_ >= 0 ? Status() : Fail(ErrnoError("open " + path_, errno));
}

Result<size_t> KernelFile::ReadAll() {
  if (buffer_.size() < 4096) buffer_.resize(4096);
  size_t size = 0;
  while (true) {
    if (size == buffer_.size()) buffer_.resize(buffer_.size() * 2);
    const ssize_t n =
        pread(fd_, buffer_.data() + size, buffer_.size() - size, static_cast<off_t>(size));
    if (n == 0) return size;
    if (n > 0) {
      size += static_cast<size_t>(n);
    } else if (errno != EINTR) {
      return Fail(ErrnoError("read " + path_, errno));
    }
  }
}

Result<std::string_view> KernelFile::Read() {
  for (int attempt = 0;; ++attempt) {
    PICKET_TRY(Open());
    const Result<size_t> size = ReadAll();
    if (size) return std::string_view(buffer_.data(), *size);
    // A device that went and came back leaves a dead descriptor: once more from the path.
    close(std::exchange(fd_, -1));
    if (attempt > 0) return Fail(size.error());
  }
}

std::string ReadSmall(const std::string& path) {
  KernelFile file(path);
  const auto text = file.Read();
  return text ? std::string(Trim(*text)) : std::string();
}

bool Lines::Next(std::string_view& line) {
  if (rest_.empty()) return false;
  const size_t end = rest_.find('\n');
  line = rest_.substr(0, end);
  rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
  return true;
}

std::string_view TakeWord(std::string_view& line) {
  size_t begin = 0;
  while (begin < line.size() && (line[begin] == ' ' || line[begin] == '\t')) ++begin;
  size_t end = begin;
  while (end < line.size() && line[end] != ' ' && line[end] != '\t') ++end;
  const std::string_view word = line.substr(begin, end - begin);
  line.remove_prefix(end);
  return word;
}

uint64_t ToUint(std::string_view text) {
  uint64_t value = 0;
  const auto [stop, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  return code == std::errc() && stop == text.data() + text.size() ? value : 0;
}

double ToDouble(std::string_view text) {
  double value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace picket::collectors::host
