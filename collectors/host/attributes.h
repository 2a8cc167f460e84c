// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "collectors/host/row.h"
#include "core/base/result.h"

namespace picket::collectors::host {

/// Many small files of the kernel's, found by path: descriptors stay open from turn to turn, up to
/// a number, and those not asked for in a turn are closed. Threads: one at a time.
class Attributes {
 public:
  /// Shape: `keep` descriptors at most; files beyond are opened anew each time.
  explicit Attributes(size_t keep = 128) : keep_(keep) {}
  ~Attributes();
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;

  /// Closes what the last turn did not ask for.
  void NextTurn();
  /// The content without blanks around it; nothing when it cannot be read.
  /// Ownership: valid until the next call.
  std::optional<std::string_view> Read(const std::string& path);
  /// As text that outlives the next call; empty when it cannot be read.
  std::string Text(const std::string& path);
  /// A number; nothing when there is none.
  std::optional<double> Number(const std::string& path);

 private:
  struct Entry {
    int fd;
    uint64_t turn;
  };
  std::optional<std::string_view> ReadFrom(int fd);
  const size_t keep_;
  uint64_t turn_ = 0;
  std::unordered_map<std::string, Entry> open_;
  std::string buffer_;
};

/// The names in a folder, sorted. Errors: kNotFound, kIo.
Result<std::vector<std::string>> ListFolder(const std::string& path);
/// The same, none where there is no such folder.
std::vector<std::string> NamesIn(const std::string& path);
/// A whole number or fraction, decimal or with 0x; nothing when the text is something else.
std::optional<double> ToNumber(std::string_view text);
uint64_t FromHex(std::string_view text);
/// With each run of bytes that are not UTF-8 as one replacement character.
std::string ValidUtf8(std::string_view text);

/// What a part says where the host does not have what it tells of: no failure, but no success.
Status NoData(std::string what);
/// A missing file as no data, anything else as it is.
Error OrNoData(Error error);

/// Metrics whose names are known at run time only. Ownership: they live as long as the book.
class FamilyBook {
 public:
  /// Shape: the type, help and labels of the first call with this name count.
  const Family& Of(std::string_view name, MetricType type, std::string_view help,
                   std::vector<std::string> labels = {});

 private:
  std::unordered_map<std::string, std::unique_ptr<Family>, StringHash, std::equal_to<>> families_;
};

Family Gauge(std::string name, std::string help, std::vector<std::string> labels = {});
Family Count(std::string name, std::string help, std::vector<std::string> labels = {});

}  // namespace picket::collectors::host
