// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/base/result.h"
#include "store/ledger/ledger.h"

namespace picket::store::ledger {

/// The ledger's files: a snapshot, and the log of what came after it. Source: FORMAT.md.
/// Threads: the ledger's lock.
class LedgerFile {
 public:
  /// Reads what is there into the (empty) ledger.
  static Result<std::unique_ptr<LedgerFile>> Open(const std::string& dir, Ledger& ledger);
  ~LedgerFile();

  void LogAdded(std::string_view slo, UnixMs at, const Counts& counts);
  void LogImported(const LedgerSlot& slot);
  void LogRaw(std::string_view slo, uint64_t key, const RawCounter* raw);
  void LogRemoved(std::string_view slo);
  /// Writes the entries since the last Commit as one record; now and then replaces the snapshot.
  Status Commit(const Ledger& ledger);
  uint64_t bytes() const { return snapshot_bytes_ + log_bytes_; }

 private:
  LedgerFile() = default;
  std::string SnapshotPath() const { return dir_ + "/ledger.snapshot"; }
  std::string LogPath(uint64_t generation) const;
  void BeginEntry(char type, std::string_view slo);
  Status OpenLog(uint64_t generation);
  Status Rotate(const Ledger& ledger);
  void ReadSnapshot(Ledger& ledger);
  void ReadLog(Ledger& ledger, uint64_t generation);
  /// False when the payload makes no sense; what came before in it is applied.
  static bool Apply(Ledger& ledger, std::string_view payload);
  static bool ApplyEntry(Ledger& ledger, char type, Ledger::Slo& slo, const char*& p,
                         const char* end);
  std::string Dump(const Ledger& ledger) const;

  std::string dir_;
  uint64_t generation_ = 0;
  int fd_ = -1;
  int lock_fd_ = -1;
  uint64_t log_bytes_ = 0;
  uint64_t snapshot_bytes_ = 0;
  std::string pending_;
};

}  // namespace picket::store::ledger
