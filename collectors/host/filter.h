// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace picket::collectors::host {

/// A regular expression that leaves things out where it is found in their name. An empty one leaves
/// out nothing.
class Filter {
 public:
  static Result<Filter> Compile(const std::string& pattern);
  bool Excludes(std::string_view name) const;
  /// As a pattern of what to take in: an empty one finds everything.
  bool Finds(std::string_view name) const { return !regex_ || Excludes(name); }

 private:
  struct Regex;
  std::shared_ptr<const Regex> regex_;
};

}  // namespace picket::collectors::host
