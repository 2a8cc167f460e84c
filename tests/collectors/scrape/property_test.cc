// SPDX-License-Identifier: Apache-2.0
// Whatever bodies follow each other, the cache says of each what a plain parse says.
#include <gtest/gtest.h>

#include <bit>
#include <map>
#include <random>
#include <set>

#include "tests/collectors/scrape/fake_intake.h"

namespace picket::collectors::scrape {
namespace {

struct Plain {
  bool ok = true;
  uint64_t scraped = 0;
  std::map<std::string, uint64_t> values;  // the first sample of each series, as bits
  std::map<std::string, std::map<UnixMs, uint64_t>> timed;
};

Plain ParsePlain(std::string_view body, Format format) {
  Plain out;
  Parser parser(body, format);
  while (true) {
    const Parser::Entry entry = parser.Next();
    if (entry == Parser::Entry::kEnd) return out;
    if (entry == Parser::Entry::kError) return out.ok = false, out;
    if (entry != Parser::Entry::kSeries) continue;
    ++out.scraped;
    if (parser.series().name.starts_with("drop_")) continue;
    auto labels = ExposedLabels(parser.series(), parser.type(), false);
    if (!labels) return out.ok = false, out;
    const std::string name = labels->Build().ToString();
    const uint64_t bits = std::bit_cast<uint64_t>(parser.value());
    if (parser.has_timestamp()) {
      out.timed[name].try_emplace(parser.timestamp_ms(), bits);
    } else {
      out.values.try_emplace(name, bits);
    }
  }
}

/// Bodies of families whose series come, go, move, repeat and change their form; now and then a bad
/// line.
class Bodies {
 public:
  Bodies(uint64_t seed, Format format) : random_(seed), format_(format) {
    for (int i = 0; i < 40; ++i) lines_.push_back(NewLine());
  }
  std::string Next() {
    for (int edits = static_cast<int>(random_() % 4); edits > 0; --edits) Edit();
    std::string body;
    for (const std::string& line : lines_) {
      if (Chance(15)) body += Comment();
      body += line + Value() + Tail();
    }
    if (format_ == Format::kText && Chance(3)) body += "# the end";
    if (format_ == Format::kText && Chance(10)) body += "bad{ 1\n";
    if (format_ == Format::kOpenMetrics && !Chance(20)) body += "# EOF\n";
    return body;
  }

