// SPDX-License-Identifier: Apache-2.0
#include "collectors/logs/lines.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "core/base/strings.h"
#include "picket_source_dir.h"

namespace picket::collectors::logs {
namespace {

constexpr UnixNs kSecond = 1'000'000'000;

TEST(Rfc3339, EveryFractionAndZone) {
  EXPECT_EQ(ParseRfc3339("1970-01-01T00:00:00Z"), 0);
  EXPECT_EQ(ParseRfc3339("1970-01-01T00:00:01.5Z"), kSecond + kSecond / 2);
  EXPECT_EQ(ParseRfc3339("1970-01-01T00:00:00.123456789Z"), 123'456'789);
  EXPECT_EQ(ParseRfc3339("1970-01-01T02:00:00.000000001+02:00"), 1);
  EXPECT_EQ(ParseRfc3339("1969-12-31T22:30:00-01:30"), 0);
  EXPECT_EQ(ParseRfc3339("2026-03-01T12:00:00.1Z"), 1'772'366'400 * kSecond + kSecond / 10);
  EXPECT_EQ(ParseRfc3339("2024-02-29T00:00:00Z"), 1'709'164'800 * kSecond);
  EXPECT_EQ(ParseRfc3339("2016-12-31T23:59:60Z"), ParseRfc3339("2017-01-01T00:00:00Z"));
}

TEST(Rfc3339, NotTimes) {
  for (const char* text :
       {"", "2026-03-01", "2026-03-01 12:00:00Z", "2026-02-30T12:00:00Z", "2026-13-01T12:00:00Z",
        "2026-03-01T24:00:00Z", "2026-03-01T12:60:00Z", "2026-03-01T12:00:00",
        "2026-03-01T12:00:00.Z", "2026-03-01T12:00:00.1234567890Z", "2026-03-01T12:00:00+0200",
        "x026-03-01T12:00:00Z", "2026-03-01T12:00:00Zx"})
    EXPECT_FALSE(ParseRfc3339(text)) << text;
}

TEST(CriLineTest, ShortestAndOddForms) {
  CriParser parser;
  auto line = parser.Parse("2026-03-01T12:00:00Z stdout F");
  ASSERT_TRUE(line);
  EXPECT_EQ(line->message, "");
  line = parser.Parse("2026-03-01T12:00:00Z stderr P:a:b text");
  ASSERT_TRUE(line);
  EXPECT_TRUE(line->partial);
  EXPECT_EQ(line->message, "text");
  for (const char* bad : {"2026-03-01T12:00:00Z stdout", "2026-03-01T12:00:00Z stdouX F a",
                          "2026-03-01T12:00:00Z stdout FX a", "2026-03-01T12:00:00Z  stdout F a",
                          "2026-03-01T12:00:00Z stdin F a", "2026-03-01T12:00:00Z "})
    EXPECT_FALSE(parser.Parse(bad)) << bad;
}

// A file, fed in pieces of `step` bytes, as records.
struct Feeder {
  explicit Feeder(Format format, size_t limit = 256 * 1024) : lines(format, limit) {}
  void Feed(const std::string& file, size_t step) {
    uint64_t at = 0;
    for (size_t end = std::min(step, file.size());; end = std::min(end + step, file.size())) {
      Piece(file.substr(at, end - at), at, false);
      at += consumed;
      if (end == file.size()) break;
    }
    if (at < file.size()) Piece(file.substr(at), at, true);
    std::string arena;
    RecordLists out;
    lines.FlushOpen(arena, Duration::max(), out, counts);
    Take(arena, out);
  }
  void Piece(std::string arena, uint64_t at, bool last) {
    RecordLists out;
    consumed = lines.Feed(
        arena, {.begin = 0, .at = {1, at}, .done = 0, .last = last, .now = 7, .steady = {}}, out,
        counts);
    Take(arena, out);
  }
  void Take(const std::string& arena, const RecordLists& out) {
    for (int o = 0; o < kOrigins; ++o)
      for (const LogRecord& r : out[static_cast<size_t>(o)])
        records[o].push_back({r.time_ns, arena.substr(r.offset, r.length)});
  }
  LineAssembler lines;
  LineCounts counts;
  size_t consumed = 0;
  std::map<int, std::vector<std::pair<UnixNs, std::string>>> records;
};

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

// The value of a string field in a line of the expectation file.
std::string Field(const std::string& json, const std::string& name) {
  const std::string key = "\"" + name + "\": \"";
  const size_t at = json.find(key);
  if (at == std::string::npos) return {};
  std::string out;
  for (size_t i = at + key.size(); json[i] != '"'; ++i) {
    if (json[i] == '\\')
      ++i, out += json[i] == 't' ? '\t' : json[i];
    else
      out += json[i];
  }
  return out;
}

class CriFile : public ::testing::TestWithParam<size_t> {};

TEST_P(CriFile, GivesTheExpectedRecordsHoweverItIsCut) {
  const std::string folder = std::string(PICKET_SOURCE_DIR) + "/tests/data/logs/cri/";
  const std::string file = ReadFile(folder + "basic.log");
  ASSERT_FALSE(file.empty());
  Feeder feeder(Format::kCri);
  feeder.Feed(file, GetParam());
  std::map<int, std::vector<std::pair<UnixNs, std::string>>> expected;
  std::istringstream lines(ReadFile(folder + "basic.expected.jsonl"));
  int unparsed = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.find("\"unparsed\"") != std::string::npos) {
      ++unparsed;
      EXPECT_EQ(feeder.records[2].at(static_cast<size_t>(unparsed - 1)).second,
                Field(line, "unparsed"));
      continue;
    }
    const int origin = Field(line, "stream") == "stdout" ? 0 : 1;
    expected[origin].emplace_back(ParseRfc3339(Field(line, "time")).value_or(-1),
                                  Field(line, "message"));
  }
  EXPECT_EQ(feeder.records[0], expected[0]);
  EXPECT_EQ(feeder.records[1], expected[1]);
  EXPECT_EQ(feeder.counts.unparsed, static_cast<uint64_t>(unparsed));
  EXPECT_EQ(expected[0].size() + expected[1].size(), 13u);
}
INSTANTIATE_TEST_SUITE_P(Pieces, CriFile, ::testing::Values(1, 7, 64, 100, 1 << 20));

TEST(PlainLines, CarriageReturnsEmptyLinesAndTimes) {
  Feeder feeder(Format::kPlain);
  feeder.Feed("a\r\n\nb\nlast", 1024);
  const auto& r = feeder.records[2];
  ASSERT_EQ(r.size(), 4u);
  EXPECT_EQ(r[0].second, "a");
  EXPECT_EQ(r[1].second, "");
  EXPECT_EQ(r[3].second, "last");
  for (size_t i = 1; i < r.size(); ++i) EXPECT_LT(r[i - 1].first, r[i].first);
}

TEST(PlainLines, BytesThatAreNotUtf8StayAsTheyAre) {
  Feeder feeder(Format::kPlain);
  feeder.Feed("caf\xe9 \xff\xfe\n", 1024);
  EXPECT_EQ(feeder.records[2].at(0).second, "caf\xe9 \xff\xfe");
}

TEST(AutoFormat, DecidesByTheFirstLine) {
  Feeder cri(Format::kAuto);
  cri.Feed("2026-03-01T12:00:00Z stdout F x\nnot cri\n", 1024);
  EXPECT_EQ(cri.records[0].size(), 1u);
  EXPECT_EQ(cri.counts.unparsed, 1u);
  Feeder plain(Format::kAuto);
  plain.Feed("hello\n2026-03-01T12:00:00Z stdout F x\n", 1024);
  EXPECT_EQ(plain.records[2].size(), 2u);
  EXPECT_EQ(plain.counts.unparsed, 0u);
}

}  // namespace
}  // namespace picket::collectors::logs
