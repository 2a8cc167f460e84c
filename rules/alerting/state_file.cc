// SPDX-License-Identifier: Apache-2.0
#include "rules/alerting/state_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "core/base/strings.h"
#include "core/config/object.h"

namespace picket::rules::alerting {
namespace {

/// The file's shape; the loader of settings reads it, JSON being YAML.
struct AlertRow {
  std::string file, group, rule, state;
  std::map<std::string, std::string> labels, annotations;
  double value = 0;
  int64_t active_ms = 0, fired_ms = 0, resolved_ms = 0, keep_firing_since_ms = 0, last_sent_ms = 0;
};
struct FileRow {
  int64_t version = 1;
  int64_t saved_ms = 0;
  std::vector<AlertRow> alerts;
};

void Declare(config::Object<AlertRow>& o) {
  o.Field("file", &AlertRow::file, "Rule file.").NoExpand();
  o.Field("group", &AlertRow::group, "Group.").NoExpand();
  o.Field("rule", &AlertRow::rule, "Alert.").NoExpand();
  o.Field("state", &AlertRow::state, "pending, firing or inactive.");
  o.Field("labels", &AlertRow::labels, "Labels.").NoExpand();
  o.Field("annotations", &AlertRow::annotations, "Annotations.").NoExpand();
  o.Field("value", &AlertRow::value, "Last value.");
  o.Field("active_ms", &AlertRow::active_ms, "Since when.");
  o.Field("fired_ms", &AlertRow::fired_ms, "Fired.");
  o.Field("resolved_ms", &AlertRow::resolved_ms, "Resolved.");
  o.Field("keep_firing_since_ms", &AlertRow::keep_firing_since_ms, "Kept since.");
  o.Field("last_sent_ms", &AlertRow::last_sent_ms, "Last sent.");
}

void Declare(config::Object<FileRow>& o) {
  o.Field("version", &FileRow::version, "Of this format.").Min(1).Max(1);
  o.Field("saved_ms", &FileRow::saved_ms, "When.");
  o.Field("alerts", &FileRow::alerts, "Alerts.");
}

std::string MapJson(const Labels& labels) { return labels.ToJson(); }

Labels FromMap(const std::map<std::string, std::string>& map) {
  LabelsBuilder b;
  for (const auto& [n, v] : map) b.Set(n, v);
  return b.Build();
}

std::string ToJson(const SavedState& state) {
  std::string out =
      fmt::format("{{\"version\": 1, \"saved_ms\": {}, \"alerts\": [", state.saved_ms);
  bool first = true;
  for (const SavedAlert& s : state.alerts) {
    const Alert& a = s.alert;
    out += fmt::format(
        "{}\n{{\"file\": {}, \"group\": {}, \"rule\": {}, \"state\": \"{}\", \"labels\": {}, "
        "\"annotations\": {}, \"value\": {}, "
        "\"active_ms\": {}, \"fired_ms\": {}, \"resolved_ms\": {}, \"keep_firing_since_ms\": {}, "
        "\"last_sent_ms\": {}}}",
        first ? "" : ",", JsonQuote(s.file), JsonQuote(s.group), JsonQuote(s.rule),
        AlertStateName(a.state), MapJson(a.labels), MapJson(a.annotations),
        JsonQuote(FormatFloat(a.value)), a.active_ms, a.fired_ms, a.resolved_ms,
        a.keep_firing_since_ms, a.last_sent_ms);
    first = false;
  }
  return out + "]}\n";
}

}  // namespace

Status SaveState(const std::string& path, const SavedState& state) {
  const std::string staged = path + ".new";
  const std::string text = ToJson(state);
  const int fd = ::open(staged.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  if (fd < 0) return Fail(ErrnoError("open " + staged, errno));
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t n = ::write(fd, text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      Error e = ErrnoError("write " + staged, errno);
      ::close(fd);
      return Fail(std::move(e));
    }
    done += static_cast<size_t>(n);
  }
  const bool synced = ::fdatasync(fd) == 0;
  ::close(fd);
  if (!synced || std::rename(staged.c_str(), path.c_str()) != 0)
    return Fail(ErrnoError("replace " + path, errno));
  return {};
}

Result<SavedState> LoadState(const std::string& path) {
  PICKET_ASSIGN(const auto source, config::ReadSource(path));
  auto file = config::FromYaml<FileRow>(source->text, path);
  if (!file)
    return Fail(Error(ErrorKind::kCorrupt, file.error().message()).Context("reading alert state"));
  SavedState state;
  state.saved_ms = file->saved_ms;
  for (const AlertRow& r : file->alerts) {
    Alert a;
    a.state = r.state == "firing"    ? AlertState::kFiring
              : r.state == "pending" ? AlertState::kPending
                                     : AlertState::kInactive;
    a.labels = FromMap(r.labels);
    a.annotations = FromMap(r.annotations);
    a.value = r.value;
    a.active_ms = r.active_ms;
    a.fired_ms = r.fired_ms;
    a.resolved_ms = r.resolved_ms;
    a.keep_firing_since_ms = r.keep_firing_since_ms;
    a.last_sent_ms = r.last_sent_ms;
    state.alerts.push_back({r.file, r.group, r.rule, std::move(a)});
  }
  return state;
}

}  // namespace picket::rules::alerting
