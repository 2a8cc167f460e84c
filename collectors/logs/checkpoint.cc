// SPDX-License-Identifier: Apache-2.0
#include "collectors/logs/checkpoint.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "core/base/hash.h"
#include "core/proto/wire.h"

namespace picket::collectors::logs {
namespace {

constexpr std::string_view kMagic = "PKTLOGC1";
constexpr size_t kFrameHeader = 8;
constexpr uint64_t kRewriteAbove = 256 * 1024;

Status WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Fail(ErrnoError("writing the log checkpoint", errno));
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

void PutMark(proto::Writer& w, const FileMark& mark, bool with_path) {
  const auto file = w.Begin(1, 2);
  w.PutVarint(1, mark.id);
  if (with_path) w.PutBytes(2, mark.path);
  w.PutVarint(3, mark.generation);
  w.PutVarint(4, mark.fingerprint.device);
  w.PutVarint(5, mark.fingerprint.inode);
  w.PutVarint(6, mark.fingerprint.head_length);
  w.PutFixed64(7, mark.fingerprint.head_hash);
  w.PutVarint(8, mark.size);
  for (const auto& [name, lane] : mark.lanes) {
    const auto m = w.Begin(9);
    w.PutBytes(1, name);
    w.PutVarint(2, lane.resume);
    w.PutVarint(3, lane.done);
    w.PutVarint(4, lane.tail_length);
    w.PutFixed64(5, lane.tail_hash);
    w.End(m);
  }
  w.End(file);
}

std::pair<std::string, LaneMark> ReadLane(std::string_view bytes) {
  std::pair<std::string, LaneMark> out;
  for (proto::Reader r(bytes); r.Next();) {
    switch (r.number()) {
      case 1:
        out.first = r.bytes();
        break;
      case 2:
        out.second.resume = r.value();
        break;
      case 3:
        out.second.done = r.value();
        break;
      case 4:
        out.second.tail_length = static_cast<uint32_t>(r.value());
        break;
      case 5:
        out.second.tail_hash = r.value();
        break;
      default:
        break;
    }
  }
  return out;
}

FileMark ReadMark(std::string_view bytes) {
  FileMark mark;
  for (proto::Reader r(bytes); r.Next();) {
    switch (r.number()) {
      case 1:
        mark.id = static_cast<uint32_t>(r.value());
        break;
      case 2:
        mark.path = r.bytes();
        break;
      case 3:
        mark.generation = r.value();
        break;
      case 4:
        mark.fingerprint.device = r.value();
        break;
      case 5:
        mark.fingerprint.inode = r.value();
        break;
      case 6:
        mark.fingerprint.head_length = static_cast<uint32_t>(r.value());
        break;
      case 7:
        mark.fingerprint.head_hash = r.value();
        break;
      case 8:
        mark.size = r.value();
        break;
      case 9:
        mark.lanes.insert(ReadLane(r.bytes()));
        break;
      default:
        break;
    }
  }
  return mark;
}

std::string Frame(std::string_view payload) {
  std::string out(kFrameHeader, '\0');
  const auto length = static_cast<uint32_t>(payload.size());
  const uint32_t crc = Crc32c(payload);
  std::memcpy(out.data(), &length, 4);
  std::memcpy(out.data() + 4, &crc, 4);
  return out += payload;
}

}  // namespace

CheckpointJournal::CheckpointJournal(CheckpointJournal&& other) noexcept {
  *this = std::move(other);
}

CheckpointJournal& CheckpointJournal::operator=(CheckpointJournal&& other) noexcept {
  std::swap(folder_, other.folder_);
  std::swap(lock_fd_, other.lock_fd_);
  std::swap(fd_, other.fd_);
  std::swap(fresh_, other.fresh_);
  std::swap(unsynced_, other.unsynced_);
  std::swap(damaged_bytes_, other.damaged_bytes_);
  std::swap(size_, other.size_);
  std::swap(base_size_, other.base_size_);
  std::swap(next_id_, other.next_id_);
  std::swap(marks_, other.marks_);
  std::swap(staged_, other.staged_);
  return *this;
}

CheckpointJournal::~CheckpointJournal() {
  if (fd_ >= 0) ::close(fd_);
  if (lock_fd_ >= 0) ::close(lock_fd_);
}

Result<CheckpointJournal> CheckpointJournal::Open(const std::string& folder) {
  CheckpointJournal journal;
  journal.folder_ = folder;
  std::error_code ec;
  std::filesystem::create_directories(folder, ec);
  if (ec) return Fail(ErrnoError("making " + folder, ec.value()));
  const std::string lock = folder + "/lock";
  journal.lock_fd_ = ::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (journal.lock_fd_ < 0) return Fail(ErrnoError("open " + lock, errno));
  if (::flock(journal.lock_fd_, LOCK_EX | LOCK_NB) != 0)
    return Fail(
        Error(ErrorKind::kOverloaded, "another process keeps its log checkpoints in " + folder)
            .Remedy("Stop the other Picket or give this one its own data_dir."));
  const std::string path = folder + "/checkpoint";
  journal.fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (journal.fd_ < 0) return Fail(ErrnoError("open " + path, errno));
  PICKET_TRY(journal.ReadAll());
  return journal;
}

Status CheckpointJournal::ReadAll() {
  struct stat st;
  if (::fstat(fd_, &st) != 0) return Fail(ErrnoError("reading the log checkpoint", errno));
  std::string all(static_cast<size_t>(st.st_size), '\0');
  size_t have = 0;
  while (have < all.size()) {
    const ssize_t n = ::pread(fd_, all.data() + have, all.size() - have, static_cast<off_t>(have));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Fail(ErrnoError("reading the log checkpoint", errno));
    if (n == 0) break;
    have += static_cast<size_t>(n);
  }
  std::string_view rest(all.data(), have);
  fresh_ = rest.empty();
  size_t good = 0;
  if (rest.starts_with(kMagic)) {
    good = kMagic.size();
    rest.remove_prefix(good);
    while (rest.size() >= kFrameHeader) {
      uint32_t length = 0;
      uint32_t crc = 0;
      std::memcpy(&length, rest.data(), 4);
      std::memcpy(&crc, rest.data() + 4, 4);
      if (length > rest.size() - kFrameHeader) break;
      const std::string_view payload = rest.substr(kFrameHeader, length);
      if (Crc32c(payload) != crc) break;
      Apply(payload);
      good += kFrameHeader + length;
      rest.remove_prefix(kFrameHeader + length);
    }
  }
  damaged_bytes_ = have - good;
  if (damaged_bytes_ > 0 && ::ftruncate(fd_, static_cast<off_t>(good)) != 0)
    return Fail(ErrnoError("repairing the log checkpoint", errno));
  if (good == 0) {
    PICKET_TRY(WriteAll(fd_, kMagic));
    good = kMagic.size();
  }
  size_ = base_size_ = good;
  return {};
}

void CheckpointJournal::Apply(std::string_view payload) {
  for (proto::Reader r(payload); r.Next();) {
    if (r.Is(1, proto::WireType::kBytes)) {
      FileMark mark = ReadMark(r.bytes());
      if (mark.id == 0) continue;
      next_id_ = std::max(next_id_, mark.id + 1);
      FileMark& slot = marks_[mark.id];
      if (mark.path.empty()) mark.path = std::move(slot.path);
      slot = std::move(mark);
    } else if (r.Is(2, proto::WireType::kVarint)) {
      marks_.erase(static_cast<uint32_t>(r.value()));
    }
  }
}

void CheckpointJournal::Put(FileMark mark) {
  proto::Writer w(staged_);
  const auto known = marks_.find(mark.id);
  PutMark(w, mark, known == marks_.end() || known->second.path != mark.path);
  marks_[mark.id] = std::move(mark);
}

void CheckpointJournal::Forget(uint32_t id) {
  if (marks_.erase(id) == 0) return;
  proto::Writer(staged_).PutVarint(2, id);
}

Status CheckpointJournal::Commit(bool sync) {
  if (fd_ < 0) {
    staged_.clear();
    return {};
  }
  if (!staged_.empty()) {
    PICKET_TRY(Append(staged_));
    staged_.clear();
    unsynced_ = true;
    if (size_ > kRewriteAbove && size_ > 4 * base_size_) return Rewrite();
  }
  if (sync && unsynced_) {
    if (::fdatasync(fd_) != 0) return Fail(ErrnoError("syncing the log checkpoint", errno));
    unsynced_ = false;
  }
  return {};
}

Status CheckpointJournal::Append(const std::string& payload) {
  const std::string frame = Frame(payload);
  if (auto wrote = WriteAll(fd_, frame); !wrote) {
    // A frame cut short by a full disk would hide those behind it.
    if (::ftruncate(fd_, static_cast<off_t>(size_)) != 0) { /* the next reader cuts it off */
    }
    return wrote;
  }
  size_ += frame.size();
  return {};
}

Status CheckpointJournal::Rewrite() {
  std::string payload;
  proto::Writer w(payload);
  for (const auto& [id, mark] : marks_) PutMark(w, mark, true);
  const std::string path = folder_ + "/checkpoint";
  const std::string fresh = path + ".new";
  const int fd = ::open(fresh.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return Fail(ErrnoError("open " + fresh, errno));
  Status wrote = WriteAll(fd, std::string(kMagic) + Frame(payload));
  if (wrote && ::fdatasync(fd) != 0) wrote = Fail(ErrnoError("syncing " + fresh, errno));
  if (wrote && ::rename(fresh.c_str(), path.c_str()) != 0)
    wrote = Fail(ErrnoError("renaming " + fresh, errno));
  if (!wrote) {
    ::close(fd);
    base_size_ = size_;  // not at every commit
    return wrote;
  }
  ::close(std::exchange(fd_, fd));
  size_ = base_size_ = kMagic.size() + kFrameHeader + payload.size();
  unsynced_ = false;
  return {};
}

}  // namespace picket::collectors::logs
