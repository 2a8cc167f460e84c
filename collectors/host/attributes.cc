// SPDX-License-Identifier: Apache-2.0
#include "collectors/host/attributes.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "core/base/strings.h"

namespace picket::collectors::host {
namespace {

/// The size of a valid UTF-8 sequence at the front, or 0.
size_t SequenceSize(std::string_view text) {
  for (size_t n = 1; n <= 4 && n <= text.size(); ++n) {
    if (IsValidUtf8(text.substr(0, n))) return n;
  }
  return 0;
}

}  // namespace

Attributes::~Attributes() {
  for (const auto& [path, entry] : open_) close(entry.fd);
}

void Attributes::NextTurn() {
  for (auto it = open_.begin(); it != open_.end();) {
    if (it->second.turn == turn_) {
      ++it;
    } else {
      close(it->second.fd);
      it = open_.erase(it);
    }
  }
  ++turn_;
}

std::optional<std::string_view> Attributes::ReadFrom(int fd) {
  if (buffer_.size() < 4096) buffer_.resize(4096);
  size_t size = 0;
  while (true) {
    if (size == buffer_.size()) buffer_.resize(buffer_.size() * 2);
    const ssize_t n =
        pread(fd, buffer_.data() + size, buffer_.size() - size, static_cast<off_t>(size));
    if (n == 0) return Trim(std::string_view(buffer_).substr(0, size));
    if (n < 0 && errno != EINTR) return std::nullopt;
    if (n > 0) size += static_cast<size_t>(n);
  }
}

std::optional<std::string_view> Attributes::Read(const std::string& path) {
  if (const auto it = open_.find(path); it != open_.end()) {
    it->second.turn = turn_;
    if (const auto text = ReadFrom(it->second.fd)) return text;
    close(it->second.fd);  // a device that went, or went and came back: once more from the path
    open_.erase(it);
  }
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return std::nullopt;
  const auto text = ReadFrom(fd);
  if (text && open_.size() < keep_) {
    open_.emplace(path, Entry{fd, turn_});
  } else {
    close(fd);
  }
  return text;
}

std::string Attributes::Text(const std::string& path) {
  return std::string(Read(path).value_or(""));
}

std::optional<double> Attributes::Number(const std::string& path) {
  const auto text = Read(path);
  return text ? ToNumber(*text) : std::nullopt;
}

Result<std::vector<std::string>> ListFolder(const std::string& path) {
  DIR* const dir = opendir(path.c_str());
  if (!dir) return Fail(ErrnoError("open " + path, errno));
  std::vector<std::string> names;
  while (const dirent* entry = readdir(dir)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  closedir(dir);
  std::ranges::sort(names);
  return names;
}

std::vector<std::string> NamesIn(const std::string& path) {
  auto names = ListFolder(path);
  return names ? std::move(*names) : std::vector<std::string>();
}

std::optional<double> ToNumber(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  const char* const end = text.data() + text.size();
  if (text.starts_with("0x") || text.starts_with("0X")) {
    uint64_t value = 0;
    const auto [stop, code] = std::from_chars(text.data() + 2, end, value, 16);
    if (code != std::errc() || stop != end) return std::nullopt;
    return static_cast<double>(value);
  }
  double value = 0;
  const auto [stop, code] = std::from_chars(text.data(), end, value);
  if (code != std::errc() || stop != end) return std::nullopt;
  return value;
}

uint64_t FromHex(std::string_view text) {
  uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value, 16);
  return value;
}

std::string ValidUtf8(std::string_view text) {
  std::string out;
  bool broken = false;
  while (!text.empty()) {
    const size_t n = SequenceSize(text);
    if (n == 0 && !broken) out += "\xEF\xBF\xBD";
    broken = n == 0;
    out += text.substr(0, n);
    text.remove_prefix(std::max<size_t>(n, 1));
  }
  return out;
}

Status NoData(std::string what) { return Fail(ErrorKind::kUnsupported, std::move(what)); }

Error OrNoData(Error error) {
  if (error.kind() != ErrorKind::kNotFound) return error;
  return Error(ErrorKind::kUnsupported, error.message());
}

const Family& FamilyBook::Of(std::string_view name, MetricType type, std::string_view help,
                             std::vector<std::string> labels) {
  auto it = families_.find(name);
  if (it == families_.end()) {
    it = families_
             .emplace(std::string(name),
                      std::make_unique<Family>(
                          Family{std::string(name), type, std::string(help), std::move(labels)}))
             .first;
  }
  return *it->second;
}

Family Gauge(std::string name, std::string help, std::vector<std::string> labels) {
  return {std::move(name), MetricType::kGauge, std::move(help), std::move(labels)};
}
Family Count(std::string name, std::string help, std::vector<std::string> labels) {
  return {std::move(name), MetricType::kCounter, std::move(help), std::move(labels)};
}

}  // namespace picket::collectors::host
