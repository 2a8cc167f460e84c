// SPDX-License-Identifier: Apache-2.0
// logs_conformance: recorded log files with the records they hold.
//   logs_conformance [--verbose]
// Reads ${PICKET_CONFORMANCE:-../shared/conformance}/logs. Prints passed of total by file, each
// failing case, and what is left out with its reason. Exit 0: as
// tests/data/logs/known_failures.tsv says; 1: not so; 77: no data.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <set>
#include <sstream>

#include "collectors/logs/fields.h"
#include "collectors/logs/lines.h"
#include "core/base/log.h"
#include "core/base/strings.h"
#include "core/config/diagnostics.h"
#include "core/config/node.h"
#include "picket_source_dir.h"
#include "tests/collectors/logs/fixture.h"
#include "tests/support/score.h"

namespace picket::collectors::logs {
namespace {

namespace fs = std::filesystem;
using testing::Score;
using testing::Wrong;

std::string ReadFile(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

std::vector<fs::path> FilesOf(const fs::path& folder) {
  std::vector<fs::path> out;
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(folder, error))
    if (entry.is_regular_file()) out.push_back(entry.path());
  std::sort(out.begin(), out.end());
  return out;
}

/// The lines of a file without their newlines; an empty last one is none.
std::vector<std::string> LinesOf(const std::string& text) {
  std::vector<std::string> out;
  for (const std::string_view line : Split(text, '\n')) out.emplace_back(line);
  if (!out.empty() && out.back().empty()) out.pop_back();
  return out;
}

/// JSON is YAML: read by other code than the one that is tested.
std::optional<config::Node> ParseJson(const std::string& text) {
  config::Diagnostics diagnostics;
  auto node = config::ParseYaml(config::MakeSource("expected", text), diagnostics);
  if (diagnostics.HasErrors() || !node) return {};
  return node;
}

std::string TextOf(const config::Node& object, const char* key) {
  const config::Node* value = object.Find(key);
  return value == nullptr ? "" : value->text;
}

/// Records by where they came from: "stdout", "stderr" or "" for lines passed on whole.
struct Record {
  UnixNs time_ns = 0;
  std::string text;
  bool operator==(const Record&) const = default;
};
using Records = std::map<std::string, std::vector<Record>>;

Wrong Differ(const Records& expected, const Records& got) {
  for (const char* origin : {"stdout", "stderr", ""}) {
    const auto of = [&](const Records& all) {
      const auto it = all.find(origin);
      return it == all.end() ? std::vector<Record>() : it->second;
    };
    const auto want = of(expected), have = of(got);
    for (size_t i = 0; i < std::max(want.size(), have.size()); ++i) {
      if (i >= have.size()) return fmt::format("{}: missing \"{}\"", origin, want[i].text);
      if (i >= want.size()) return fmt::format("{}: unexpected \"{}\"", origin, have[i].text);
      // Lines that are not CRI carry the time of reading.
      if (want[i].text != have[i].text || (*origin != 0 && want[i].time_ns != have[i].time_ns))
        return fmt::format("{}: expected \"{}\" at {}, got \"{}\" at {}", origin, want[i].text,
                           want[i].time_ns, have[i].text, have[i].time_ns);
    }
  }
  return "";
}

// Folder cri/.

Records ExpectedCri(const fs::path& path) {
  Records out;
  for (const std::string& line : LinesOf(ReadFile(path))) {
    const auto node = ParseJson(line);
    if (!node) continue;
    if (const config::Node* raw = node->Find("unparsed"))
      out[""].push_back({0, raw->text});
    else
      out[TextOf(*node, "stream")].push_back(
          {ParseRfc3339(TextOf(*node, "time")).value_or(-1), TextOf(*node, "message")});
  }
  return out;
}

/// The file in reads of `piece` bytes.
Records Assemble(const std::string& text, Format format, size_t piece) {
  constexpr std::array<const char*, kOrigins> kNames = {"stdout", "stderr", ""};
  LineAssembler assembler(format, 256 << 10);
  LineCounts counts;
  Records out;
  std::string rest;
  const auto take = [&](const std::string& arena, const RecordLists& lists) {
    for (size_t o = 0; o < lists.size(); ++o)
      for (const LogRecord& r : lists[o])
        out[kNames[o]].push_back({r.time_ns, arena.substr(r.offset, r.length)});
  };
  uint64_t offset = 0;
  for (size_t at = 0; at < text.size(); at += piece) {
    std::string arena = rest + text.substr(at, piece);
    const std::string data = arena;
    LineAssembler::Input in;
    in.at = {1, offset};
    in.last = at + piece >= text.size();
    RecordLists lists;
    const size_t used = assembler.Feed(arena, in, lists, counts);
    take(arena, lists);
    offset += used;
    rest = data.substr(used);
  }
  std::string arena;
  RecordLists lists;
  assembler.FlushOpen(arena, Duration::max(), lists, counts);
  take(arena, lists);
  return out;
}

/// One log that a real tailer follows while it is written and rotated.
class FollowedLog {
 public:
  FollowedLog() {
    std::string name = fs::temp_directory_path() / "picket_logs_XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) return;
    root_ = name;
    fs::create_directories(root_ / "logs");
    Environment env;
    env.clock = &clock_;
    env.balances = &balances_;
    env.telemetry = &telemetry_;
    env.folder = root_ / "state";
    env.read_ahead = 8_MiB;
    auto made = Tailer::Make(env);
    if (!made) return;
    tailer_ = *std::move(made);
    LogsConfig config;
    config.files = {root_ / "logs/*.log"};
    config.format = Format::kCri;
    config.start_at = StartAt::kBeginning;
    ok_ = tailer_->Apply({config}, {{"backend", backend_}}, {}).has_value();
  }
  ~FollowedLog() {
    tailer_.reset();
    fs::remove_all(root_);
  }
  FollowedLog(const FollowedLog&) = delete;
  FollowedLog& operator=(const FollowedLog&) = delete;

