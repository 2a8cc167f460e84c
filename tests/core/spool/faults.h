// SPDX-License-Identifier: Apache-2.0
// A file system that fails on demand, and small helpers to tell spool stories.
#pragma once
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "core/spool/spool.h"

namespace picket::spool::testing {

class TempDir {
 public:
  TempDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "picket-spool-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }
  std::vector<std::string> Files(std::string_view suffix) const {
    std::vector<std::string> out;
    for (const auto& e : std::filesystem::directory_iterator(path_))
      if (e.path().string().ends_with(suffix)) out.push_back(e.path().string());
    std::sort(out.begin(), out.end());
    return out;
  }

 private:
  std::string path_;
};

inline std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
inline void WriteFile(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

/// The real files behind switches.
class FaultFiles final : public Files {
 public:
  std::atomic<int64_t> bytes_until_crash{
      INT64_MAX};  ///< then nothing reaches the disk any more, not even a rename
  std::atomic<int64_t> free_bytes{INT64_MAX};  ///< for Allocate: then "no space"
  std::atomic<bool> fail_writes{false}, fail_reads{false}, fail_create{false};
  std::atomic<int> syncs{0};
  bool crashed() const { return bytes_until_crash <= 0; }

  Status MakeDirectories(const std::string& path) override {
    return SystemFiles().MakeDirectories(path);
  }
  Result<std::vector<Entry>> List(const std::string& d) override { return SystemFiles().List(d); }
  Result<std::unique_ptr<File>> Open(const std::string& path, bool create) override {
    if (crashed() || (create && fail_create)) return Fail(ErrorKind::kIo, "open: injected");
    PICKET_ASSIGN(auto file, SystemFiles().Open(path, create));
    return std::make_unique<Faulty>(*this, std::move(file));
  }
  Status Rename(const std::string& a, const std::string& b) override {
    return crashed() ? Fail(ErrorKind::kIo, "rename: injected") : SystemFiles().Rename(a, b);
  }
  Status Remove(const std::string& path) override {
    return crashed() ? Fail(ErrorKind::kIo, "remove: injected") : SystemFiles().Remove(path);
  }
  Status SyncDirectory(const std::string& path) override {
    return SystemFiles().SyncDirectory(path);
  }
  Result<std::shared_ptr<void>> Lock(const std::string& path) override {
    return SystemFiles().Lock(path);
  }

 private:
  class Faulty final : public File {
   public:
    Faulty(FaultFiles& f, std::unique_ptr<File> file) : f_(f), file_(std::move(file)) {}
    Status WriteAt(uint64_t offset, std::span<const std::string_view> pieces) override {
      if (f_.fail_writes) return Fail(ErrorKind::kIo, "write: injected");
      std::string all;
      for (const auto p : pieces) all += p;
      const int64_t left = f_.bytes_until_crash.fetch_sub(static_cast<int64_t>(all.size()));
      const bool cut = left < static_cast<int64_t>(all.size());
      if (cut) all.resize(static_cast<size_t>(std::max<int64_t>(left, 0)));
      const std::string_view piece(all);
      if (!all.empty()) PICKET_TRY(file_->WriteAt(offset, std::span(&piece, 1)));
      return cut ? Fail(ErrorKind::kIo, "write: injected") : Status();
    }
    Result<size_t> ReadAt(uint64_t offset, char* to, size_t n) override {
      if (f_.fail_reads) return Fail(ErrorKind::kIo, "read: injected");
      return file_->ReadAt(offset, to, n);
    }
    Status Allocate(uint64_t size) override {
      if (f_.crashed()) return Fail(ErrorKind::kIo, "allocate: injected");
      if (f_.free_bytes.fetch_sub(static_cast<int64_t>(size)) < static_cast<int64_t>(size)) {
        f_.free_bytes += static_cast<int64_t>(size);
        return Fail(ErrorKind::kOverloaded, "allocate: no space, injected");
      }
      return file_->Allocate(size);
    }
    Status Sync() override {
      ++f_.syncs;
      return file_->Sync();
    }

   private:
    FaultFiles& f_;
    std::unique_ptr<File> file_;
  };
};

/// What a record's body says, so that a wrong one is seen: its number, repeated to its length.
inline std::string Body(uint64_t number, size_t size = 100) {
  std::string out;
  while (out.size() < size) out += std::to_string(number) + ",";
  return out;
}

inline std::shared_ptr<Balance> NewBalance() {
  return std::make_shared<Balance>("test", "a", "items");
}

/// Takes and delivers all that waits, lane by lane; the bodies in order of their numbers in the
/// log.
inline std::vector<std::string> Drain(Consumer& consumer) {
  std::map<uint64_t, std::string> bodies;
  for (uint16_t lane = 0; lane < kLanes; ++lane)
    while (auto d = consumer.Take(lane)) {
      bodies[d->seq()] = d->body();
      std::move(*d).Delivered();
    }
  std::vector<std::string> out;
  for (auto& [seq, body] : bodies) out.push_back(std::move(body));
  return out;
}

inline uint64_t Out(const Balance& b) { return b.Read().out; }

}  // namespace picket::spool::testing
