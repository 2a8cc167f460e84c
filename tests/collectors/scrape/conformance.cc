// SPDX-License-Identifier: Apache-2.0
// Reads the recorded expositions of a conformance folder and compares with what Prometheus 3.15
// made of them: accepted or not, sample counts, and where it was recorded every series with its
// value. Prints passed of total by file and each failing case. Exit: 0 all as expected, 1 something
// differs, 77 the folder is missing.
#include <bit>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "core/base/strings.h"
#include "picket_source_dir.h"
#include "tests/collectors/scrape/fake_intake.h"

namespace picket::collectors::scrape {
namespace {

namespace fs = std::filesystem;

std::string ReadFile(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

/// Tab-separated rows without the header.
std::vector<std::vector<std::string>> ReadTable(const fs::path& path) {
  std::vector<std::vector<std::string>> rows;
  const std::string text = ReadFile(path);
  bool header = true;
  for (const std::string_view line : Split(text, '\n')) {
    if (line.empty() || std::exchange(header, false)) continue;
    auto& row = rows.emplace_back();
    for (const std::string_view cell : Split(line, '\t')) row.emplace_back(cell);
  }
  return rows;
}

/// Cases that are known to differ, with the reason: "case<TAB>reason".
std::map<std::string, std::string> KnownDifferences(const fs::path& path) {
  std::map<std::string, std::string> out;
  const std::string text = ReadFile(path);
  for (const std::string_view line : Split(text, '\n')) {
    const size_t tab = line.find('\t');
    if (tab != std::string_view::npos && !line.starts_with('#'))
      out.emplace(line.substr(0, tab), line.substr(tab + 1));
  }
  return out;
}

struct Outcome {
  bool accepted = false;
  uint64_t samples = 0;
  std::string error;
  std::map<std::string, std::string> values;  // series as JSON -> value
};

/// The job's own labels are put on and taken off again, so that a body's job and instance become
/// exported_*.
std::string SeriesJson(const Labels& labels) {
  LabelsBuilder b(labels);
  for (const std::string_view name : {"job", "instance"}) {
    const std::string value(b.Get(name));
    if (value.empty()) continue;
    b.Delete(name);
    b.Set("exported_" + std::string(name), value);
  }
  return b.Build().ToJson();
}

Outcome Scrape(const std::string& body, Format format) {
  Outcome out;
  FakeIntake intake;
  PlainResolver resolver(intake);
  SeriesCache cache({.honor_timestamps = false});
  SeriesCache::Scratch scratch;
  ScrapeCounts counts;
  // Twice: the second time every line is predicted, and the answer must be the same.
  for (int turn = 0; turn < 2; ++turn) {
    const Status status = cache.Scan(body, format, resolver, scratch, counts);
    out.accepted = status.has_value();
    out.samples = counts.scraped;
    if (!status) return out.error = status.error().message(), out;
    const SeriesCache::Row row = cache.row();
    intake.Append({1, row.layout, turn + 1, row.series, row.values});
    cache.Commit(resolver);
  }
  for (const auto& [name, value] : intake.last_row)
    out.values[SeriesJson(intake.label_sets[intake.ids.at(name)])] = FormatFloat(value);
  return out;
}

/// [labels, value] a line, as recorded.
std::map<std::string, std::string> ReadExpected(const fs::path& path) {
  std::map<std::string, std::string> out;
  const std::string text = ReadFile(path);
  for (std::string_view line : Split(text, '\n')) {
    if (!line.starts_with("[{")) continue;
    if (line.ends_with(",")) line.remove_suffix(1);
    const size_t comma = line.rfind(",\"");
    out.emplace(line.substr(1, comma - 1), line.substr(comma + 2, line.size() - comma - 4));
  }
  return out;
}

std::string FirstDifference(const std::map<std::string, std::string>& expected,
                            const std::map<std::string, std::string>& got) {
  for (const auto& [series, value] : expected) {
    const auto it = got.find(series);
    if (it == got.end()) return "missing " + series;
    if (it->second != value) return series + ": expected " + value + ", got " + it->second;
  }
  for (const auto& [series, value] : got) {
    if (!expected.contains(series)) return "unexpected " + series;
  }
  return {};
}

class Report {
 public:
  explicit Report(std::map<std::string, std::string> known) : known_(std::move(known)) {}
  void Begin(std::string file) { file_ = std::move(file), passed_ = total_ = 0; }
  void Case(const std::string& name, const std::string& difference) {
    ++total_;
    const auto known = known_.find(name);
    if (difference.empty()) {
      ++passed_;
      if (known != known_.end())
        std::printf("  PASSES NOW %s, although known to differ: %s\n", name.c_str(),
                    known->second.c_str());
      return;
    }
    const bool expected = known != known_.end();
    std::printf("  %s %s: %s%s%s\n", expected ? "known" : "FAIL", name.c_str(), difference.c_str(),
                expected ? " -- " : "", expected ? known->second.c_str() : "");
    failed_ |= !expected;
  }
  void End() { std::printf("%s: %d of %d\n", file_.c_str(), passed_, total_); }
  bool failed() const { return failed_; }

 private:
  std::map<std::string, std::string> known_;
  std::string file_;
  int passed_ = 0, total_ = 0;
  bool failed_ = false;
};

std::string Compare(const Outcome& out, bool accepted, uint64_t samples) {
  if (out.accepted != accepted)
    return accepted ? "should be accepted: " + out.error : "should be refused";
  if (accepted && out.samples != samples)
    return "expected " + std::to_string(samples) + " samples, got " + std::to_string(out.samples);
  return {};
}

Format FormatOfType(const std::string& type) {
  return type.find("openmetrics") != std::string::npos ? Format::kOpenMetrics : Format::kText;
}

void RunBodies(const fs::path& folder, const std::string& title, Report& report) {
  report.Begin(title + " (bodies)");
  for (const auto& row : ReadTable(folder / "expected.tsv")) {
    const Outcome out = Scrape(ReadFile(folder / row[0]), FormatOfType(row[1]));
    report.Case(row[0], Compare(out, row[2] == "yes", std::stoull(row[3])));
  }
  report.End();
}

void RunValues(const fs::path& folder, Report& report) {
  report.Begin("exposition/expected (every series, value by value)");
  for (const auto& row : ReadTable(folder / "expected.tsv")) {
    const fs::path recorded = folder / "expected" / (fs::path(row[0]).stem().string() + ".json");
    if (row[2] != "yes" || !fs::exists(recorded)) continue;
    const Outcome out = Scrape(ReadFile(folder / row[0]), FormatOfType(row[1]));
    report.Case(row[0] + " values",
                out.accepted ? FirstDifference(ReadExpected(recorded), out.values) : out.error);
  }
  report.End();
}

/// parsers.tsv: what Prometheus accepts (held to), and what a strict validator would (told, not
/// held to).
void RunParsers(const fs::path& folder, Report& report) {
  report.Begin("openmetrics/parsers (as Prometheus)");
  int strict = 0, strict_total = 0;
  for (const auto& row : ReadTable(folder / "parsers.tsv")) {
    const Outcome out =
        Scrape(ReadFile(folder / "parsers" / row[0] / "metrics"), Format::kOpenMetrics);
    report.Case(row[0], Compare(out, row[2] == "yes", std::stoull(row[3])));
    strict += out.accepted == (row[1] == "yes");
    ++strict_total;
  }
  report.End();
  std::printf("openmetrics/parsers (as a strict validator, for information): %d of %d\n", strict,
              strict_total);
}

int Main(int argc, char** argv) {
  const char* env = std::getenv("PICKET_CONFORMANCE");
  const fs::path root = argc > 1 ? fs::path(argv[1])
                        : env    ? fs::path(env)
                                 : fs::path(PICKET_SOURCE_DIR) / "../shared/conformance";
  if (!fs::exists(root / "exposition/expected.tsv")) {
    std::printf("SKIPPED: no conformance folder at %s (set PICKET_CONFORMANCE)\n", root.c_str());
    return 77;
  }
  Report report(KnownDifferences(fs::path(PICKET_SOURCE_DIR) /
                                 "tests/data/exposition/known_differences.tsv"));
  RunBodies(root / "exposition", "exposition", report);
  RunValues(root / "exposition", report);
  RunBodies(root / "openmetrics", "openmetrics", report);
  RunParsers(root / "openmetrics", report);
  return report.failed() ? 1 : 0;
}

}  // namespace
}  // namespace picket::collectors::scrape

int main(int argc, char** argv) { return picket::collectors::scrape::Main(argc, argv); }