  bool ok() const { return ok_; }
  void Write(const std::string& text) {
    std::ofstream(root_ / "logs/0.log", std::ios::app | std::ios::binary) << text;
  }
  void Rotate() { fs::rename(root_ / "logs/0.log", root_ / "logs/0.log.1"); }
  void Read(Duration pass = std::chrono::seconds(1)) {
    clock_.Advance(pass);
    for (int i = 0; i < 1000 && tailer_->Step() == Duration::zero(); ++i) {
    }
    for (int i = 0; i < 4; ++i) tailer_->Step();
  }
  Records Delivered() const {
    Records out;
    for (const Backend::Entry& e : backend_->delivered) {
      std::string origin;
      for (const char* stream : {"stdout", "stderr"})
        if (e.labels.find(fmt::format("stream=\"{}\"", stream)) != std::string::npos)
          origin = stream;
      out[origin].push_back({e.time_ns, e.line});
    }
    return out;
  }

 private:
  fs::path root_;
  ManualClock clock_;
  BalanceBook balances_;
  Telemetry telemetry_;
  std::shared_ptr<Backend> backend_ = std::make_shared<Backend>();
  std::unique_ptr<Tailer> tailer_;
  bool ok_ = false;
};

/// The first `count` lines, then a rotation, then the rest. The file is met when it has one line;
/// `looks`: it is read right before the rotation too.
Records Follow(const std::vector<std::string>& lines, size_t count, bool looks) {
  FollowedLog log;
  if (!log.ok()) return {};
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i == count) {
      if (looks) log.Read();
      log.Rotate();
    }
    log.Write(lines[i] + "\n");
    if (i == 0) log.Read();
  }
  log.Read();
  log.Read();
  log.Read(std::chrono::seconds(20));  // past partial_timeout: what has no end goes out
  log.Read();
  return log.Delivered();
}

