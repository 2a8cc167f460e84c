// SPDX-License-Identifier: Apache-2.0
// Which files there are, and where to begin in them.
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "collectors/logs/glob.h"
#include "collectors/logs/tailer.h"
#include "core/base/log.h"

namespace picket::collectors::logs {
namespace {

constexpr size_t kNoEntry = SIZE_MAX;
constexpr uint32_t kWatched = IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF |
                              IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK;

// Whether an open descriptor of ours writes into that file.
bool IsOurOutput(const FileState& state) {
  for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) {
    struct stat st;
    if (::fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_ino == state.inode &&
        st.st_dev == state.device)
      return true;
  }
  return false;
}

}  // namespace

LogOptions Tailer::OptionsOf(const LogsConfig& config) const {
  return {config.format, config.max_line_bytes.value, config.partial_timeout};
}

Status Tailer::Apply(std::vector<LogsConfig> config, std::vector<Destination> destinations,
                     std::vector<std::shared_ptr<LogSink>> observers) {
  std::vector<std::unique_ptr<Entry>> entries;
  const bool reload = !entries_.empty();
  for (LogsConfig& c : config) {
    PICKET_ASSIGN(auto labels, PathLabels::Make(c));
    auto counters = std::make_unique<LineCounters>(
        c.count, env_.intake, c.files.empty() ? std::string() : c.files.front());
    StreamSplitter splitter(c.json);
    entries.push_back(std::make_unique<Entry>(Entry{
        std::move(c), std::move(labels), std::move(splitter), std::move(counters), false, reload}));
    for (const auto& old : entries_)
      if (old->config.files == entries.back()->config.files) {
        entries.back()->scanned = old->scanned;
        entries.back()->added = old->added;
      }
  }
  entries_ = std::move(entries);
  observers_ = std::move(observers);
  for (auto it = logs_.begin(); it != logs_.end();) {
    Log& log = it->second;
    const size_t entry = EntryFor(it->first);
    if (entry == kNoEntry) {
      // Left out now: its place is kept for as long as the file exists.
      log.tail->StageMarks(lane_names_, env_.clock->Steady(), journal_);
      path_of_.erase(log.id);
      it = logs_.erase(it);
      continue;
    }
    log.entry = entry;
    log.tail->SetOptions(OptionsOf(entries_[entry]->config));
    log.streams = LogStreams{entries_[entry]->labels.For(it->first), {}, {}};
    ++it;
  }
  ApplyLanes(std::move(destinations));
  rescan_ = true;
  next_scan_ = Duration::zero();
  acks_->Wake();
  return {};
}

size_t Tailer::EntryFor(const std::string& path) const {
  if (IsOwn(path)) return kNoEntry;
  for (size_t e = 0; e < entries_.size(); ++e) {
    const LogsConfig& c = entries_[e]->config;
    if (MatchesAny(path, c.exclude)) continue;
    for (const std::string& glob : c.files)
      if (GlobMatches(glob, path)) return e;
  }
  return kNoEntry;
}

bool Tailer::IsOwn(const std::string& path) const {
  if (std::find(env_.own_logs.begin(), env_.own_logs.end(), path) != env_.own_logs.end())
    return true;
  if (env_.own_pod.empty()) return false;
  const auto kubernetes = ParseKubernetesPath(path);
  return kubernetes && kubernetes->pod == env_.own_pod;
}

void Tailer::ReadWatches() {
  alignas(inotify_event) char buffer[16 * 1024];
  for (;;) {
    const ssize_t n = inotify_fd_ < 0 ? -1 : ::read(inotify_fd_, buffer, sizeof buffer);
    if (n <= 0) return;
    // Whatever it was, also that events were lost: look at everything again.
    rescan_ = look_closely_ = true;
    for (ssize_t at = 0; at < n;) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
      at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
      if ((event->mask & IN_IGNORED) == 0) continue;
      if (const auto it = watches_.find(event->wd); it != watches_.end()) {
        watch_of_.erase(it->second);
        watches_.erase(it);
      }
    }
  }
}

void Tailer::Watch(const std::set<std::string>& folders) {
  if (inotify_fd_ < 0) return;
  for (const std::string& folder : folders) {
    if (watch_of_.contains(folder)) continue;
    const int wd = ::inotify_add_watch(inotify_fd_, folder.c_str(), kWatched);
    if (wd < 0) continue;  // the regular scan finds its files, ten seconds later at most
    watches_[wd] = folder;
    watch_of_[folder] = wd;
  }
  std::erase_if(watch_of_, [&](const auto& entry) {
    if (folders.contains(entry.first)) return false;
    ::inotify_rm_watch(inotify_fd_, entry.second);
    watches_.erase(entry.second);
    return true;
  });
}

