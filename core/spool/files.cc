// SPDX-License-Identifier: Apache-2.0
#include "core/spool/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <utility>

namespace picket::spool {
namespace {

Error SystemError(std::string_view what, const std::string& path, int code) {
  Error e = ErrnoError(fmt::format("{} {}", what, path), code);
  if (code == ENOSPC || code == EDQUOT || code == EFBIG)
    return Error(ErrorKind::kOverloaded, e.message());
  return e;
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

class SystemFile final : public File {
 public:
  SystemFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}

  Status WriteAt(uint64_t offset, std::span<const std::string_view> pieces) override {
    std::array<iovec, 16> vec;
    size_t piece = 0, skip = 0;
    while (piece < pieces.size()) {
      size_t n = 0;
      for (size_t i = piece; i < pieces.size() && n < vec.size(); ++i, ++n) {
        const size_t from = i == piece ? skip : 0;
        vec[n] = {const_cast<char*>(pieces[i].data()) + from, pieces[i].size() - from};
      }
      const ssize_t wrote =
          ::pwritev(fd_.get(), vec.data(), static_cast<int>(n), static_cast<off_t>(offset));
      if (wrote < 0) {
        if (errno == EINTR) continue;
        return Fail(SystemError("write", path_, errno));
      }
      offset += static_cast<uint64_t>(wrote);
      for (size_t left = static_cast<size_t>(wrote); piece < pieces.size();) {
        const size_t rest = pieces[piece].size() - skip;
        if (left < rest) {
          skip += left;
          break;
        }
        left -= rest;
        skip = 0;
        ++piece;
      }
    }
    return {};
  }

  Result<size_t> ReadAt(uint64_t offset, char* to, size_t n) override {
    size_t done = 0;
    while (done < n) {
      const ssize_t got =
          ::pread(fd_.get(), to + done, n - done, static_cast<off_t>(offset + done));
      if (got < 0) {
        if (errno == EINTR) continue;
        return Fail(SystemError("read", path_, errno));
      }
      if (got == 0) break;
      done += static_cast<size_t>(got);
    }
    return done;
  }

  Status Allocate(uint64_t size) override {
    if (::fallocate(fd_.get(), 0, 0, static_cast<off_t>(size)) == 0) return {};
    if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL)
      return Fail(SystemError("allocate", path_, errno));
    if (::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0)
      return Fail(SystemError("resize", path_, errno));
    return {};
  }

  Status Sync() override {
    if (::fdatasync(fd_.get()) != 0) return Fail(SystemError("sync", path_, errno));
    return {};
  }

 private:
  Descriptor fd_;
  std::string path_;
};

class System final : public Files {
 public:
  Status MakeDirectories(const std::string& path) override {
    std::error_code code;
    std::filesystem::create_directories(path, code);
    if (code) return Fail(SystemError("make directory", path, code.value()));
    return {};
  }

  Result<std::vector<Entry>> List(const std::string& directory) override {
    DIR* dir = ::opendir(directory.c_str());
    if (dir == nullptr) return Fail(SystemError("list", directory, errno));
    std::vector<Entry> out;
    while (const dirent* e = ::readdir(dir)) {
      struct stat st;
      if (::fstatat(::dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
        out.push_back({e->d_name, static_cast<uint64_t>(st.st_size)});
    }
    ::closedir(dir);
    return out;
  }

  Result<std::unique_ptr<File>> Open(const std::string& path, bool create) override {
    const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0), 0640);
    if (fd < 0) return Fail(SystemError("open", path, errno));
    return std::make_unique<SystemFile>(fd, path);
  }

  Status Rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) return Fail(SystemError("rename", from, errno));
    return {};
  }

  Status Remove(const std::string& path) override {
    if (::unlink(path.c_str()) != 0) return Fail(SystemError("remove", path, errno));
    return {};
  }

  Status SyncDirectory(const std::string& path) override {
    const Descriptor fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd.get() < 0 || ::fsync(fd.get()) != 0) return Fail(SystemError("sync", path, errno));
    return {};
  }

  Result<std::shared_ptr<void>> Lock(const std::string& path) override {
    auto fd =
        std::make_shared<Descriptor>(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640));
    if (fd->get() < 0) return Fail(SystemError("open", path, errno));
    if (::flock(fd->get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return Fail(SystemError("lock", path, errno));
      return Fail(Error(ErrorKind::kOverloaded, fmt::format("{} is held by another process", path))
                      .Remedy("Give each agent its own data directory, or stop the other agent."));
    }
    return std::shared_ptr<void>(std::move(fd));
  }
};

}  // namespace

Files& SystemFiles() {
  static System files;
  return files;
}

}  // namespace picket::spool
