// SPDX-License-Identifier: Apache-2.0
#include "collectors/scrape/line_pack.h"

#include <gtest/gtest.h>

#include <random>

namespace picket::collectors::scrape {
namespace {

struct Lines {
  std::string text;
  std::vector<LineEntry> entries;
  std::vector<SeriesId> rows;

  void Add(std::string_view comments, std::string_view series, LineEntry::Kind kind, SeriesId id) {
    LineEntry e;
    e.offset = static_cast<uint32_t>(text.size());
    e.length = static_cast<uint32_t>(comments.size() + series.size());
    e.lead = static_cast<uint32_t>(comments.size());
    e.has_metadata = !comments.empty();
    e.has_type = comments.size() % 2 == 1;
    e.type_matters = id % 3 == 0;
    e.kind = kind;
    e.type = static_cast<MetricType>(id % 8);
    e.id = kind == LineEntry::Kind::kRow || LinePack::HasOtherId(kind) ? id : kNoSeries;
    for (char& c : e.value) c = static_cast<char>(id + entries.size());
    e.value_length = static_cast<uint8_t>(id % 15);
    if (kind == LineEntry::Kind::kRow) rows.push_back(id);
    text.append(comments).append(series);
    entries.push_back(e);
  }

  void ExpectSame(const LinePack& pack) const {
    std::vector<LineEntry> got;
    std::string out;
    pack.Unpack(rows, got, out);
    ASSERT_EQ(got.size(), entries.size());
    for (size_t i = 0; i < got.size(); ++i) {
      const LineEntry &a = entries[i], &b = got[i];
      EXPECT_EQ(out.substr(b.offset, b.length), text.substr(a.offset, a.length));
      EXPECT_EQ(a.lead, b.lead);
      EXPECT_EQ(a.has_metadata, b.has_metadata);
      EXPECT_EQ(a.has_type, b.has_type);
      EXPECT_EQ(a.type_matters, b.type_matters);
      EXPECT_EQ(a.id, b.id);
      EXPECT_EQ(a.kind, b.kind);
      EXPECT_EQ(a.type, b.type);
      EXPECT_EQ(a.value_length, b.value_length);
      EXPECT_EQ(std::string_view(a.value, sizeof a.value),
                std::string_view(b.value, sizeof b.value));
    }
  }
};

TEST(LinePack, GivesBackAnyLinesInOrder) {
  std::mt19937 random(1);
  LinePack pack;
  LinePack::Scratch scratch;
  for (int round = 0; round < 200; ++round) {
    Lines lines;
    const size_t count = random() % 60;
    std::string series = "m";
    for (size_t i = 0; i < count; ++i) {
      // Lines share long and short beginnings with the one before, and now and then are equal to
      // it.
      series.resize(random() % (series.size() + 1));
      series.append(random() % (round % 10 == 0 ? 700 : 30), static_cast<char>('a' + random() % 3));
      std::string comments;
      if (random() % 5 == 0) comments.assign(random() % (round % 7 == 0 ? 40'000 : 90), '#');
      const auto kind = static_cast<LineEntry::Kind>(random() % 5);
      lines.Add(comments, series, kind, static_cast<SeriesId>(random() % 100'000));
    }
    if (random() % 2 == 0) lines.Add("# EOF\n", "", LineEntry::Kind::kTrailer, kNoSeries);
    pack.Pack(lines.entries, lines.text, scratch);
    ASSERT_EQ(pack.size(), lines.entries.size());
    lines.ExpectSame(pack);
  }
}

TEST(LinePack, KeepsWhatDiffers) {
  Lines lines;
  for (SeriesId i = 0; i < 1000; ++i)
    lines.Add(i % 50 == 0 ? "# TYPE shop_requests_total counter\n" : "",
              "shop_requests_total{method=\"GET\",status=\"200\",path=\"/cart/" +
                  std::to_string(i) + "\"} ",
              LineEntry::Kind::kRow, i);
  LinePack pack;
  LinePack::Scratch scratch;
  pack.Pack(lines.entries, lines.text, scratch);
  lines.ExpectSame(pack);
  EXPECT_LT(pack.memory(), lines.text.size() / 2 + 1000 * sizeof(LinePack::Line));
}

}  // namespace
}  // namespace picket::collectors::scrape
