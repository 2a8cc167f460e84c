// SPDX-License-Identifier: Apache-2.0
#include "collectors/host/filter.h"

#include <re2/re2.h>

namespace picket::collectors::host {

struct Filter::Regex {
  explicit Regex(const std::string& pattern) : re(pattern, RE2::Quiet) {}
  RE2 re;
};

Result<Filter> Filter::Compile(const std::string& pattern) {
  Filter filter;
  if (pattern.empty()) return filter;
  auto regex = std::make_shared<Regex>(pattern);
  if (!regex->re.ok())
    return Fail(ErrorKind::kInvalidArgument, "not a regular expression: " + regex->re.error());
  filter.regex_ = std::move(regex);
  return filter;
}

bool Filter::Excludes(std::string_view name) const {
  return regex_ && RE2::PartialMatch(re2::StringPiece(name.data(), name.size()), regex_->re);
}

}  // namespace picket::collectors::host
