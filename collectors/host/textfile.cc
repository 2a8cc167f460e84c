// SPDX-License-Identifier: Apache-2.0
// Series that scripts leave in *.prom files. A file is parsed anew only when it is another one than
// last time; one that cannot be parsed, or has times of its own, is left out as a whole.
#include <glob.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <set>

#include "collectors/host/attributes.h"
#include "collectors/host/collectors.h"
#include "collectors/host/file.h"
#include "core/base/log.h"
#include "core/base/strings.h"

namespace picket::collectors::host {
namespace {

const Family kMtime = Gauge("node_textfile_mtime_seconds",
                            "Unixtime mtime of textfiles successfully read.", {"file"});
const Family kError = Gauge("node_textfile_scrape_error",
                            "1 if there was an error opening or reading a file, 0 otherwise");

struct Line {
  std::string name;
  std::vector<std::pair<std::string, std::string>> labels;
  double value = 0;
};
struct Exposition {
  std::vector<Line> lines;
  std::map<std::string, MetricType, std::less<>> types;
  std::map<std::string, std::string, std::less<>> helps;
};

bool IsNameByte(char c, bool first, bool label) {
  if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_') return true;
  return (c == ':' && !label) || (c >= '0' && c <= '9' && !first);
}
std::string_view TakeName(std::string_view& text, bool label) {
  size_t n = 0;
  while (n < text.size() && IsNameByte(text[n], n == 0, label)) ++n;
  const std::string_view name = text.substr(0, n);
  text.remove_prefix(n);
  return name;
}
void SkipBlanks(std::string_view& text) {
  while (!text.empty() && (text[0] == ' ' || text[0] == '\t')) text.remove_prefix(1);
}

/// The rest of "# HELP name text" and "# TYPE name type".
void TakeComment(std::string_view line, Exposition& out) {
  line.remove_prefix(1);
  const std::string_view what = TakeWord(line);
  if (what != "HELP" && what != "TYPE") return;
  const std::string name(TakeWord(line));
  const std::string_view text = Trim(line);
  if (what == "HELP") {
    out.helps[name] = text;
  } else {
    out.types[name] = text == "counter"     ? MetricType::kCounter
                      : text == "gauge"     ? MetricType::kGauge
                      : text == "histogram" ? MetricType::kHistogram
                      : text == "summary"   ? MetricType::kSummary
                                            : MetricType::kUnknown;
  }
}

/// A quoted value behind the quote, with its escapes undone. False: it does not end.
bool TakeQuoted(std::string_view& text, std::string& out) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') {
      text.remove_prefix(i + 1);
      return true;
    }
    if (text[i] != '\\' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    const char c = text[++i];
    if (c != 'n' && c != '"' && c != '\\') return false;
    out += c == 'n' ? '\n' : c;
  }
  return false;
}

/// Why the line is wrong; empty when it is good.
std::string_view TakeLabels(std::string_view& text, Line& line) {
  while (true) {
    SkipBlanks(text);
    if (text.starts_with('}')) {
      text.remove_prefix(1);
      return {};
    }
    const std::string_view name = TakeName(text, true);
    SkipBlanks(text);
    if (name.empty() || !text.starts_with('=')) return "a label without a name or a value";
    text.remove_prefix(1);
    SkipBlanks(text);
    if (!text.starts_with('"')) return "a label's value is not quoted";
    text.remove_prefix(1);
    std::string value;
    if (!TakeQuoted(text, value)) return "a label's value does not end";
    if (!IsValidUtf8(value)) return "a label's value is not UTF-8";
    if (name == "__name__") return "a label named __name__";
    line.labels.emplace_back(name, std::move(value));
    SkipBlanks(text);
    if (text.starts_with(','))
      text.remove_prefix(1);
    else if (!text.starts_with('}'))
      return "labels are not separated by a comma";
  }
}

