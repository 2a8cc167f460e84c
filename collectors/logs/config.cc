// SPDX-License-Identifier: Apache-2.0
#include "collectors/logs/config.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>

#include "core/config/object.h"
#include "core/model/labels.h"

namespace picket::collectors::logs {

void Declare(config::Object<JsonConfig>& o) {
  o.Doc("Fields taken out of lines that are JSON objects; only the keys asked for are looked at.");
  o.Field("fields", &JsonConfig::fields,
          "Name to dotted path in the line. A field becomes structured metadata of its line.")
      .Example("{level: level, trace_id: trace.id}");
  o.Field("labels", &JsonConfig::labels,
          "Fields that become labels of the stream instead; only for fields of few values.");
  o.Check([](const JsonConfig& c, config::Reporter& r) {
    for (const auto& [name, path] : c.fields) {
      if (!IsLegacyLabelName(name))
        r.Error("fields", fmt::format("\"{}\" is not a label name", name),
                "Use letters, digits and underscores.");
      if (path.empty() || path.front() == '.' || path.back() == '.' ||
          path.find("..") != std::string::npos)
        r.Error("fields", fmt::format("\"{}\" is not a dotted path", path), "Write it as a.b.c.");
    }
    for (const std::string& name : c.labels)
      if (!c.fields.contains(name))
        r.Error("labels", fmt::format("\"{}\" is not one of the fields", name),
                "Name it under fields first.");
  });
}

void Declare(config::Object<CountConfig>& o) {
  o.Doc("A counter of lines that rules can read.");
  o.Field("name", &CountConfig::name, "Name of the series, which should end in _total.").Required();
  o.Field("help", &CountConfig::help, "What it counts, for the metadata.");
  o.Field("labels", &CountConfig::labels,
          "Labels and JSON fields of a line that the series keep; the rest is summed up.");
  o.Field("match", &CountConfig::match, "Count only lines in which this RE2 pattern is found.")
      .NoExpand();
  o.Check([](const CountConfig& c, config::Reporter& r) {
    if (!IsLegacyMetricName(c.name))
      r.Error("name", fmt::format("\"{}\" is not a metric name", c.name),
              "Use letters, digits, underscores and colons.");
    const RE2 pattern(c.match, RE2::Quiet);
    if (!pattern.ok()) r.Error("match", pattern.error(), "Patterns are RE2's.");
  });
}

void Declare(config::Object<LogsConfig>& o) {
  o.Doc("Files of log lines to follow.");
  o.Field("files", &LogsConfig::files, "Globs of the files; ** crosses folders.")
      .Required()
      .NonEmpty()
      .OneOrMany()
      .Path()
      .Example("[/var/log/pods/*/*/*.log]");
  o.Field("exclude", &LogsConfig::exclude,
          "Globs of files to leave out, matched against the whole path, or the name if there is no "
          "slash in them. Picket's own log is always left out.")
      .OneOrMany();
  o.Field(
       "format", &LogsConfig::format,
       "How lines are written: cri as by Kubernetes' runtimes, plain, or auto by the first line.")
      .OneOf({{"auto", Format::kAuto}, {"cri", Format::kCri}, {"plain", Format::kPlain}});
  o.Field("labels", &LogsConfig::labels, "Labels of every line.");
  o.Field("path_labels", &LogsConfig::path_labels,
          "RE2 pattern over the path whose named groups become labels. Paths of Kubernetes give "
          "namespace, pod, container and uid by themselves.")
      .NoExpand()
      .Example("/srv/(?P<app>[^/]+)/");
  o.Field("json", &LogsConfig::json, "Fields of JSON lines.");
  o.Field("count", &LogsConfig::count, "Counters of lines.");
  o.Field("start_at", &LogsConfig::start_at,
          "Where a file starts that has no checkpoint: beginning, end, or auto, which is the "
          "beginning unless it is a plain file that was there when Picket first ran.")
      .OneOf(
          {{"auto", StartAt::kAuto}, {"beginning", StartAt::kBeginning}, {"end", StartAt::kEnd}});
  o.Field("max_line_bytes", &LogsConfig::max_line_bytes,
          "Longer lines are cut, marked and counted.")
      .Min(Bytes(256))
      .Max(64_MiB);
  o.Field("partial_timeout", &LogsConfig::partial_timeout,
          "How long the first parts of a CRI line wait for its last one.")
      .Min(Milliseconds(100));
  o.Field("hold_deleted", &LogsConfig::hold_deleted,
          "Unread bytes of deleted files that may be kept on the disk; beyond it the oldest file "
          "is given up and its lines are counted as dropped.");
  o.Check([](const LogsConfig& c, config::Reporter& r) {
    for (const auto& [name, value] : c.labels)
      if (!IsLegacyLabelName(name))
        r.Error("labels", fmt::format("\"{}\" is not a label name", name),
                "Use letters, digits and underscores.");
    if (!c.path_labels.empty()) {
      const RE2 pattern(c.path_labels, RE2::Quiet);
      if (!pattern.ok())
        r.Error("path_labels", pattern.error(), "Patterns are RE2's.");
      else if (pattern.NumberOfCapturingGroups() == 0)
        r.Error("path_labels", "has no named group", "Name what to keep: (?P<app>[^/]+).");
    }
  });
}

}  // namespace picket::collectors::logs
