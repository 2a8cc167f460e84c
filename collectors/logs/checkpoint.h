// SPDX-License-Identifier: Apache-2.0
// Where each file is read up to, on disk. Format: FORMAT.md.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace picket::collectors::logs {

/// Enough of a file to know it again under another name or after its inode was given away.
struct Fingerprint {
  uint64_t device = 0;
  uint64_t inode = 0;
  uint32_t head_length = 0;  ///< bytes hashed, at most kHeadBytes
  uint64_t head_hash = 0;
};
inline constexpr uint32_t kHeadBytes = 256;
inline constexpr uint32_t kTailBytes = 64;

/// How far one destination is with one file.
struct LaneMark {
  uint64_t resume = 0;  ///< every record that begins before is acknowledged
  uint64_t done = 0;    ///< every record that ends here or before is acknowledged; >= resume
  uint32_t tail_length = 0;
  uint64_t tail_hash = 0;  ///< of the bytes before `resume`
};

struct FileMark {
  uint32_t id = 0;          ///< of this file in the journal
  std::string path;         ///< where it was when it was first seen
  uint64_t generation = 0;  ///< order of the files that were at that path
  Fingerprint fingerprint;
  uint64_t size = 0;  ///< when the mark was made
  std::map<std::string, LaneMark> lanes;
};

/// The journal of marks: frames are appended behind acknowledgements and the whole is rewritten, as
/// a new generation swapped in by rename, when it has grown over its contents. A frame is taken
/// whole or not at all. Threads: one.
class CheckpointJournal {
 public:
  /// Opens or makes `folder`/checkpoint and reads it. A torn or damaged tail is cut off and
  /// counted. Errors: kIo; kOverloaded when another process has it open.
  static Result<CheckpointJournal> Open(const std::string& folder);
  /// Without a folder: nothing is kept over a restart.
  static CheckpointJournal InMemory() { return {}; }
  CheckpointJournal(CheckpointJournal&& other) noexcept;
  CheckpointJournal& operator=(CheckpointJournal&& other) noexcept;
  ~CheckpointJournal();

  /// Whether there was none before: this is the first run.
  bool fresh() const { return fresh_; }
  uint64_t damaged_bytes() const { return damaged_bytes_; }
  /// What was known when it was opened, and since.
  const std::map<uint32_t, FileMark>& marks() const { return marks_; }
  uint32_t NewId() { return next_id_++; }

  /// Stage changes for the next Commit.
  void Put(FileMark mark);
  void Forget(uint32_t id);
  /// Writes what was staged as one frame; with `sync` down to the disk.
  Status Commit(bool sync);
  bool staged() const { return !staged_.empty(); }

 private:
  CheckpointJournal() = default;
  Status ReadAll();
  Status Rewrite();
  void Apply(std::string_view payload);
  Status Append(const std::string& payload);

  std::string folder_;
  int lock_fd_ = -1;
  int fd_ = -1;
  bool fresh_ = true;
  bool unsynced_ = false;
  uint64_t damaged_bytes_ = 0;
  uint64_t size_ = 0;
  uint64_t base_size_ = 0;  // right after the last rewrite
  uint32_t next_id_ = 1;
  std::map<uint32_t, FileMark> marks_;
  std::string staged_;
};

}  // namespace picket::collectors::logs