std::string_view TakeSeries(std::string_view text, Line& line) {
  line.name = TakeName(text, false);
  if (line.name.empty()) return "not a metric's name";
  SkipBlanks(text);
  if (text.starts_with('{')) {
    text.remove_prefix(1);
    if (const auto fault = TakeLabels(text, line); !fault.empty()) return fault;
    std::ranges::sort(line.labels);
    const auto same = [](const auto& a, const auto& b) { return a.first == b.first; };
    if (std::ranges::adjacent_find(line.labels, same) != line.labels.end())
      return "a label stands there twice";
  }
  std::string_view word = TakeWord(text);
  if (word.starts_with('+')) word.remove_prefix(1);
  const auto value = word.empty() ? std::nullopt : ToNumber(word);
  if (!value) return "not a number";
  line.value = *value;
  return Trim(text).empty() ? "" : "times of its own are not supported";
}

Result<Exposition> Parse(std::string_view text) {
  Exposition out;
  Lines lines(text);
  int number = 0;
  for (std::string_view line; lines.Next(line);) {
    ++number;
    line = Trim(line);
    if (line.empty()) continue;
    if (line[0] == '#') {
      TakeComment(line, out);
      continue;
    }
    if (const auto fault = TakeSeries(line, out.lines.emplace_back()); !fault.empty())
      return Fail(ErrorKind::kInvalidArgument,
                  "line " + std::to_string(number) + ": " + std::string(fault));
  }
  return out;
}

/// The metric a series is of: x for x_bucket, x_sum and x_count of a histogram or summary x.
std::string BaseOf(std::string_view name, const Exposition& all) {
  if (all.types.contains(name)) return std::string(name);
  for (const std::string_view suffix : {"_bucket", "_sum", "_count"}) {
    if (!name.ends_with(suffix)) continue;
    const std::string_view base = name.substr(0, name.size() - suffix.size());
    const auto type = all.types.find(base);
    if (type != all.types.end() &&
        (type->second == MetricType::kHistogram || type->second == MetricType::kSummary))
      return std::string(base);
  }
  return std::string(name);
}

/// Histograms and summaries have a sum and a count for every set of labels: what a file leaves out
/// is 0, as in node_exporter.
void Complete(Exposition& all) {
  std::map<std::string, std::set<std::vector<std::pair<std::string, std::string>>>> groups, there;
  for (const Line& line : all.lines) {
    const std::string base = BaseOf(line.name, all);
    const auto type = all.types.find(base);
    if (type == all.types.end() ||
        (type->second != MetricType::kHistogram && type->second != MetricType::kSummary))
      continue;
    auto labels = line.labels;
    std::erase_if(labels, [](const auto& l) { return l.first == "le" || l.first == "quantile"; });
    there[line.name].insert(labels);
    groups[base].insert(std::move(labels));
  }
  for (const auto& [base, sets] : groups) {
    for (const char* suffix : {"_sum", "_count"}) {
      for (const auto& labels : sets) {
        if (!there[base + suffix].contains(labels)) all.lines.push_back({base + suffix, labels, 0});
      }
    }
  }
}

class Textfile final : public Part {
 public:
  explicit Textfile(const HostConfig& config) : directories_(config.textfile.directories) {}
  std::string_view name() const override { return "textfile"; }

  Status Tell(Row& row) override {
    bool errored = false;
    std::set<std::string> seen;
    helps_.clear();
    for (const std::string& directory : Directories()) {
      const auto names = ListFolder(directory);
      if (!names) {
        errored = true;
        Complain(directory, names.error().ToString());
        continue;
      }
      complained_.erase(directory);
      for (const std::string& file : *names) {
        if (!file.ends_with(".prom")) continue;
        const std::string path = directory + "/" + file;
        seen.insert(path);
        errored |= !TellFile(row, path);
      }
    }
    std::erase_if(files_, [&](const auto& entry) { return !seen.contains(entry.first); });
    for (const auto& [path, file] : files_) {
      if (file.good) row.Tell(kMtime, {path}, file.mtime);
    }
    row.Tell(kError, {}, errored ? 1 : 0);
    return {};
  }

 private:
  struct Series {
    const Family* family;
    std::string metric;  // without _bucket, _sum and _count
    std::vector<std::string> values;
    double value;
  };
  struct File {
    std::map<std::string, std::string, std::less<>> helps;
    std::string mark;  // which file it was, at which time
    bool good = false;
    double mtime = 0;
    std::vector<Series> series;
  };

