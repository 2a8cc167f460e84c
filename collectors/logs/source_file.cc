// SPDX-License-Identifier: Apache-2.0
#include "collectors/logs/source_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "collectors/logs/cri.h"
#include "collectors/logs/glob.h"
#include "core/base/hash.h"

namespace picket::collectors::logs {
namespace {

FileState ToState(const struct stat& st) {
  return {static_cast<uint64_t>(st.st_dev), static_cast<uint64_t>(st.st_ino),
          static_cast<uint64_t>(st.st_size),
          static_cast<int64_t>(st.st_mtim.tv_sec) * 1'000'000'000 + st.st_mtim.tv_nsec,
          st.st_nlink > 0};
}

}  // namespace

Result<FileState> StatPath(const std::string& path) {
  struct stat st;
  if (::stat(path.c_str(), &st) != 0) return Fail(ErrnoError("stat " + path, errno));
  if (!S_ISREG(st.st_mode)) return Fail(ErrorKind::kInvalidArgument, path + " is not a file");
  return ToState(st);
}

Result<std::unique_ptr<SourceFile>> SourceFile::Open(const std::string& path) {
  // Not blocking, in case a pipe took the file's place.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return Fail(ErrnoError("open " + path, errno));
  std::unique_ptr<SourceFile> file(new SourceFile(fd));
  struct stat st;
  if (::fstat(fd, &st) != 0) return Fail(ErrnoError("stat " + path, errno));
  if (!S_ISREG(st.st_mode)) return Fail(ErrorKind::kInvalidArgument, path + " is not a file");
  return file;
}

SourceFile::~SourceFile() { ::close(fd_); }

Result<FileState> SourceFile::Stat() const {
  struct stat st;
  if (::fstat(fd_, &st) != 0) return Fail(ErrnoError("stat", errno));
  return ToState(st);
}

Status SourceFile::Read(uint64_t offset, size_t length, std::string& out) const {
  const size_t before = out.size();
  int error = 0;
  size_t have = 0;
  out.resize_and_overwrite(before + length, [&](char* p, size_t) {
    while (have < length) {
      const ssize_t n =
          ::pread(fd_, p + before + have, length - have, static_cast<off_t>(offset + have));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) error = errno;
      if (n <= 0) break;
      have += static_cast<size_t>(n);
    }
    return before + have;
  });
  if (error != 0) return Fail(ErrnoError("read", error));
  return {};
}

uint64_t SourceFile::NextData(uint64_t offset) const {
  const off_t data = ::lseek(fd_, static_cast<off_t>(offset), SEEK_DATA);
  return data < 0 ? offset : static_cast<uint64_t>(data);
}

bool SourceFile::Hash(uint64_t offset, uint32_t length, uint64_t& hash) const {
  std::string bytes;
  if (!Read(offset, length, bytes) || bytes.size() != length) return false;
  hash = Hash64(bytes);
  return true;
}

bool SourceFile::UpdateHead(uint64_t size, Fingerprint& fingerprint) const {
  const auto length = static_cast<uint32_t>(std::min<uint64_t>(size, kHeadBytes));
  if (length <= fingerprint.head_length) return false;
  uint64_t hash = 0;
  if (!Hash(0, length, hash)) return false;
  fingerprint.head_length = length;
  fingerprint.head_hash = hash;
  return true;
}

bool SourceFile::SameHead(const Fingerprint& fingerprint) const {
  uint64_t hash = 0;
  return fingerprint.head_length == 0 ||
         (Hash(0, fingerprint.head_length, hash) && hash == fingerprint.head_hash);
}

bool SourceFile::Continues(const FileMark& mark) const {
  if (!SameHead(mark.fingerprint)) return false;
  return std::all_of(mark.lanes.begin(), mark.lanes.end(), [&](const auto& entry) {
    const LaneMark& lane = entry.second;
    uint64_t hash = 0;
    return lane.tail_length == 0 ||
           (Hash(lane.resume - lane.tail_length, lane.tail_length, hash) && hash == lane.tail_hash);
  });
}

uint64_t SourceFile::CountLines(uint64_t offset) const {
  uint64_t lines = 0;
  char last = '\n';
  std::string bytes;
  while (Read(offset, 256 * 1024, bytes) && !bytes.empty()) {
    lines += static_cast<uint64_t>(std::count(bytes.begin(), bytes.end(), '\n'));
    last = bytes.back();
    offset += bytes.size();
    bytes.clear();
  }
  return lines + (last == '\n' ? 0 : 1);
}

Result<std::unique_ptr<SourceFile>> SourceFile::Duplicate() const {
  const int fd = ::fcntl(fd_, F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return Fail(ErrnoError("dup", errno));
  return std::unique_ptr<SourceFile>(new SourceFile(fd));
}

namespace {

// The time in a file's first line, if it is a CRI line. File times come in ticks of some
// milliseconds; files written within one of them are told apart by this.
UnixNs HeadTime(const std::string& path) {
  auto file = SourceFile::Open(path);
  std::string head;
  if (!file || !(*file)->Read(0, kHeadBytes, head)) return 0;
  const auto line = CriParser().Parse(head.substr(0, head.find('\n')));
  return line ? line->time_ns : 0;
}

void SortByAge(std::vector<Sibling>& siblings) {
  std::sort(siblings.begin(), siblings.end(), [](const Sibling& a, const Sibling& b) {
    return a.state.mtime_ns != b.state.mtime_ns ? a.state.mtime_ns < b.state.mtime_ns
                                                : a.path < b.path;
  });
  for (auto from = siblings.begin(); from != siblings.end();) {
    const auto to = std::find_if(from, siblings.end(), [&](const Sibling& s) {
      return s.state.mtime_ns != from->state.mtime_ns;
    });
    if (to - from > 1)
      std::stable_sort(from, to, [](const Sibling& a, const Sibling& b) {
        return HeadTime(a.path) < HeadTime(b.path);
      });
    from = to;
  }
}

std::vector<Sibling> ListOnce(const std::string& path) {
  static const std::vector<std::string> kCompressed = {"*.gz", "*.zst", "*.bz2", "*.xz", "*.tmp"};
  std::vector<Sibling> out;
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const std::string name = path.substr(slash + 1);
  // logrotate's dateext with `extension .log` puts the date inside: app-20260301.log.
  const std::string stem =
      name.ends_with(".log") ? name.substr(0, name.size() - 4) + "-" : name + "-";
  DIR* dir = ::opendir(folder.c_str());
  if (dir == nullptr) return out;
  while (const dirent* entry = ::readdir(dir)) {
    const std::string other = entry->d_name;
    const bool related = other.starts_with(name + ".") || other.starts_with(name + "-") ||
                         (other.starts_with(stem) && other.ends_with(".log"));
    if (!related || MatchesAny(other, kCompressed)) continue;
    const std::string full = slash == std::string::npos ? other : folder + other;
    if (auto state = StatPath(full)) out.push_back({full, *state});
  }
  ::closedir(dir);
  SortByAge(out);
  return out;
}

}  // namespace

std::vector<Sibling> ListSiblings(const std::string& path) {
  // A rotation that renames one after the other may hide a file from a single listing.
  std::vector<Sibling> before = ListOnce(path);
  for (int i = 0; i < 4; ++i) {
    std::vector<Sibling> now = ListOnce(path);
    const bool same = std::equal(before.begin(), before.end(), now.begin(), now.end(),
                                 [](const Sibling& a, const Sibling& b) {
                                   return a.path == b.path && a.state.inode == b.state.inode;
                                 });
    before = std::move(now);
    if (same) break;
  }
  return before;
}

}  // namespace picket::collectors::logs
