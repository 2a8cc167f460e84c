// SPDX-License-Identifier: Apache-2.0
#include "core/net/internal/watched_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

namespace picket::net {
namespace {

constexpr size_t kLargest = size_t{1} << 20;

Result<std::string> ReadDescriptor(int fd, const std::string& path) {
  std::string text;
  char chunk[4096];
  for (;;) {
    const ssize_t n = ::read(fd, chunk, sizeof chunk);
    if (n == 0) return text;
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Fail(ErrnoError("read " + path, errno));
    text.append(chunk, static_cast<size_t>(n));
    if (text.size() > kLargest)
      return Fail(ErrorKind::kLimit, fmt::format("{} is over 1 MiB", path));
  }
}

}  // namespace

Result<std::shared_ptr<const std::string>> WatchedFile::Read() {
  std::lock_guard lock(mutex_);
  struct stat st{};
  if (::stat(path_.c_str(), &st) != 0) return Fail(ErrnoError("open " + path_, errno));
  const Stamp stamp{st.st_mtim.tv_sec, st.st_mtim.tv_nsec, st.st_size, st.st_ino};
  if (text_ && stamp == stamp_) return text_;
  const int fd = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Fail(ErrnoError("open " + path_, errno));
  auto text = ReadDescriptor(fd, path_);
  ::close(fd);
  if (!text) return Fail(std::move(text).error());
  stamp_ = stamp;
  if (!text_ || *text_ != *text) text_ = std::make_shared<const std::string>(*std::move(text));
  return text_;
}

TextSource::TextSource(std::string inline_text, const std::string& file) {
  if (!inline_text.empty())
    text_ = std::make_shared<const std::string>(std::move(inline_text));
  else if (!file.empty())
    file_ = std::make_shared<WatchedFile>(file);
}

Result<std::shared_ptr<const std::string>> TextSource::Read() const {
  if (file_) return file_->Read();
  return text_;
}

}  // namespace picket::net