  /// A pattern that finds nothing is taken as a name, so that a missing folder is told.
  std::vector<std::string> Directories() const {
    std::vector<std::string> out;
    for (const std::string& pattern : directories_) {
      glob_t found{};
      if (glob(pattern.c_str(), 0, nullptr, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; ++i) out.emplace_back(found.gl_pathv[i]);
      } else {
        out.push_back(pattern);
      }
      globfree(&found);
    }
    return out;
  }

  bool TellFile(Row& row, const std::string& path) {
    File& file = files_[path];
    struct stat now{};
    if (stat(path.c_str(), &now) != 0) {
      file = {};
      return false;
    }
    const std::string mark = std::to_string(now.st_ino) + " " + std::to_string(now.st_size) + " " +
                             std::to_string(now.st_mtim.tv_sec) + "." +
                             std::to_string(now.st_mtim.tv_nsec);
    if (mark != file.mark) {
      file = {};
      file.mark = mark;
      file.mtime =
          static_cast<double>(now.st_mtim.tv_sec) + static_cast<double>(now.st_mtim.tv_nsec) / 1e9;
      Load(path, file);
    }
    bool good = file.good;
    // One metric has one help: whose differs from an earlier file's is left out, and told as a
    // fault.
    std::set<std::string_view> refused;
    for (const auto& [metric, help] : file.helps) {
      const auto [it, fresh] = helps_.try_emplace(metric, help);
      if (fresh || it->second == help) continue;
      refused.insert(metric);
      Complain(path + " " + metric, "its help differs from the one in an earlier file");
      good = false;
    }
    std::vector<std::string_view> values;
    for (const Series& s : file.series) {
      if (!refused.empty() && refused.contains(s.metric)) continue;
      values.assign(s.values.begin(), s.values.end());
      row.Tell(*s.family, values, s.value);
    }
    return good;
  }

  void Load(const std::string& path, File& file) {
    KernelFile reader(path);
    const auto text = reader.Read();
    if (!text) return Complain(path, text.error().ToString());
    auto parsed = Parse(*text);
    if (!parsed) return Complain(path, parsed.error().ToString());
    Complete(*parsed);
    complained_.erase(path);
    file.good = true;
    file.helps = parsed->helps;
    for (const Line& line : parsed->lines) {
      const std::string metric = BaseOf(line.name, *parsed);
      Series& s = file.series.emplace_back(
          Series{&FamilyOf(path, metric, line, *parsed), metric, {}, line.value});
      for (const auto& [name, value] : line.labels) s.values.push_back(value);
    }
  }

  /// Families live on: what a file had is known again when it has it again.
  const Family& FamilyOf(const std::string& path, const std::string& metric, const Line& line,
                         const Exposition& all) {
    std::string key = line.name;
    std::vector<std::string> names;
    for (const auto& [name, value] : line.labels) {
      key += '\n' + name;
      names.push_back(name);
    }
    auto it = families_.find(key);
    if (it != families_.end()) return *it->second;
    const auto type = all.types.find(metric);
    const auto help = all.helps.find(metric);
    auto family = std::make_unique<Family>(
        Family{line.name, type == all.types.end() ? MetricType::kUnknown : type->second,
               help == all.helps.end() ? "Metric read from " + path : help->second, names});
    return *families_.emplace(key, std::move(family)).first->second;
  }

  /// Once a fault.
  void Complain(const std::string& path, const std::string& error) {
    if (complained_.insert(path).second)
      log::Warn("A textfile cannot be read", {{"path", path}, {"error", error}});
  }

  const std::vector<std::string> directories_;
  std::map<std::string, File> files_;
  std::map<std::string, std::unique_ptr<Family>> families_;
  std::set<std::string> complained_;
  std::map<std::string, std::string> helps_;  // of this turn
};

}  // namespace

std::unique_ptr<Part> MakeTextfile(const HostConfig& c) { return std::make_unique<Textfile>(c); }

}  // namespace picket::collectors::host