 private:
  bool Chance(int one_in) { return random_() % one_in == 0; }
  std::string Comment() {
    const char* const types[] = {"counter", "gauge", "histogram", "summary"};
    const std::string name = "m" + std::to_string(random_() % 4);
    switch (random_() % (format_ == Format::kText ? 4 : 2)) {
      case 0:
        return "# TYPE " + name + " " + types[random_() % 4] + "\n";
      case 1:
        return "# HELP " + name + " help " + std::to_string(random_() % 2) + "\n";
      case 2:
        return "# words\n";
      default:
        return "\n";
    }
  }
  std::string NewLine() {
    const std::string name = (Chance(12) ? "drop_m" : "m") + std::to_string(random_() % 4);
    const std::string a = "a=\"" + std::to_string(random_() % 6) + "\"";
    const std::string b = Chance(2) ? "le=\"" + std::to_string(random_() % 3) + "\"" : "b=\"x\\n\"";
    switch (random_() % 5) {
      case 0:
        return name + " ";
      case 1:
        return name + "{" + a + "," + b + "} ";
      case 2:
        return name + "{" + b + "," + a + "} ";
      case 3:
        return format_ == Format::kText ? name + "  { " + a + " } " : name + "{" + a + ",} ";
      default:
        return name + "{" + b + "} ";
    }
  }
  std::string Value() {
    const char* const fixed[] = {"0",   "1",   "NaN",           "+Inf",
                                 "1e3", "0.1", "123456789.125", "1.7976931348623157e+308"};
    if (Chance(200)) return "x";
    if (Chance(2)) return fixed[random_() % 8];
    return std::to_string(static_cast<int64_t>(random_() >> (random_() % 60)));
  }
  std::string Tail() {
    if (Chance(30))
      return format_ == Format::kText ? " " + std::to_string(1 + ++time_) + "\n"
                                      : " " + std::to_string(1 + ++time_) + ".5\n";
    if (format_ == Format::kOpenMetrics && Chance(20)) return " # {t=\"1\"} 2\n";
    return format_ == Format::kText && Chance(20) ? " \n" : "\n";
  }
  void Edit() {
    const size_t at = lines_.empty() ? 0 : random_() % lines_.size();
    switch (random_() % 5) {
      case 0:
        lines_.insert(lines_.begin() + at, NewLine());
        break;
      case 1:
        if (!lines_.empty()) lines_.erase(lines_.begin() + at);
        break;
      case 2:
        if (!lines_.empty()) std::swap(lines_[at], lines_[random_() % lines_.size()]);
        break;
      case 3:
        std::rotate(lines_.begin(), lines_.begin() + at, lines_.end());
        break;
      default:
        if (!lines_.empty()) lines_.insert(lines_.begin() + at, lines_[random_() % lines_.size()]);
    }
  }
  std::mt19937_64 random_;
  Format format_;
  UnixMs time_ = 1'700'000'000;
  std::vector<std::string> lines_;
};

void Compare(uint64_t seed, Format format) {
  Bodies bodies(seed, format);
  FakeIntake intake;
  PlainResolver resolver(intake);
  SeriesCache cache({});
  SeriesCache::Scratch scratch;
  ScrapeCounts counts;
  std::set<std::string> alive;  // series whose last row value was not a marker
  for (UnixMs now = 1; now <= 60; ++now) {
    const std::string body = bodies.Next();
    const Plain plain = ParsePlain(body, format);
    const Status status = cache.Scan(body, format, resolver, scratch, counts);
    ASSERT_EQ(status.has_value(), plain.ok) << "seed " << seed << " body\n" << body;
    const SeriesCache::Row row = status ? cache.row() : cache.StaleRow();
    intake.Append({1, row.layout, now, row.series, row.values});
    ASSERT_TRUE(intake.faults.empty()) << "seed " << seed << " " << intake.faults.front();
    std::map<std::string, uint64_t> got;
    std::set<std::string> ended;
    for (const auto& [name, value] : intake.last_row) {
      if (IsStaleNan(value)) {
        ended.insert(name);
      } else {
        got[name] = std::bit_cast<uint64_t>(value);
      }
    }
    const std::map<std::string, uint64_t> expected =
        plain.ok ? plain.values : std::map<std::string, uint64_t>{};
    ASSERT_EQ(got, expected) << "seed " << seed << " body\n" << body;
    for (const std::string& name : alive) {
      if (!expected.contains(name) && !plain.timed.contains(name)) {
        ASSERT_TRUE(ended.contains(name))
            << "seed " << seed << ": no marker for " << name << " body\n"
            << body;
      }
    }
    alive.clear();
    for (const auto& [name, bits] : got) alive.insert(name);
    if (!status) continue;
    ASSERT_EQ(counts.scraped, plain.scraped);
    for (const TimedSample& s : cache.timed()) {
      const auto& times = plain.timed.at(intake.names[s.series]);
      ASSERT_TRUE(times.contains(s.timestamp_ms));
    }
    cache.Commit(resolver);
    std::set<std::string> held;
    for (const SeriesId id : intake.held) held.insert(intake.names[id]);
    std::set<std::string> present;
    for (const auto& [name, bits] : plain.values) present.insert(name);
    for (const auto& [name, times] : plain.timed) present.insert(name);
    ASSERT_EQ(held, present) << "seed " << seed << " body\n" << body;
  }
  cache.Clear(resolver);
  EXPECT_TRUE(intake.held.empty());
}

TEST(CacheEqualsPlainParse, Text) {
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    Compare(seed, Format::kText);
    if (HasFatalFailure()) return;
  }
}

TEST(CacheEqualsPlainParse, OpenMetrics) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    Compare(seed, Format::kOpenMetrics);
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace picket::collectors::scrape