void CheckCri(const fs::path& folder, Score& score) {
  for (const fs::path& path : FilesOf(folder)) {
    if (path.extension() != ".log") continue;
    const std::string file = "cri/" + path.filename().string();
    fs::path out = path;
    const Records expected = ExpectedCri(out.replace_extension(".expected.jsonl"));
    if (expected.empty()) {
      score.Skip(file, "no expected records beside it");
      continue;
    }
    const std::string text = ReadFile(path);
    for (const size_t piece : {size_t{1}, size_t{7}, size_t{64}, size_t{100}, size_t{1} << 20})
      score.Case(file, fmt::format("read {} bytes at a time", piece),
                 Differ(expected, Assemble(text, Format::kCri, piece)));
    const auto lines = LinesOf(text);
    for (size_t i = 1; i < lines.size(); ++i) {
      score.Case(file, fmt::format("rotated after line {}", i),
                 Differ(expected, Follow(lines, i, true)));
      score.Case(file, fmt::format("rotated after line {}, unseen", i),
                 Differ(expected, Follow(lines, i, false)));
    }
  }
}

// JSON lines.

/// The values of some keys in one line, as the collector finds them.
std::vector<std::string> Extract(const std::string& line, const std::vector<std::string>& keys) {
  FieldExtractor extractor(keys);
  std::string padded = line;
  padded.append(FieldExtractor::kPadding, '\0');
  FieldValues values;
  std::deque<std::string> unescaped;
  if (!extractor.Extract(std::string_view(padded).substr(0, line.size()), values, unescaped))
    return {};
  std::vector<std::string> out;
  for (const std::string_view v : values) out.emplace_back(v);
  return out;
}

/// The lines of a JSON file have these values of `key`, in this order.
Wrong CompareField(const fs::path& path, const std::string& key,
                   const std::vector<std::string>& expected) {
  std::vector<std::string> got;
  for (const std::string& line : LinesOf(ReadFile(path))) {
    if (line.empty()) continue;
    const auto values = Extract(line, {key});
    if (values.empty()) return "not taken for JSON: " + line;
    got.push_back(values[0]);
  }
  if (got.size() != expected.size())
    return fmt::format("{} lines, expected {}", got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i)
    if (got[i] != expected[i])
      return fmt::format("line {}: expected \"{}\", got \"{}\"", i + 1, expected[i], got[i]);
  return "";
}

std::vector<std::string> ExpectedLogs(const fs::path& path) {
  std::vector<std::string> out;
  for (const std::string& line : LinesOf(ReadFile(path)))
    if (!line.empty())
      if (const auto node = ParseJson(line)) out.push_back(TextOf(*node, "log"));
  return out;
}

/// Every record of the answer is a line of the log with this text, stream and time.
Wrong CompareKubernetes(const fs::path& log, const fs::path& out) {
  struct Line {
    std::string text, stream;
    UnixNs time_ns;
  };
  std::vector<Line> lines;
  for (const std::string& line : LinesOf(ReadFile(log))) {
    const auto v = Extract(line, {"log", "stream", "time"});
    if (v.empty()) return "not taken for JSON: " + line;
    lines.push_back({v[0], v[1], ParseRfc3339(v[2]).value_or(-1)});
  }
  size_t met = 0;
  for (const std::string& expected : LinesOf(ReadFile(out))) {
    if (expected.empty()) continue;
    const auto node = ParseJson(expected);
    if (!node || !node->IsList() || node->items.size() != 2) return "expected what is no record";
    const auto micros = std::llround(std::stod(node->items[0].text) * 1e6);
    const config::Node& record = node->items[1];
    const bool found = std::any_of(lines.begin(), lines.end(), [&](const Line& l) {
      return l.text == TextOf(record, "log") && l.stream == TextOf(record, "stream") &&
             std::llabs(l.time_ns / 1000 - micros) <= 1;
    });
    if (!found) return "no line is " + expected;
    ++met;
  }
  return met == 0 ? "nothing was compared" : "";
}