void Tailer::Rescan(Duration now) {
  rescan_ = false;
  next_scan_ = now + std::chrono::milliseconds(250);
  const UnixNs started = env_.clock->NowNs();
  OpenMarked();
  std::set<std::string> folders;
  std::vector<std::string> errors;
  for (size_t e = 0; e < entries_.size(); ++e) {
    std::vector<std::string> files;
    for (const std::string& glob : entries_[e]->config.files)
      ExpandGlob(glob, files, folders, errors);
    for (const std::string& path : files)
      if (!logs_.contains(path) && EntryFor(path) == e) OpenPath(path, e);
    entries_[e]->scanned = true;
  }
  last_scan_ns_ = started;
  const size_t watched = watch_of_.size();
  Watch(folders);
  // A file may have come between the listing and the watch.
  if (watch_of_.size() > watched) rescan_ = true;
  static log::RateLimit limit;
  uint64_t held = 0;
  if (!errors.empty() && limit.Allow(held, 60'000))
    log::Warn("A folder of log files cannot be read",
              {{"error", errors.front()}, {"others", errors.size() - 1}});
}

// Logs whose path has no file now, but whose rotated files may still hold lines.
void Tailer::OpenMarked() {
  std::map<std::string, std::vector<FileMark>> by_path;
  for (const auto& [id, mark] : journal_.marks())
    if (!logs_.contains(mark.path)) by_path[mark.path].push_back(mark);
  for (auto& [path, marks] : by_path) {
    const size_t entry = EntryFor(path);
    if (entry == kNoEntry || entries_[entry]->scanned) continue;
    Insert(path, entry, std::move(marks), false);
  }
}

// Whether the file belongs to another log: a rotated file, a copy, a second name. Marks of a log
// that is not there any more are handed over.
bool Tailer::KnownElsewhere(const std::string& path, const FileState& state,
                            std::vector<FileMark>& marks) {
  for (const auto& [other, log] : logs_)
    if (log.tail->Knows(state.device, state.inode)) return true;
  auto file = SourceFile::Open(path);
  if (!file) return false;
  for (const auto& [id, mark] : journal_.marks()) {
    if (mark.fingerprint.inode != state.inode || mark.fingerprint.device != state.device ||
        !(*file)->SameHead(mark.fingerprint))
      continue;
    if (mark.path != path && logs_.contains(mark.path)) return true;
    if (mark.path != path && (*file)->Continues(mark)) marks.push_back(mark);
  }
  for (const auto& [other, log] : logs_) {
    const bool beside = path.starts_with(other + ".") || path.starts_with(other + "-");
    if (beside && log.tail->IsCopy(**file)) return true;
  }
  return false;
}

bool Tailer::StartsAtEnd(const std::string& path, const Entry& entry) const {
  if (entry.scanned || entry.config.start_at == StartAt::kBeginning) return false;
  if (entry.config.start_at == StartAt::kEnd) return true;
  if (!first_run_ && !entry.added) return false;
  if (entry.config.format != Format::kAuto) return entry.config.format == Format::kPlain;
  // CRI lines carry their own time, so old ones are as good as new ones.
  auto file = SourceFile::Open(path);
  std::string head;
  if (!file || !(*file)->Read(0, kHeadBytes, head) || head.empty()) return false;
  return !CriParser().Parse(head.substr(0, head.find('\n')));
}

void Tailer::OpenPath(const std::string& path, size_t entry) {
  const auto state = StatPath(path);
  if (!state || IsOurOutput(*state)) return;
  std::vector<FileMark> marks;
  for (const auto& [id, mark] : journal_.marks())
    if (mark.path == path) marks.push_back(mark);
  if (marks.empty() && KnownElsewhere(path, *state, marks)) return;
  Insert(path, entry, std::move(marks), StartsAtEnd(path, *entries_[entry]));
}

void Tailer::Insert(const std::string& path, size_t entry, std::vector<FileMark> marks,
                    bool from_end) {
  std::vector<Gap> gaps;
  Log log{next_log_++, entry, std::make_unique<TailedLog>(path, OptionsOf(entries_[entry]->config)),
          LogStreams{entries_[entry]->labels.For(path), {}, {}}};
  const bool known = !marks.empty();
  // A new log may be rotated before it is found.
  const UnixNs rotated_since = entries_[entry]->scanned ? last_scan_ns_ : INT64_MAX;
  log.tail->Open(std::move(marks), lane_names_, Lanes(), from_end, rotated_since, journal_, gaps);
  Record(std::exchange(gaps, {}));
  if (log.tail->empty() && log.tail->last_error().empty()) return;
  log::Debug("Following a log file", {{"path", path},
                                      {"from", known      ? "checkpoint"
                                               : from_end ? "end"
                                                          : "beginning"}});
  log.tail->Look(env_.clock->Steady(), false, journal_, gaps);
  Record(gaps);
  path_of_[log.id] = path;
  logs_.emplace(path, std::move(log));
}

// Marks of files that are gone for good.
void Tailer::CollectGarbage() {
  std::vector<uint32_t> gone;
  for (const auto& [id, mark] : journal_.marks()) {
    const auto log = logs_.find(mark.path);
    if (log != logs_.end() && log->second.tail->Owns(id)) continue;
    auto same = [&, m = &mark](const FileState& s) {
      return s.inode == m->fingerprint.inode && s.device == m->fingerprint.device;
    };
    const auto state = StatPath(mark.path);
    if (state && same(*state)) continue;
    const auto siblings = ListSiblings(mark.path);
    if (std::any_of(siblings.begin(), siblings.end(),
                    [&](const Sibling& s) { return same(s.state); }))
      continue;
    gone.push_back(id);
  }
  for (const uint32_t id : gone) journal_.Forget(id);
}

}  // namespace picket::collectors::logs
