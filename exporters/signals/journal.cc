// SPDX-License-Identifier: Apache-2.0
#include "exporters/signals/journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <simdjson.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "core/base/log.h"
#include "core/base/strings.h"

namespace picket::exporters::signals {
namespace {

constexpr size_t kMostEntries = 1000;

std::string_view StateName(State state) {
  switch (state) {
    case State::kPending:
      return "pending";
    case State::kDelivered:
      return "delivered";
    case State::kFailed:
      return "failed";
  }
  return "failed";
}

State ParseState(std::string_view name) {
  return name == "pending"     ? State::kPending
         : name == "delivered" ? State::kDelivered
                               : State::kFailed;
}

Verdict ParseVerdict(std::string_view name) {
  for (Verdict v : {Verdict::kUnsure, Verdict::kOk, Verdict::kBad})
    if (VerdictName(v) == name) return v;
  return Verdict::kUnsure;
}

void Member(std::string& out, std::string_view name, std::string_view text) {
  out += fmt::format("\"{}\":", name);
  AppendJsonQuoted(out, text);
  out += ',';
}

std::string Text(const simdjson::dom::object& o, std::string_view name) {
  std::string_view value;
  if (o[name].get(value) != simdjson::SUCCESS) return {};
  return std::string(value);
}

int64_t Number(const simdjson::dom::object& o, std::string_view name) {
  int64_t value = 0;
  return o[name].get(value) == simdjson::SUCCESS ? value : 0;
}

Status WriteWhole(const std::string& path, std::string_view text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return Fail(ErrnoError("open " + path, errno));
  Status status;
  while (!text.empty() && status) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0)
      status = Fail(ErrnoError("write " + path, errno));
    else
      text.remove_prefix(static_cast<size_t>(n));
  }
  if (status && ::fsync(fd) != 0) status = Fail(ErrnoError("fsync " + path, errno));
  ::close(fd);
  return status;
}

}  // namespace

Status Journal::Load() {
  if (path_.empty()) return {};
  std::error_code ec;
  std::filesystem::create_directories(std::filesystem::path(path_).parent_path(), ec);
  if (ec)
    return Fail(ErrorKind::kIo, fmt::format("create the folder of {}: {}", path_, ec.message()));
  std::ifstream in(path_, std::ios::binary);
  if (!in) return {};
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  const Status parsed = Parse(text);
  if (parsed) return {};
  std::filesystem::rename(path_, path_ + ".damaged", ec);
  log::Error(
      "The journal of rollout signals is damaged and was set aside; an action may be taken again",
      {{"file", path_ + ".damaged"}, {"error", parsed.error().ToString()}});
  return {};
}

Status Journal::Parse(const std::string& text) {
  simdjson::dom::parser parser;
  simdjson::dom::array rollouts;
  if (const auto error = parser.parse(text)["rollouts"].get(rollouts); error != simdjson::SUCCESS)
    return Fail(ErrorKind::kCorrupt, simdjson::error_message(error));
  std::lock_guard lock(mutex_);
  for (simdjson::dom::element element : rollouts) {
    simdjson::dom::object o;
    if (element.get(o) != simdjson::SUCCESS) continue;
    Entry e;
    e.signal.canary = Text(o, "canary");
    e.signal.rollout_id = Text(o, "rollout_id");
    e.signal.action = Text(o, "action");
    e.signal.verdict = ParseVerdict(Text(o, "verdict"));
    e.signal.reason = Text(o, "reason");
    e.signal.decided_at_ms = Number(o, "decided_at_ms");
    e.signal.evidence_json = Text(o, "evidence");
    e.state = ParseState(Text(o, "state"));
    e.detail = Text(o, "detail");
    e.accepted_ms = Number(o, "accepted_ms");
    e.attempts = static_cast<uint32_t>(Number(o, "attempts"));
    const Key key = KeyOf(e.signal);
    entries_[key] = std::move(e);
  }
  return {};
}

std::string Journal::Render() const {
  std::lock_guard lock(mutex_);
  std::string out = "{\"version\":1,\"rollouts\":[";
  bool first = true;
  for (const auto& [key, e] : entries_) {
    out += first ? "\n{" : ",\n{";
    first = false;
    Member(out, "canary", e.signal.canary);
    Member(out, "rollout_id", e.signal.rollout_id);
    Member(out, "action", e.signal.action);
    Member(out, "verdict", VerdictName(e.signal.verdict));
    Member(out, "reason", e.signal.reason);
    Member(out, "evidence", e.signal.evidence_json);
    Member(out, "state", StateName(e.state));
    Member(out, "detail", e.detail);
    out += fmt::format("\"decided_at_ms\":{},\"accepted_ms\":{},\"attempts\":{}}}",
                       e.signal.decided_at_ms, e.accepted_ms, e.attempts);
  }
  return out + "\n]}\n";
}

bool Journal::Add(const Entry& entry) {
  std::lock_guard lock(mutex_);
  if (!entries_.emplace(KeyOf(entry.signal), entry).second) return false;
  Forget();
  return true;
}

// Called under the lock.
void Journal::Forget() {
  while (entries_.size() > kMostEntries) {
    auto oldest = entries_.end();
    for (auto it = entries_.begin(); it != entries_.end(); ++it) {
      if (it->second.state == State::kPending) continue;
      if (oldest == entries_.end() || it->second.accepted_ms < oldest->second.accepted_ms)
        oldest = it;
    }
    if (oldest == entries_.end()) return;
    entries_.erase(oldest);
  }
}

void Journal::Update(const RolloutSignal& signal, State state, std::string detail,
                     uint32_t attempts) {
  std::lock_guard lock(mutex_);
  const auto it = entries_.find(KeyOf(signal));
  if (it == entries_.end()) return;
  it->second.state = state;
  it->second.detail = std::move(detail);
  it->second.attempts = attempts;
}

std::optional<Entry> Journal::Find(const RolloutSignal& signal) const {
  std::lock_guard lock(mutex_);
  const auto it = entries_.find(KeyOf(signal));
  return it == entries_.end() ? std::nullopt : std::optional(it->second);
}

std::optional<Entry> Journal::FindById(const std::string& rollout_id) const {
  std::lock_guard lock(mutex_);
  const Entry* found = nullptr;
  for (const auto& [key, e] : entries_)
    if (key.second == rollout_id && (found == nullptr || e.accepted_ms > found->accepted_ms))
      found = &e;
  return found == nullptr ? std::nullopt : std::optional(*found);
}

std::vector<Entry> Journal::Pending() const {
  std::lock_guard lock(mutex_);
  std::vector<Entry> out;
  for (const auto& [key, e] : entries_)
    if (e.state == State::kPending) out.push_back(e);
  return out;
}

Status Journal::Save() {
  if (path_.empty()) return {};
  std::lock_guard lock(file_mutex_);
  const std::string fresh = path_ + ".new";
  PICKET_TRY(WriteWhole(fresh, Render()));
  if (::rename(fresh.c_str(), path_.c_str()) != 0)
    return Fail(ErrnoError("rename " + fresh, errno));
  // The name, too, must survive a power cut.
  const std::string folder = std::filesystem::path(path_).parent_path().string();
  if (const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); fd >= 0) {
    ::fsync(fd);
    ::close(fd);
  }
  return {};
}

}  // namespace picket::exporters::signals
