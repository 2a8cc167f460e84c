// SPDX-License-Identifier: Apache-2.0
#include "collectors/scrape/family.h"

#include <algorithm>
#include <string>

namespace picket::collectors::scrape {

std::shared_ptr<const MetricMetadata> ReadFamily(std::string_view comments, Format format) {
  auto metadata = std::make_shared<MetricMetadata>();
  Parser parser(comments, format);
  while (true) {
    const Parser::Entry entry = parser.Next();
    if (entry == Parser::Entry::kComment) continue;
    if (entry == Parser::Entry::kEnd || entry == Parser::Entry::kError) break;
    std::string family;
    AppendUnescaped(family, parser.family());
    if (family != metadata->family) {
      *metadata = {};
      metadata->family = std::move(family);
    }
    switch (entry) {
      case Parser::Entry::kType:
        metadata->type = parser.type();
        break;
      case Parser::Entry::kHelp:
        metadata->help.clear();
        AppendUnescaped(metadata->help, parser.text());
        break;
      default:
        metadata->unit = std::string(parser.text());
    }
  }
  return metadata->family.empty() ? nullptr : metadata;
}

bool BelongsToFamily(std::string_view series_name, const MetricMetadata& family) {
  if (!series_name.starts_with(family.family)) return false;
  const std::string_view suffix = series_name.substr(family.family.size());
  const auto is_one_of = [&](std::initializer_list<std::string_view> suffixes) {
    return std::ranges::find(suffixes, suffix) != suffixes.end();
  };
  switch (family.type) {
    case MetricType::kCounter:
      return is_one_of({"", "_total", "_created"});
    case MetricType::kHistogram:
      return is_one_of({"", "_bucket", "_count", "_sum", "_created"});
    case MetricType::kGaugeHistogram:
      return is_one_of({"", "_bucket", "_gcount", "_gsum"});
    case MetricType::kSummary:
      return is_one_of({"", "_count", "_sum", "_created"});
    case MetricType::kInfo:
      return is_one_of({"", "_info"});
    default:
      return suffix.empty();
  }
}

}  // namespace picket::collectors::scrape