void CheckKubernetes(const fs::path& folder, Score& score) {
  for (const fs::path& out : FilesOf(folder / "out")) {
    const std::string group = out.parent_path().filename().string();
    const std::string file = fmt::format("kubernetes/{}/{}", group, out.filename().string());
    std::string stem = out.stem().string();
    fs::path log = folder / "log" / group / (stem + ".log");
    for (const char* stream : {"_stdout", "_stderr"})
      if (!fs::exists(log) && stem.ends_with(stream))
        log = folder / "log" / group / (stem.substr(0, stem.size() - 7) + ".log");
    if (!fs::exists(log)) {
      score.Skip(file, "no log of that name is here");
      continue;
    }
    const auto records = LinesOf(ReadFile(out));
    const bool has_log = !records.empty() && records[0].find("\"log\":") != std::string::npos;
    const auto first = ParseJson(records.empty() ? "" : records[0]);
    const bool keeps_time = group != "annotations-parser";
    if (!first || !has_log || !keeps_time) {
      score.Skip(file,
                 "records made by a parser that a pod's annotation or an option chose: Picket "
                 "has no such parsers yet");
      continue;
    }
    score.Case(file, "text, stream and time", CompareKubernetes(log, out));
  }
  score.Skip("kubernetes/meta", "records enriched from pod objects: Kubernetes comes later");
  score.Skip("kubernetes/log/annotations-exclude",
             "lines left out by a pod's annotation: Kubernetes comes later");
}

// Folder tail/.

void CheckTail(const fs::path& folder, Score& score) {
  for (const fs::path& path : FilesOf(folder / "log")) {
    const std::string name = path.stem().string();
    const std::string file = "tail/" + path.filename().string();
    const fs::path out = folder / "out" / (name + ".out");
    if (name.starts_with("dockermode")) {
      if (name == "dockermode")
        score.Case(file, "the key log", CompareField(path, "log", ExpectedLogs(out)));
      else
        score.Skip(file, "Docker's parts of lines are not joined yet; CRI's are");
    } else if (name.starts_with("multiline")) {
      score.Case(file, "the key message", [&]() -> Wrong {
        std::vector<std::string> pieces;
        for (const std::string& expected : LinesOf(ReadFile(out)))
          if (const auto node = ParseJson(expected)) {
            const std::string message = TextOf(*node, "message");
            for (const std::string_view piece : Split(message, '\n')) pieces.emplace_back(piece);
          }
        return CompareField(path, "message", pieces);
      }());
      score.Skip(file, "lines joined by regular expressions: not there yet");
    } else if (name.starts_with("unicode")) {
      score.Skip(file, "UTF-16: Picket passes bytes on as they are");
    } else if (name.starts_with("generic_enc")) {
      // Not transcoded, but no byte is changed or lost.
      score.Case(file, "bytes stay", [&]() -> Wrong {
        const std::string text = ReadFile(path);
        Records expected;
        for (const std::string& line : LinesOf(text)) expected[""].push_back({0, line});
        return Differ(expected, Assemble(text, Format::kPlain, 11));
      }());
      score.Skip(file, "its encoding is not turned into UTF-8");
    } else if (fs::exists(out)) {
      Records expected;
      for (const std::string& text : ExpectedLogs(out)) expected[""].push_back({0, text});
      const std::string text = ReadFile(path);
      for (const size_t piece : {size_t{1}, size_t{5}, size_t{1} << 20})
        score.Case(file, fmt::format("read {} bytes at a time", piece),
                   Differ(expected, Assemble(text, Format::kPlain, piece)));
    } else {
      score.Skip(file, "no expected records beside it");
    }
  }
}

int Run(const fs::path& root, bool verbose) {
  Score score(verbose, PICKET_SOURCE_DIR "/tests/data/logs/known_failures.tsv");
  CheckCri(root / "cri", score);
  CheckTail(root / "tail", score);
  CheckKubernetes(root / "kubernetes", score);
  for (const fs::path& path : FilesOf(root / "parsers"))
    score.Skip("parsers/" + path.filename().string(),
               "named regular expressions for plain lines: not there yet");
  return score.Finish();
}

}  // namespace
}  // namespace picket::collectors::logs

int main(int argc, char** argv) {
  const char* data = std::getenv("PICKET_CONFORMANCE");
  const auto root =
      std::filesystem::path(data != nullptr ? data : PICKET_SOURCE_DIR "/../shared/conformance") /
      "logs";
  if (!std::filesystem::is_directory(root)) {
    fmt::print("SKIPPED: no log files in {}\n", root.string());
    return 77;
  }
  picket::log::SetLevel(picket::log::Level::kError);
  return picket::collectors::logs::Run(root, argc > 1 && std::string(argv[1]) == "--verbose");
}
