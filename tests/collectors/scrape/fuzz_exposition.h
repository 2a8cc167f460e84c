// SPDX-License-Identifier: Apache-2.0
// What must hold of any bytes: the parser ends, its places are in the body, and the cache says what
// it says. The input is two bodies, split at the first "\n\x1e\n"; the first is what the cache has
// seen before.
#pragma once
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>

#include "tests/collectors/scrape/fake_intake.h"

namespace picket::collectors::scrape {

inline void Require(bool holds) {
  if (!holds) abort();
}

inline bool ReadPlain(std::string_view body, Format format, std::map<std::string, uint64_t>& values,
                      uint64_t& lines) {
  Parser parser(body, format);
  while (true) {
    const Parser::Entry entry = parser.Next();
    if (entry == Parser::Entry::kEnd) return true;
    if (entry == Parser::Entry::kError) {
      const Error error = parser.error();
      Require(error.position().line >= 1 && error.position().column >= 1 &&
              !error.message().empty());
      return false;
    }
    if (entry != Parser::Entry::kSeries) continue;
    ++lines;
    Require(parser.prefix().data() >= body.data() &&
            parser.value_text().data() + parser.value_text().size() <= body.data() + body.size());
    if (parser.series().name.starts_with("drop_")) continue;
    auto labels = ExposedLabels(parser.series(), parser.type(), false);
    if (!labels) return false;
    if (!parser.has_timestamp())
      values.try_emplace(labels->Build().ToString(), std::bit_cast<uint64_t>(parser.value()));
  }
}

inline void FuzzBodies(std::string_view input, Format format) {
  static constexpr std::string_view kBetween = "\n\x1e\n";
  const size_t split = input.find(kBetween);
  const std::string_view first =
      split == std::string_view::npos ? std::string_view() : input.substr(0, split + 1);
  const std::string_view second =
      split == std::string_view::npos ? input : input.substr(split + kBetween.size());
  FakeIntake intake;
  PlainResolver resolver(intake);
  SeriesCache cache({});
  SeriesCache::Scratch scratch;
  ScrapeCounts counts;
  UnixMs now = 0;
  for (const std::string_view body : {first, second, second}) {
    std::map<std::string, uint64_t> expected;
    uint64_t lines = 0;
    const bool good = ReadPlain(body, format, expected, lines);
    const Status status = cache.Scan(body, format, resolver, scratch, counts);
    Require(status.has_value() == good);
    const SeriesCache::Row row = status ? cache.row() : cache.StaleRow();
    intake.Append({1, row.layout, ++now, row.series, row.values});
    Require(intake.faults.empty());
    std::map<std::string, uint64_t> got;
    for (const auto& [name, value] : intake.last_row) {
      if (!IsStaleNan(value)) got.emplace(name, std::bit_cast<uint64_t>(value));
    }
    Require(!good || (got == expected && counts.scraped == lines));
    if (status) cache.Commit(resolver);
  }
}

}  // namespace picket::collectors::scrape
