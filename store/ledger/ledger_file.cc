// SPDX-License-Identifier: Apache-2.0
#include "store/ledger/ledger_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "core/base/hash.h"
#include "core/base/log.h"
#include "core/proto/wire.h"

namespace picket::store::ledger {
namespace {

constexpr std::string_view kSnapshotMagic = "PLEDGS01";
constexpr std::string_view kLogMagic = "PLEDGL01";
constexpr size_t kHeaderBytes = 16;  // magic, generation
constexpr uint64_t kRotateAbove = uint64_t{256} << 10;
constexpr size_t kNamedDamage = 100;

enum Entry : char { kAdded = 'a', kImported = 'i', kRaw = 'r', kRawGone = 'g', kRemoved = 'x' };

void PutVarint(std::string& out, uint64_t v) {
  while (v >= 0x80) {
    out.push_back(static_cast<char>(v | 0x80));
    v >>= 7;
  }
  out.push_back(static_cast<char>(v));
}
void PutSigned(std::string& out, int64_t v) { PutVarint(out, proto::ZigZag(v)); }
void PutText(std::string& out, std::string_view text) {
  PutVarint(out, text.size());
  out += text;
}
template <class T>
void PutFixed(std::string& out, T v) {
  out.append(reinterpret_cast<const char*>(&v), sizeof v);
}

bool GetVarint(const char*& p, const char* end, uint64_t& v) {
  return p != nullptr && (p = proto::ReadVarint(p, end, v)) != nullptr;
}
bool GetSigned(const char*& p, const char* end, int64_t& v) {
  uint64_t u;
  if (!GetVarint(p, end, u)) return false;
  v = proto::UnZigZag(u);
  return true;
}
bool GetText(const char*& p, const char* end, std::string_view& v) {
  uint64_t n;
  if (!GetVarint(p, end, n) || n > static_cast<uint64_t>(end - p)) return false;
  v = {p, static_cast<size_t>(n)};
  p += n;
  return true;
}
template <class T>
bool GetFixed(const char*& p, const char* end, T& v) {
  if (p == nullptr || static_cast<size_t>(end - p) < sizeof v) return false;
  std::memcpy(&v, p, sizeof v);
  p += sizeof v;
  return true;
}
bool GetCounts(const char*& p, const char* end, Counts& c) {
  uint64_t bad;
  if (!GetVarint(p, end, c.total) || !GetVarint(p, end, bad) || bad > c.total ||
      !GetVarint(p, end, c.covered_ms))
    return false;
  c.good = c.total - bad;
  return true;
}
/// The bad ones are mostly none: one byte.
void PutCounts(std::string& out, const Counts& c) {
  PutVarint(out, c.total);
  PutVarint(out, c.total - std::min(c.good, c.total));
  PutVarint(out, c.covered_ms);
}

constexpr uint32_t kFrameMagic = 0x46454c50;  // "PLEF": makes the search behind damage quick
constexpr size_t kFrameHead = 12;

/// magic u32, size u32, checksum u32 (of generation and payload), payload
std::string Framed(uint64_t generation, std::string_view payload) {
  const uint32_t seed = Crc32c({reinterpret_cast<const char*>(&generation), sizeof generation});
  std::string out;
  PutFixed(out, kFrameMagic);
  PutFixed(out, static_cast<uint32_t>(payload.size()));
  PutFixed(out, Crc32c(payload, seed));
  out += payload;
  return out;
}

/// The payload at `at`, which moves behind it; false when none is sound there.
bool NextFrame(std::string_view bytes, uint64_t generation, size_t& at, std::string_view& payload) {
  if (bytes.size() - at < kFrameHead) return false;
  uint32_t magic, size, crc;
  std::memcpy(&magic, bytes.data() + at, 4);
  std::memcpy(&size, bytes.data() + at + 4, 4);
  std::memcpy(&crc, bytes.data() + at + 8, 4);
  if (magic != kFrameMagic || size == 0 || size > bytes.size() - at - kFrameHead) return false;
  payload = bytes.substr(at + kFrameHead, size);
  const uint32_t seed = Crc32c({reinterpret_cast<const char*>(&generation), sizeof generation});
  if (Crc32c(payload, seed) != crc) return false;
  at += kFrameHead + size;
  return true;
}

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

Status WriteAll(int fd, std::string_view bytes, const std::string& what) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Fail(ErrnoError("write " + what, errno));
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

std::string Header(std::string_view magic, uint64_t generation) {
  std::string out(magic);
  PutFixed(out, generation);
  return out;
}

void Damage(LedgerRecovery& report, std::string what) {
  ++report.damaged_parts;
  log::Error("Damaged part of the SLO ledger", {{"part", what}});
  if (report.damage.size() < kNamedDamage) report.damage.push_back(std::move(what));
}

}  // namespace

std::string LedgerFile::LogPath(uint64_t generation) const {
  return fmt::format("{}/ledger.{}.log", dir_, generation);
}

LedgerFile::~LedgerFile() {
  if (fd_ >= 0) close(fd_);
  if (lock_fd_ >= 0) close(lock_fd_);
}

Result<std::unique_ptr<LedgerFile>> LedgerFile::Open(const std::string& dir, Ledger& ledger) {
  std::error_code ec;
  std::filesystem::create_directories(dir, ec);
  if (ec) return Fail(ErrorKind::kIo, fmt::format("create {}: {}", dir, ec.message()));
  std::unique_ptr<LedgerFile> file(new LedgerFile());
  file->dir_ = dir;
  const std::string lock = dir + "/ledger.lock";
  file->lock_fd_ = open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (file->lock_fd_ < 0) return Fail(ErrnoError("open " + lock, errno));
  if (flock(file->lock_fd_, LOCK_EX | LOCK_NB) != 0)
    return Fail(ErrorKind::kOverloaded, dir + " holds the ledger of another process");
  unlink((file->SnapshotPath() + ".new").c_str());
  file->ReadSnapshot(ledger);
  // Logs of the snapshot's generation and later ones: a rotation may have been cut off between its
  // steps.
  while (std::filesystem::exists(file->LogPath(file->generation_))) {
    file->ReadLog(ledger, file->generation_);
    if (!std::filesystem::exists(file->LogPath(file->generation_ + 1))) break;
    ++file->generation_;
  }
  if (file->generation_ > 0)
    unlink(file->LogPath(file->generation_ - 1).c_str());  // it is in the snapshot
  ledger.recovery_.slos = ledger.by_name_.size();
  PICKET_TRY(file->OpenLog(file->generation_));
  return file;
}

Status LedgerFile::OpenLog(uint64_t generation) {
  const std::string path = LogPath(generation);
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (fd < 0) return Fail(ErrnoError("open " + path, errno));
  const off_t size = lseek(fd, 0, SEEK_END);
  if (size == 0) {
    if (Status s = WriteAll(fd, Header(kLogMagic, generation), path); !s) {
      close(fd);
      return s;
    }
  }
  if (fd_ >= 0) close(fd_);
  fd_ = fd;
  generation_ = generation;
  log_bytes_ = std::max<uint64_t>(static_cast<uint64_t>(size), kHeaderBytes);
  return {};
}

void LedgerFile::ReadSnapshot(Ledger& ledger) {
  const std::string bytes = ReadFile(SnapshotPath());
  if (bytes.empty()) return;
  uint64_t generation = 0;
  const char* p = bytes.data() + kSnapshotMagic.size();
  if (!bytes.starts_with(kSnapshotMagic) || !GetFixed(p, bytes.data() + bytes.size(), generation)) {
    Damage(ledger.recovery_, "ledger.snapshot: header");
    return;
  }
  generation_ = generation;
  snapshot_bytes_ = bytes.size();
  std::string_view payload;
  uint64_t bad_from = 0;
  for (size_t at = kHeaderBytes; at < bytes.size();) {
    if (!NextFrame(bytes, generation, at, payload)) {
      if (bad_from == 0) bad_from = at;
      ++at;  // each SLO stands by itself: the next one is searched
      continue;
    }
    if (bad_from != 0)
      Damage(ledger.recovery_,
             fmt::format("ledger.snapshot from byte {}: an SLO's counts", bad_from));
    bad_from = 0;
    if (!Apply(ledger, payload))
      Damage(ledger.recovery_, "ledger.snapshot: an entry without sense");
    ++ledger.recovery_.records;
  }
  if (bad_from != 0)
    Damage(ledger.recovery_, fmt::format("ledger.snapshot from byte {}", bad_from));
}

void LedgerFile::ReadLog(Ledger& ledger, uint64_t generation) {
  const std::string path = LogPath(generation);
  const std::string bytes = ReadFile(path);
  if (bytes.empty()) return;
  size_t sound = kHeaderBytes, bad_from = 0;
  if (bytes.substr(0, kHeaderBytes) != Header(kLogMagic, generation)) {
    Damage(ledger.recovery_, path + ": header");
    std::filesystem::resize_file(path, 0);
    return;
  }
  std::string_view payload;
  for (size_t at = kHeaderBytes; at < bytes.size();) {
    if (!NextFrame(bytes, generation, at, payload)) {
      if (bad_from == 0) bad_from = at;
      ++at;
      continue;
    }
    if (bad_from != 0)
      Damage(ledger.recovery_, fmt::format("{} from byte {}: a record", path, bad_from));
    bad_from = 0;
    sound = at;
    if (!Apply(ledger, payload)) Damage(ledger.recovery_, path + ": an entry without sense");
    ++ledger.recovery_.records;
  }
  if (sound == bytes.size()) return;
  Damage(ledger.recovery_, fmt::format("{} from byte {}: the end was cut off", path, sound));
  std::error_code ec;
  std::filesystem::resize_file(path, sound, ec);
}

void LedgerFile::BeginEntry(char type, std::string_view slo) {
  pending_.push_back(type);
  PutText(pending_, slo);
}

void LedgerFile::LogAdded(std::string_view slo, UnixMs at, const Counts& counts) {
  BeginEntry(kAdded, slo);
  PutSigned(pending_, at);
  PutCounts(pending_, counts);
}

void LedgerFile::LogImported(const LedgerSlot& slot) {
  BeginEntry(kImported, slot.slo);
  PutText(pending_, slot.agent);
  PutVarint(pending_, static_cast<uint64_t>(slot.resolution));
  PutVarint(pending_, 1);
  PutSigned(pending_, slot.start_ms);
  PutCounts(pending_, slot.counts);
}

void LedgerFile::LogRaw(std::string_view slo, uint64_t key, const RawCounter* raw) {
  BeginEntry(raw != nullptr ? kRaw : kRawGone, slo);
  PutFixed(pending_, key);
  if (raw == nullptr) return;
  PutFixed(pending_, raw->value);
  PutSigned(pending_, raw->start_ms);
  PutSigned(pending_, raw->seen_ms);
}

void LedgerFile::LogRemoved(std::string_view slo) { BeginEntry(kRemoved, slo); }

bool LedgerFile::Apply(Ledger& ledger, std::string_view payload) {
  const char* p = payload.data();
  const char* const end = p + payload.size();
  while (p != end) {
    const char type = *p++;
    std::string_view name;
    if (!GetText(p, end, name)) return false;
    Ledger::Slo& slo = *ledger.slos_[ledger.OpenLocked(name)];
    if (type == kRemoved) {
      const auto it = ledger.by_name_.find(name);
      ledger.slos_[it->second].reset();
      ledger.by_name_.erase(it);
    } else if (!ApplyEntry(ledger, type, slo, p, end)) {
      return false;
    }
  }
  return true;
}

bool LedgerFile::ApplyEntry(Ledger& ledger, char type, Ledger::Slo& slo, const char*& p,
                            const char* end) {
  switch (type) {
    case kAdded: {
      int64_t at;
      Counts counts;
      if (!GetSigned(p, end, at) || !GetCounts(p, end, counts)) return false;
      ledger.AddLocked(slo, ledger.options_.agent, at, counts);
      return true;
    }
    case kImported: {
      std::string_view agent;
      uint64_t resolution, n;
      if (!GetText(p, end, agent) || !GetVarint(p, end, resolution) || resolution >= kResolutions ||
          !GetVarint(p, end, n))
        return false;
      Ring& ring = *ledger.BookOf(slo, agent).rings[resolution];
      int64_t start = 0;
      for (uint64_t i = 0; i < n; ++i) {
        int64_t step;
        Counts counts;
        if (!GetSigned(p, end, step) || !GetCounts(p, end, counts)) return false;
        // The first is a time, the others count slots from the one before.
        start += i == 0 ? step : step * ring.slot_ms();
        ring.Raise(ring.SlotOf(start), counts);
      }
      return true;
    }
    case kRaw: {
      uint64_t key;
      RawCounter raw;
      if (!GetFixed(p, end, key) || !GetFixed(p, end, raw.value) ||
          !GetSigned(p, end, raw.start_ms) || !GetSigned(p, end, raw.seen_ms))
        return false;
      slo.raw[key] = raw;
      return true;
    }
    case kRawGone: {
      uint64_t key;
      if (!GetFixed(p, end, key)) return false;
      slo.raw.erase(key);
      return true;
    }
    default:
      return false;
  }
}

/// One frame an SLO: its rings as runs of slots, its raw counters.
std::string LedgerFile::Dump(const Ledger& ledger) const {
  const uint64_t generation = generation_ + 1;
  std::string out = Header(kSnapshotMagic, generation);
  for (const auto& slo : ledger.slos_) {
    if (slo == nullptr) continue;
    std::string frame;
    for (const auto& [agent, book] : slo->books) {
      for (int r = 0; r < kResolutions; ++r) {
        const Ring& ring = *book.rings[static_cast<size_t>(r)];
        uint64_t n = 0;
        int64_t last = 0;
        std::string slots;
        ring.ForEach(INT64_MIN / 2, [&](int64_t slot, const Counts& c) {
          PutSigned(slots, n == 0 ? slot * ring.slot_ms() : slot - last);
          PutCounts(slots, c);
          last = slot;
          ++n;
        });
        if (n == 0) continue;
        frame.push_back(kImported);
        PutText(frame, slo->name);
        PutText(frame, agent);
        PutVarint(frame, static_cast<uint64_t>(r));
        PutVarint(frame, n);
        frame += slots;
      }
    }
    for (const auto& [key, raw] : slo->raw) {
      frame.push_back(kRaw);
      PutText(frame, slo->name);
      PutFixed(frame, key);
      PutFixed(frame, raw.value);
      PutSigned(frame, raw.start_ms);
      PutSigned(frame, raw.seen_ms);
    }
    if (!frame.empty()) out += Framed(generation, frame);
  }
  return out;
}

Status LedgerFile::Commit(const Ledger& ledger) {
  if (pending_.empty()) return {};
  const std::string record = Framed(generation_, pending_);
  if (Status s = WriteAll(fd_, record, LogPath(generation_)); !s) {
    // Part of the record may be there: cut it off, so that the next one is found.
    if (ftruncate(fd_, static_cast<off_t>(log_bytes_)) != 0)
      return Fail(ErrnoError("cut the ledger's log", errno));
    return s;
  }
  log_bytes_ += record.size();
  pending_.clear();
  return log_bytes_ > std::max(kRotateAbove, snapshot_bytes_) ? Rotate(ledger) : Status{};
}

Status LedgerFile::Rotate(const Ledger& ledger) {
  const std::string dump = Dump(ledger);
  const std::string temporary = SnapshotPath() + ".new";
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  if (fd < 0) return Fail(ErrnoError("open " + temporary, errno));
  Status written = WriteAll(fd, dump, temporary);
  // The one place that waits for the disk: the snapshot replaces the only other copy.
  if (written && fsync(fd) != 0) written = Fail(ErrnoError("sync " + temporary, errno));
  close(fd);
  if (written && rename(temporary.c_str(), SnapshotPath().c_str()) != 0)
    written = Fail(ErrnoError("rename " + temporary, errno));
  if (!written) {
    unlink(temporary.c_str());
    return written;
  }
  // A process killed here finds the new snapshot and no log of its generation: the old log is in
  // the snapshot.
  const uint64_t old = generation_;
  PICKET_TRY(OpenLog(generation_ + 1));
  unlink(LogPath(old).c_str());
  snapshot_bytes_ = dump.size();
  return {};
}

}  // namespace picket::store::ledger
